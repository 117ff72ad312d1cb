"""The blocks that ``mina-p2p block-study`` studies: those of a directory, and generated ones of any size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from mina_p2p.blocks.split import is_body_of, split_block
from mina_p2p.channels.block.messages import BODY_BYTES_MAX, HEADER_BYTES_MAX
from mina_p2p.errors import CallerError, DecodeError
from mina_p2p.mina.block import Block, BlockBody
from mina_p2p.mina.chain_selection import select_chain
from mina_p2p.mina.hashes import body_reference, state_hash_of_block
from mina_p2p.mina.raw import RawBlock, RawUserCommand
from mina_p2p.mina.snark_work import RawSnarkWork, SnarkWork
from mina_p2p.record import Record, record
from mina_p2p.testing.mina import MinaGenerator

PAYMENTS_TOGETHER: Final = 20
"""Of a generated block beside each of its large items."""
STATUS_BYTES: Final = 1
LENGTHS_BYTES: Final = 8
"""By which the lengths of its two lists may grow."""


@record
class NamedBlock(Record):
    """A block, and what reports call it."""

    name: str
    raw: bytes
    height: int


def read_blocks(folder: Path) -> tuple[list[NamedBlock], list[str]]:
    """The blocks of all ``*.bin`` of a directory.

    :returns: those that are studied, in the order of their heights and then of their names, each winning over the one
        before by the nodes' own chain selection; and of each other one a line that says why it is left out.
    :raises CallerError: where there is none, or a file that holds no block or another body than its header promises.
    """
    if not folder.is_dir():
        raise CallerError(f"{folder} is no directory")
    paths = sorted(folder.glob("*.bin"))
    if not paths:
        raise CallerError(f"{folder} holds no *.bin; give the directory of the blocks")
    blocks: list[NamedBlock] = []
    left_out: list[str] = []
    for path in paths:
        if isinstance(found := _read(path), str):
            left_out.append(found)
        else:
            blocks.append(found)
    kept: list[NamedBlock] = []
    for block in sorted(blocks, key=_height):
        if kept and (reason := _loses(block, kept[-1])):
            left_out.append(f"{block.name} is left out: {reason}")
        else:
            kept.append(block)
    return kept, left_out


def _height(block: NamedBlock) -> int:
    return block.height


def _loses(block: NamedBlock, before: NamedBlock) -> str | None:
    """Why a block is not studied after another one, which every node has by then."""
    if block.height == before.height:
        return f"{before.name} has the same height, {block.height}"
    states = [RawBlock(one.raw).value.header.protocol_state.body.consensus_state for one in (before, block)]
    decision = select_chain(states[0], states[1], state_hash_of_block(before.raw), state_hash_of_block(block.raw))
    if decision.take:
        return None
    return f"it does not win over {before.name} ({decision.reason.value}), which all nodes have by then; none would announce it"


def _read(path: Path) -> NamedBlock | str:
    """A block, or why it is left out."""
    try:
        size = path.stat().st_size
        if size > HEADER_BYTES_MAX + BODY_BYTES_MAX:
            return f"{path.stem} is left out: {size} bytes, and channel 10 carries bodies of at most {BODY_BYTES_MAX}"
        raw = path.read_bytes()
        # The block as a whole first: offsets in errors are then those of the file.
        state = RawBlock(raw).value.header.protocol_state.body
        state_hash_of_block(raw)
        _, body = split_block(raw)
    except OSError as error:
        raise CallerError(f"{path.name}: {error.strerror}") from error
    except DecodeError as error:
        raise CallerError(f"{path.name} is no block: {error}") from error
    if not is_body_of(body, state.blockchain_state.body_reference):
        raise CallerError(f"{path.name}: its header promises another body; no node would take it")
    if len(body) > BODY_BYTES_MAX:
        return f"{path.stem} is left out: a body of {len(body)} bytes, and channel 10 carries bodies of at most {BODY_BYTES_MAX}"
    return NamedBlock(path.stem, raw, state.consensus_state.blockchain_length)


def generated_blocks(sizes: Sequence[int], after: bytes | None, seed: int = 1) -> Iterator[NamedBlock]:
    """Blocks of these sizes, each winning over the one before, of payments, zkApp commands with proofs and snark works.

    :param sizes: bytes; each block is at most a payment shorter, or the shortest that there is.
    :param after: a block over which the first of them wins.
    :raises DecodeError: where ``after`` is no block.
    """
    generator = MinaGenerator(seed)
    before = generator.genesis() if after is None else RawBlock(after).value
    for number, size in enumerate(sizes, 1):
        state = before.header.protocol_state
        height = state.body.consensus_state.blockchain_length + number
        empty = len(_block(before, height, generator.genesis().body))
        raw = _block(before, height, _body(generator, size - empty))
        yield NamedBlock(f"generated-{number}", raw, height)


def _block(before: Block, height: int, body: BlockBody) -> bytes:
    """With another height and body: that wins, and nobody here checks proofs."""
    state = before.header.protocol_state
    consensus = state.body.consensus_state.replace(blockchain_length=height)
    chain = state.body.blockchain_state.replace(body_reference=body_reference(body))
    made = state.replace(body=state.body.replace(consensus_state=consensus, blockchain_state=chain))
    return bytes(RawBlock.of(Block(before.header.replace(protocol_state=made), body)))


def _body(generator: MinaGenerator, room: int) -> BlockBody:
    """As many items as have room: works, zkApp commands and payments by turns, and payments in what is left."""
    commands: list[RawUserCommand] = []
    works: list[SnarkWork] = []
    left = room
    while True:
        work, zkapp = generator.snark_work(), RawUserCommand.of(generator.zkapp_command(updates=3, proofs=2))
        payments = [RawUserCommand.of(generator.payment()) for _ in range(PAYMENTS_TOGETHER)]
        size = len(RawSnarkWork.of(work)) + sum(len(command) + STATUS_BYTES for command in (zkapp, *payments))
        if size > left:
            break
        works.append(work)
        commands += (zkapp, *payments)
        left -= size
    left -= LENGTHS_BYTES
    while len(payment := RawUserCommand.of(generator.payment())) + STATUS_BYTES <= left:
        commands.append(payment)
        left -= len(payment) + STATUS_BYTES
    return generator.block(generator.genesis(), commands=tuple(commands), works=tuple(works)).body
