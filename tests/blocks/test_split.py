"""Blocks taken apart and put together again by their exact bytes."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.vectors import vectors_path

from mina_p2p.blocks.items import Items
from mina_p2p.blocks.split import (
    DIGEST_BYTES,
    SHORT_BYTES,
    Outline,
    Parts,
    RawBlockBody,
    full_outline,
    is_body_of,
    item_digest,
    join_block,
    outline_salt,
    rebuild_body,
    short_id,
    short_outline,
    snark_of_item,
    split_block,
    split_body,
    work_item,
)
from mina_p2p.errors import DecodeError
from mina_p2p.mina.block import CoinbaseZero, Diff, PreDiffOne
from mina_p2p.mina.hashes import body_reference, state_hash_of_block
from mina_p2p.mina.raw import RawBlock, RawSnark
from mina_p2p.mina.snark_work import RawSnarkWork, Snark
from mina_p2p.mina.transaction_status import Applied
from mina_p2p.table import Index
from mina_p2p.testing.mina import MinaGenerator
from mina_p2p.wire import codec

ASKER = bytes(range(32))
OTHER = bytes(32)


def _parts(seed: int, works: int = 1, *, has_second: bool = False) -> tuple[RawBlockBody, Parts]:
    generator = MinaGenerator(seed)
    made = generator.block(generator.genesis(), works=tuple(generator.snark_work(two=False) for _ in range(works))).body
    if has_second:
        diff = made.staged_ledger_diff.diff
        second = PreDiffOne(diff.first.completed_works, diff.first.commands, CoinbaseZero(), (Applied(),))
        made = made.replace(staged_ledger_diff=made.staged_ledger_diff.replace(diff=Diff(diff.first, second)))
    body = RawBlockBody.of(made)
    return body, split_body(body)


@pytest.mark.parametrize("path", sorted(vectors_path("blocks").glob("*.bin")), ids=lambda path: path.name[:10])
def test_real_blocks_are_their_parts(path: Path) -> None:
    """Header, frame and items of a mainnet block are that block, its header promises its body, and its outline is small."""
    raw = path.read_bytes()
    header, body = split_block(raw)
    parts = split_body(body)
    assert join_block(header, rebuild_body(parts.frame, parts.items)) == raw
    assert is_body_of(body, header.value.protocol_state.body.blockchain_state.body_reference)
    outline = short_outline(parts, state_hash_of_block(raw), ASKER)
    assert outline.id_bytes == SHORT_BYTES
    assert len(codec(Outline).encode(outline)) <= max(512, len(body) // 20)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1 << 32), st.integers(0, 2), st.booleans())
def test_generated_bodies_are_their_parts(seed: int, works: int, has_second: bool) -> None:
    """The same of bodies of every form, through the bytes of their outlines."""
    body, parts = _parts(seed, works, has_second=has_second)
    for outline in (full_outline(parts), short_outline(parts, OTHER, ASKER)):
        read = codec(Outline).decode(codec(Outline).encode(outline))
        assert len(read.ids) == len(parts.items)
        assert rebuild_body(read.frame, parts.items) == body


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1 << 32), st.data())
def test_another_item_makes_another_body(seed: int, data: st.DataObject) -> None:
    """Whatever is wrong with an item, the reference tells."""
    body, parts = _parts(seed)
    reference = body_reference(body.value)
    at = data.draw(st.integers(0, len(parts.items) - 1))
    wrong = data.draw(st.binary(max_size=40))
    items = (*parts.items[:at], wrong, *parts.items[at + 1 :])
    assert is_body_of(rebuild_body(parts.frame, items), reference) == (wrong == parts.items[at])


def test_items_must_fill_the_frame() -> None:
    """Too few or too many items are no body."""
    _, parts = _parts(7)
    for items in (parts.items[:-1], (*parts.items, b"")):
        with pytest.raises(DecodeError):
            rebuild_body(parts.frame, items)


@pytest.mark.parametrize("size", [0, 1, 6, 16, 33, 255])
def test_ids_have_one_of_two_sizes(size: int) -> None:
    """An outline with ids of another size, or another number of ids, contradicts itself."""
    _, parts = _parts(7)
    with pytest.raises(DecodeError):
        _ = Outline(parts.frame, size, bytes(size * len(parts.items))).ids
    with pytest.raises(DecodeError):
        _ = Outline(parts.frame, SHORT_BYTES, bytes(SHORT_BYTES * len(parts.items) - 1)).ids


def test_a_frame_may_claim_any_number_of_works() -> None:
    """A count that no input justifies allocates nothing."""
    _, parts = _parts(7)
    huge = parts.frame.replace(first=parts.frame.first.replace(works=(1 << 64) - 1))
    with pytest.raises(DecodeError):
        _ = Outline(huge, DIGEST_BYTES, b"".join(parts.digests)).ids


def test_short_ids_differ_by_asker_and_block() -> None:
    """Who finds two items with one id for one node has found nothing for others."""
    digest = item_digest(b"item")
    ids = {short_id(outline_salt(block, asker), digest) for block in (ASKER, OTHER) for asker in (ASKER, OTHER)}
    assert len(ids) == 4
    assert all(len(name) == SHORT_BYTES for name in ids)


def test_a_work_is_the_same_in_pool_and_block() -> None:
    """The pool's bytes turn into the block's and back, without decoding."""
    generator = MinaGenerator(3)
    for two in (False, True):
        work = generator.snark_work(two=two)
        pooled = RawSnark.of(Snark(work.prover, work.fee, work.proofs))
        assert work_item(pooled) == RawSnarkWork.of(work)
        assert snark_of_item(work_item(pooled)) == pooled


def test_a_block_that_is_none_is_refused() -> None:
    """Cut or followed by more, it raises the one error."""
    generator = MinaGenerator(4)
    raw = bytes(RawBlock.of(generator.genesis()))
    for wrong in (raw[:-1], raw[: len(raw) // 2], raw + b"\0", b""):
        with pytest.raises(DecodeError):
            split_block(wrong)


def _items(bytes_max: int, count_max: int = 100) -> Items:
    return Items(Index(b"salt"), bytes_max, count_max)


def test_items_are_found_and_bounded() -> None:
    """What was met longest ago goes first; what is met again counts as new."""
    items = _items(30).add(b"a" * 10).add(b"b" * 10).add(b"c" * 10).add(b"a" * 10).add(b"d" * 10)
    assert items.get(item_digest(b"a" * 10)) == b"a" * 10
    assert items.get(item_digest(b"b" * 10)) is None
    assert (len(items), items.bytes_held) == (3, 30)
    assert _items(5).add(b"a" * 10).bytes_held == 0
    few = _items(100, 2).add(b"a").add(b"b").add(b"c")
    assert (len(few), few.bytes_held, few.get(item_digest(b"a"))) == (2, 2, None)


def test_items_are_found_by_short_id() -> None:
    """By salted ids of one block and asker."""
    salt = outline_salt(OTHER, ASKER)
    found = _items(100).add(b"one").add(b"two").by_short_id(salt)
    assert found == {short_id(salt, item_digest(data)): data for data in (b"one", b"two")}
