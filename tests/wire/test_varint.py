"""Varints, and messages behind their length."""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mina_p2p.errors import DecodeError
from mina_p2p.wire.framing import FrameTooLarge
from mina_p2p.wire.primitives import Malformed
from mina_p2p.wire.varint import DelimitedCutter, encode_delimited, read_varint, write_varint


@given(st.integers(0, 2**64 - 1))
def test_a_number_is_read_as_written_and_no_shorter_form_exists(value: int):
    encoded = write_varint(value)
    assert read_varint(b"x" + encoded + b"\xff", 1) == (value, 1 + len(encoded))
    assert len(encoded) == max(1, -(-value.bit_length() // 7))


@pytest.mark.parametrize("value", [-1, 2**64])
def test_a_number_that_does_not_fit_is_refused(value: int):
    with pytest.raises(ValueError, match="does not fit"):
        write_varint(value)


@pytest.mark.parametrize(
    ("data", "error"), [(b"", IndexError), (b"\x80", IndexError), (b"\x80" * 9 + b"\x02", Malformed), (b"\xff" * 11, Malformed)]
)
def test_what_is_no_number_is_refused(data: bytes, error: type[Exception]):
    with pytest.raises(error):
        read_varint(data, 0)


@given(st.lists(st.binary(max_size=300), max_size=8), st.lists(st.integers(1, 90), min_size=1, max_size=50))
def test_messages_come_out_whole_however_they_are_cut(payloads: list[bytes], sizes: list[int]):
    stream = b"".join(map(encode_delimited, payloads))
    cutter = DelimitedCutter(300)
    messages: list[bytes] = []
    position = turn = 0
    while position < len(stream):
        size = sizes[turn % len(sizes)]
        cutter.feed(stream[position : position + size], messages)
        position, turn = position + size, turn + 1
        assert cutter.buffered <= 300
    assert messages == payloads
    assert cutter.is_between_messages


@pytest.mark.parametrize(
    ("stream", "error"),
    [
        (b"\x01a\x0b", FrameTooLarge),
        (b"\x01a" + b"\xff" * 8 + b"\x7f", FrameTooLarge),
        (b"\x01a" + b"\xff" * 9, DecodeError),
        (b"\x01a\x81\x00", DecodeError),
    ],
)
@pytest.mark.parametrize("piece", [1, 100])
def test_a_bad_length_is_an_error_at_once_and_for_good(stream: bytes, error: type[DecodeError], piece: int):
    cutter = DelimitedCutter(10)
    messages: list[bytes] = []
    with pytest.raises(error) as caught:
        deque((cutter.feed(stream[at : at + piece], messages) for at in range(0, len(stream), piece)), maxlen=0)
    assert messages == [b"a"]
    assert caught.value.offset == 2
    assert cutter.buffered == 0
    with pytest.raises(error):
        cutter.feed(b"\x01a", messages)


def test_a_message_that_is_not_complete_is_held():
    cutter = DelimitedCutter(10)
    messages: list[bytes] = []
    cutter.feed(b"\x05ab", messages)
    assert (messages, cutter.buffered, cutter.is_between_messages) == ([], 2, False)
    cutter.feed(memoryview(b"cde\x00"), messages)
    assert (messages, cutter.buffered, cutter.is_between_messages) == ([b"abcde", b""], 0, True)
