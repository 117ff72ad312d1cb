"""Frames are cut alike however the stream arrives, within bounded memory."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mina_p2p.errors import DecodeError
from mina_p2p.wire import FrameCutter, FrameTooLarge, encode_frame

payloads = st.lists(st.binary(max_size=40), max_size=6)


@given(payloads, st.lists(st.integers(0, 60)))
def test_frames_do_not_depend_on_how_the_stream_is_cut(frames: list[bytes], cuts: list[int]) -> None:
    """Any cutting of the stream gives the payloads in order."""
    stream = b"".join(map(encode_frame, frames))
    cutter = FrameCutter(40)
    got: list[bytes] = []
    for cut in cuts:
        got += cutter.feed(stream[:cut])
        stream = stream[cut:]
    got += cutter.feed(stream)
    assert got == frames
    assert cutter.is_between_frames
    assert cutter.buffered == 0


def test_stream_that_ends_inside_a_frame_is_noticed() -> None:
    """Header or payload may be missing a part; both show."""
    cutter = FrameCutter(10)
    assert cutter.feed(b"\0\0") == []
    assert not cutter.is_between_frames
    assert cutter.feed(b"\0\x02a") == []
    assert not cutter.is_between_frames
    assert cutter.buffered == 1
    assert cutter.feed(b"b") == [b"ab"]
    assert cutter.is_between_frames


def test_frame_over_the_limit_is_refused_before_it_is_buffered() -> None:
    """The error comes with the header, carries what was complete before, and stays."""
    cutter = FrameCutter(4)
    with pytest.raises(FrameTooLarge, match="at most 4") as caught:
        cutter.feed(encode_frame(b"ok") + b"\0\0\0\x05....")
    error = caught.value
    assert isinstance(error, DecodeError)
    assert (error.complete, error.size, error.limit, error.offset) == ((b"ok",), 5, 4, 6)
    assert cutter.buffered == 0
    with pytest.raises(FrameTooLarge) as again:
        cutter.feed(b"x")
    assert again.value.complete == ()
    assert pickle.loads(pickle.dumps(error)).complete == (b"ok",)


def test_announced_length_allocates_nothing() -> None:
    """A header that announces much holds no more memory than what arrived."""
    cutter = FrameCutter(2**32 - 1)
    assert cutter.feed(b"\xff\xff\xff\xff" + b"abc") == []
    assert cutter.buffered == 3


def test_frame_of_the_limit_passes() -> None:
    """The limit itself is allowed, and so is an empty payload."""
    cutter = FrameCutter(3)
    assert cutter.feed(encode_frame(b"abc") + encode_frame(b"")) == [b"abc", b""]
