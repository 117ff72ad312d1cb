"""The bytes of channel 10: what the specification says, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocks.lab import chain
from mina_p2p.blocks.split import full_outline, short_outline
from mina_p2p.channels.block.messages import (
    BLOCK_MESSAGE,
    INDEXES_MAX,
    AloneRest,
    BlockBodyItem,
    BlockGetBody,
    BlockGetHeader,
    BlockGetItems,
    BlockGetNext,
    BlockGetOutline,
    BlockHash,
    BlockHeaderItem,
    BlockItems,
    BlockMessage,
    BlockNotHeld,
    BlockOutlineItem,
    BodyRest,
    OutlineRest,
    Wants,
)
from mina_p2p.errors import DecodeError

BLOCK = chain()[-1]
HASH = bytes(range(32))
SALTED = short_outline(BLOCK.parts, BLOCK.state_hash, HASH)

SMALL: dict[str, tuple[BlockMessage, bytes]] = {
    "GetNext, a header": (BlockGetNext(Wants.HEADER, 512), b"\0\1\xfe\0\2"),
    "GetNext, a hash": (BlockGetNext(Wants.HASH, 0), b"\0\0\0"),
    "GetHeader": (BlockGetHeader(HASH, 5), b"\1" + HASH + b"\5"),
    "GetOutline": (BlockGetOutline(HASH), b"\2" + HASH),
    "GetItems": (BlockGetItems(HASH, (1, 300)), b"\3" + HASH + b"\2\1\xfe\x2c\1"),
    "GetBody": (BlockGetBody(HASH), b"\4" + HASH),
    "Hash": (BlockHash(HASH), b"\5" + HASH),
    "Items": (BlockItems((b"ab", b"")), b"\x08\2\2ab\0"),
    "NotHeld": (BlockNotHeld(), b"\x0a"),
}
LARGE: tuple[BlockMessage, ...] = (
    BlockHeaderItem(BLOCK.header, AloneRest()),
    BlockHeaderItem(BLOCK.header, OutlineRest(SALTED)),
    BlockHeaderItem(BLOCK.header, BodyRest(BLOCK.body)),
    BlockOutlineItem(full_outline(BLOCK.parts)),
    BlockItems(BLOCK.parts.items),
    BlockBodyItem(BLOCK.body),
)


@pytest.mark.parametrize("name", SMALL)
def test_small_messages_are_these_bytes(name: str) -> None:
    """Both ways."""
    message, raw = SMALL[name]
    assert BLOCK_MESSAGE.encode(message) == raw
    assert BLOCK_MESSAGE.decode(raw) == message


@pytest.mark.parametrize("message", LARGE, ids=lambda message: type(message).__name__)
def test_large_messages_hold_the_exact_bytes_of_the_block(message: BlockMessage) -> None:
    """Header and body are the block's own bytes, behind the tag."""
    raw = BLOCK_MESSAGE.encode(message)
    assert BLOCK_MESSAGE.decode(raw) == message
    match message:
        case BlockHeaderItem(rest=BodyRest()):
            assert raw == b"\6" + BLOCK.header + b"\2" + BLOCK.body
        case BlockBodyItem():
            assert raw == b"\x09" + BLOCK.body
        case _:
            pass


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x0b",
        b"\0\3\0",
        b"\0\1",
        b"\5" + HASH[:-1],
        b"\5" + HASH + b"\0",
        b"\3" + HASH + b"\xfd\xff\xff\xff\x7f",
        b"\3" + HASH + b"\xfe\x01\x10" + b"\0" * (INDEXES_MAX + 1),
        b"\x08\1\xfd\xff\xff\xff\x7fab",
        b"\x08\xfd\xff\xff\xff\x0f",
        b"\6" + BLOCK.header + b"\3",
        b"\6" + BLOCK.header[:-1],
        b"\x09" + BLOCK.body[:-1],
        b"\x0a\0",
    ],
)
def test_malformed_messages_raise_the_one_error(raw: bytes) -> None:
    """Unknown tags, cut or longer input, counts that no input justifies."""
    with pytest.raises(DecodeError):
        BLOCK_MESSAGE.decode(raw)


@given(st.binary(max_size=200), st.integers(0, 10))
def test_noise_is_a_message_or_the_one_error(noise: bytes, tag: int) -> None:
    """And what is read is written the same."""
    raw = bytes([tag]) + noise
    try:
        message = BLOCK_MESSAGE.decode(raw)
    except DecodeError:
        return
    assert BLOCK_MESSAGE.encode(message) == raw
