"""What spreads in the demo: generated data by default, real blocks and transactions where given."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Callable, Hashable, Iterable
from functools import reduce
from itertools import islice
from pathlib import Path
from typing import Any

from mina_p2p.channels.snark_job_commitment.messages import SnarkJobCommitment
from mina_p2p.errors import CallerError, DecodeError
from mina_p2p.mina.block import PreDiffOne, PreDiffTwo
from mina_p2p.mina.chain_selection import select_chain
from mina_p2p.mina.commands import UserCommand
from mina_p2p.mina.hashes import snark_job_id_of, state_hash_of_block, transaction_hash
from mina_p2p.mina.raw import RawBlock, RawSnark
from mina_p2p.mina.snark_work import Snark
from mina_p2p.testing.mina import MinaGenerator
from mina_p2p.wire import codec, encode
from mina_p2p_effects.cli.arguments import shortened
from mina_p2p_effects.cli.demo.protocol import Share

TRANSACTIONS_COUNT = 20
TRANSACTIONS_MAX = 200
SNARKS_COUNT = 6
SNARKS_MAX = 20
BLOCKS_MAX = 64


def shares_of(nodes_count: int, seed: int, blocks_dir: Path | None, transactions_file: Path | None) -> tuple[list[Share], bytes]:
    """Deal the data to the nodes; every node gets a block, so that best tips have to agree.

    :returns: what each node starts with, and the block that is best of all.
    :raises CallerError: where a given file holds something else.
    """
    generator = MinaGenerator(seed)
    if blocks_dir is None:
        blocks = [encode(block) for block in generator.chain(nodes_count)]
        snarks = [encode(generator.snark()) for _ in range(SNARKS_COUNT)]
    else:
        blocks = _read_blocks(blocks_dir)
        snarks = list(islice(_works_of(blocks), SNARKS_MAX))
    if transactions_file is not None:
        transactions = _read_transactions(transactions_file)
    elif blocks_dir is not None:
        transactions = list(islice(_commands_of(blocks), TRANSACTIONS_MAX))
    else:
        transactions = [codec(UserCommand).encode(generator.payment()) for _ in range(TRANSACTIONS_COUNT)]
    commitments = [_commitment_to(snark, number) for number, snark in enumerate(snarks)]
    shares = [
        Share(
            tuple(transactions[number::nodes_count]),
            tuple(snarks[number::nodes_count]),
            tuple(commitments[number::nodes_count]),
            blocks[number % len(blocks)],
        )
        for number in range(nodes_count)
    ]
    return shares, reduce(_better, (RawBlock(share.best_tip) for share in shares if share.best_tip is not None))


def _better(tip: RawBlock, candidate: RawBlock) -> RawBlock:
    def consensus(block: RawBlock) -> Any:
        return block.value.header.protocol_state.body.consensus_state

    decision = select_chain(consensus(tip), consensus(candidate), state_hash_of_block(tip), state_hash_of_block(candidate))
    return candidate if decision.take else tip


def _read_blocks(folder: Path) -> list[bytes]:
    paths = sorted(folder.glob("*.bin"))[:BLOCKS_MAX]
    if not paths:
        raise CallerError(f"{folder} holds no *.bin files with blocks")
    blocks: list[bytes] = []
    for path in paths:
        block = path.read_bytes()
        try:
            state_hash_of_block(block)
        except DecodeError as error:
            raise CallerError(f"{path} is no block: {error}") from error
        blocks.append(block)
    return blocks


def _read_transactions(path: Path) -> list[bytes]:
    """A JSON list of transactions: base64 texts, or objects with one in ``wire_base64``."""
    try:
        entries: list[Any] = json.loads(path.read_text())
        found = [b64decode(_text_of(entry), validate=True) for entry in entries]
    except (ValueError, KeyError, TypeError) as error:
        raise CallerError(f"{path} is no JSON list of base64 transactions: {shortened(str(error))}") from error
    for number, transaction in enumerate(found):
        try:
            transaction_hash(transaction)
        except DecodeError as error:
            raise CallerError(f"{path}: entry {number} is no transaction: {error}") from error
    return _distinct(found, transaction_hash)[:TRANSACTIONS_MAX]


def _text_of(entry: Any) -> str:
    text: str = entry if isinstance(entry, str) else entry["wire_base64"]
    return text


def _works_of(blocks: Iterable[bytes]) -> Iterable[bytes]:
    works = (work.value for block in blocks for part in _parts_of(block) for work in part.completed_works)
    return _distinct((encode(Snark(work.prover, work.fee, work.proofs)) for work in works), snark_job_id_of)


def _commands_of(blocks: Iterable[bytes]) -> Iterable[bytes]:
    commands = (bytes(command.data) for block in blocks for part in _parts_of(block) for command in part.commands)
    return _distinct(commands, transaction_hash)


def _parts_of(block: bytes) -> tuple[PreDiffTwo | PreDiffOne, ...]:
    diff = RawBlock(block).value.body.staged_ledger_diff.diff
    return (diff.first,) if diff.second is None else (diff.first, diff.second)


def _commitment_to(snark: bytes, number: int) -> bytes:
    work = RawSnark(snark).value
    timestamp_ms = 1_700_000_000_000 + number
    return codec(SnarkJobCommitment).encode(SnarkJobCommitment(timestamp_ms, snark_job_id_of(snark), work.fee, work.snarker))


def _distinct(items: Iterable[bytes], key: Callable[[bytes], Hashable]) -> list[bytes]:
    return list({key(item): item for item in items}.values())
