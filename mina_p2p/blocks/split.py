"""A block taken apart into header, outline and items by its exact wire bytes, and put together again.

The *items* of a body are its completed snark works and its transactions, in wire order: works and
transactions of the first part, works and transactions of the second. The *frame* is all the rest:
how many works, the status of each transaction, coinbase and statuses of internal commands. An *outline* is
the frame and one id per item, which follows from the item's exact bytes. Frame and items together are the
body, byte for byte, because every value has one encoding.

A pool holds a snark work in another order of fields: prover, fee, proofs, where a block has fee,
proofs, prover. `work_item` and `snark_of_item` turn the one into the other without decoding.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

from mina_p2p.errors import DecodeError
from mina_p2p.mina.block import AtMostOneCoinbase, AtMostTwoCoinbase, BlockBody, BlockHeader, Diff, PreDiffOne, PreDiffTwo
from mina_p2p.mina.block import StagedLedgerDiff as WholeDiff
from mina_p2p.mina.commands import UserCommandWithStatus
from mina_p2p.mina.hashes import body_reference_of_bytes
from mina_p2p.mina.raw import RawUserCommand
from mina_p2p.mina.snark_work import RawSnarkWork
from mina_p2p.mina.transaction_status import TransactionStatus
from mina_p2p.record import Record, record
from mina_p2p.wire import ByteString, IntU8, Nat0, codec
from mina_p2p.wire.raw import Raw

DIGEST_BYTES: Final = 32
SHORT_BYTES: Final = 8
"""Length of a salted id. Of 24 mainnet blocks full digests would take 4 over what a warm node may receive (512 bytes or 5 % of
the body); 6 bytes would let who forges a transaction search a collision within a block time (2^48), 8 bytes do not."""
PUBLIC_KEY_BYTES: Final = 33
"""A compressed public key: its x and a bool."""


class RawBlockHeader(Raw[BlockHeader], of="mina_p2p.mina.block.BlockHeader"):
    """A block's header."""


class RawBlockBody(Raw[BlockBody], of="mina_p2p.mina.block.BlockBody"):
    """A block's body."""


@record
class FirstFrame(Record):
    """The first part of a body without its items."""

    works: Nat0
    statuses: tuple[TransactionStatus, ...]
    """Of each transaction."""
    coinbase: AtMostTwoCoinbase
    internal_command_statuses: tuple[TransactionStatus, ...]

    @property
    def items_count(self) -> int:
        """Works and transactions."""
        return self.works + len(self.statuses)


@record
class SecondFrame(Record):
    """The second part, likewise."""

    works: Nat0
    statuses: tuple[TransactionStatus, ...]
    coinbase: AtMostOneCoinbase
    internal_command_statuses: tuple[TransactionStatus, ...]

    @property
    def items_count(self) -> int:
        """Works and transactions."""
        return self.works + len(self.statuses)


@record
class Frame(Record):
    """A body without its items."""

    first: FirstFrame
    second: SecondFrame | None

    @property
    def items_count(self) -> int:
        """Of both parts."""
        return self.first.items_count + (0 if self.second is None else self.second.items_count)


@record
class Outline(Record):
    """A frame, and an id for each item."""

    frame: Frame
    id_bytes: IntU8
    """`SHORT_BYTES` for salted ids, `DIGEST_BYTES` for full digests."""
    id_string: ByteString
    """The ids in the order of the items, back to back."""

    @property
    def ids(self) -> tuple[bytes, ...]:
        """One id per item.

        :raises DecodeError: where the outline contradicts itself.
        """
        size, count = self.id_bytes, self.frame.items_count
        if size not in {SHORT_BYTES, DIGEST_BYTES}:
            raise DecodeError("id_bytes", 0, f"ids of {size} bytes")
        if len(self.id_string) != size * count:
            raise DecodeError("id_string", 0, f"{len(self.id_string)} bytes for {count} ids of {size}")
        return tuple(self.id_string[at : at + size] for at in range(0, size * count, size))


@record
class Parts(Record):
    """A body taken apart."""

    frame: Frame
    items: tuple[bytes, ...]
    digests: tuple[bytes, ...]
    """Of each item."""


def split_block(raw: bytes) -> tuple[RawBlockHeader, RawBlockBody]:
    """The two parts of a block's wire bytes.

    :raises DecodeError: no block.
    """
    header, end = codec(BlockHeader).decode_from(raw, 0)
    made = RawBlockHeader(raw[:end])
    made.__dict__["_value"] = header  # decoded once
    body = RawBlockBody(raw[end:])
    _ = body.value
    return made, body


def join_block(header: bytes, body: bytes) -> bytes:
    """A block's wire bytes."""
    return header + body


def split_body(body: RawBlockBody) -> Parts:
    """Frame and items of a body.

    :raises DecodeError: no body.
    """
    diff = body.value.staged_ledger_diff.diff
    frame = Frame(FirstFrame(*_frame_of(diff.first), diff.first.coinbase, diff.first.internal_command_statuses), None)
    if diff.second is not None:
        frame = frame.replace(second=SecondFrame(*_frame_of(diff.second), diff.second.coinbase, diff.second.internal_command_statuses))
    items = _items_of(diff.first) + (() if diff.second is None else _items_of(diff.second))
    return Parts(frame, items, tuple(map(item_digest, items)))


def _items_of(part: PreDiffTwo | PreDiffOne) -> tuple[bytes, ...]:
    return tuple(map(bytes, part.completed_works)) + tuple(bytes(command.data) for command in part.commands)


def _frame_of(part: PreDiffTwo | PreDiffOne) -> tuple[int, tuple[TransactionStatus, ...]]:
    return len(part.completed_works), tuple(command.status for command in part.commands)


def rebuild_body(frame: Frame, items: tuple[bytes, ...]) -> RawBlockBody:
    """The body of a frame and its items. Whether it is the right one says its reference (`is_body_of`).

    :raises DecodeError: where there are not as many items as the frame has places for.
    """
    if len(items) != frame.items_count:
        raise DecodeError("", 0, f"{len(items)} items for {frame.items_count} places")
    first = frame.first
    works, commands = _filled(first, items[: first.items_count])
    made = Diff(PreDiffTwo(works, commands, first.coinbase, first.internal_command_statuses), None)
    if (second := frame.second) is not None:
        works, commands = _filled(second, items[first.items_count :])
        made = made.replace(second=PreDiffOne(works, commands, second.coinbase, second.internal_command_statuses))
    # Items are bytes of whichever layout: what is no body has another reference than a body.
    return RawBlockBody(codec(BlockBody).encode(BlockBody(WholeDiff(made))))


def _filled(
    frame: FirstFrame | SecondFrame, items: tuple[bytes, ...]
) -> tuple[tuple[RawSnarkWork, ...], tuple[UserCommandWithStatus, ...]]:
    works = tuple(map(RawSnarkWork, items[: frame.works]))
    commands = zip(map(RawUserCommand, items[frame.works :]), frame.statuses, strict=True)
    return works, tuple(UserCommandWithStatus(data, status) for data, status in commands)


def is_body_of(body: bytes, body_reference: bytes) -> bool:
    """Whether a header with that reference promises these bytes."""
    return body_reference_of_bytes(body) == body_reference


def item_digest(item: bytes) -> bytes:
    """What names an item: blake2b-256 of its exact bytes in a block."""
    return blake2b(item, digest_size=DIGEST_BYTES).digest()


def outline_salt(state_hash: bytes, asker: bytes) -> bytes:
    """The salt of short ids: nobody but who asks can be aimed at, and only once the block exists.

    :param asker: the 32 bytes of the asking node's peer id.
    """
    return blake2b(state_hash + asker, digest_size=DIGEST_BYTES, person=b"mina-outline").digest()


def short_id(salt: bytes, digest: bytes) -> bytes:
    """The salted id of an item."""
    return blake2b(digest, digest_size=SHORT_BYTES, key=salt).digest()


def short_outline(parts: Parts, state_hash: bytes, asker: bytes) -> Outline:
    """The outline by salted ids; by full digests where two of the body's items would share an id."""
    salt = outline_salt(state_hash, asker)
    ids = [short_id(salt, digest) for digest in parts.digests]
    if len(set(ids)) != len(set(parts.digests)):
        return full_outline(parts)
    return Outline(parts.frame, SHORT_BYTES, b"".join(ids))


def full_outline(parts: Parts) -> Outline:
    """The outline by full digests."""
    return Outline(parts.frame, DIGEST_BYTES, b"".join(parts.digests))


def work_item(snark: bytes) -> bytes:
    """A snark work as a block holds it, from the bytes that the pool holds."""
    return snark[PUBLIC_KEY_BYTES:] + snark[:PUBLIC_KEY_BYTES]


def snark_of_item(work: bytes) -> bytes:
    """A snark work as the pool holds it, from the bytes in a block."""
    return work[-PUBLIC_KEY_BYTES:] + work[:-PUBLIC_KEY_BYTES]
