"""The bytes of one stream as frames: control stream, a peer's request, an answer to ours.

None of them knows of QUIC. They take what arrived in order and say what it means, or
raise `StreamViolationError` with the reason that ends the connection.
"""

from __future__ import annotations

from typing import Final

from mina_p2p.disconnection.reasons import Reason, ReasonCode
from mina_p2p.errors import MinaP2pError
from mina_p2p.ids import ChannelId
from mina_p2p.transport import CONVERSATION_CHANNELS
from mina_p2p.wire.framing import HEADER_SIZE, FrameCutter, FrameTooLarge
from mina_p2p_effects.transports.quic.credit import Credit

CONTROL_KIND: Final = 0
"""First byte of the control stream, where every other stream has its channel."""

_CHANNELS: Final = {channel.value: channel for channel in ChannelId}


class StreamViolationError(MinaP2pError):
    """The peer used a stream against the mapping."""

    def __init__(self, reason: Reason, complete: tuple[bytes, ...] = ()) -> None:
        super().__init__(str(reason))
        self.reason = reason
        self.complete = complete
        """Frames that came whole before it."""


def opening(kind: int, frame: bytes) -> bytes:
    """How a stream begins: its kind or channel as a QUIC varint of one byte, then a frame."""
    return b"%c%b%b" % (kind, len(frame).to_bytes(4, "big"), frame)


def encode_frames(frames: tuple[bytes, ...]) -> bytes:
    """Frames one after the other, as an answer's half carries them."""
    return b"".join(part for frame in frames for part in (len(frame).to_bytes(4, "big"), frame))


class Control:
    """The control stream's incoming half: the kind where the dialer sends, and one hello."""

    __slots__ = ("_cutter", "_kind_due", "_said_hello")

    def __init__(self, hello_bytes_max: int, *, from_dialer: bool) -> None:
        self._cutter = FrameCutter(hello_bytes_max)
        self._kind_due = from_dialer
        self._said_hello = False

    @property
    def held(self) -> int:
        """Bytes kept of a hello that is not whole."""
        return self._cutter.buffered

    def feed(self, data: bytes, *, ends: bool) -> bytes | None:
        """Take bytes; return the hello once it is whole.

        :raises StreamViolationError: ``STREAM_MISUSE`` or ``HELLO_INVALID``.
        """
        if data and self._kind_due:
            if data[0] != CONTROL_KIND:
                raise StreamViolationError(Reason(ReasonCode.STREAM_MISUSE, detail="the first stream is not the control stream"))
            self._kind_due = False
            data = data[1:]
        try:
            frames = self._cutter.feed(data)
        except FrameTooLarge as error:
            raise StreamViolationError(Reason(ReasonCode.HELLO_INVALID, detail=f"a hello of {error.size} bytes")) from None
        if ends:
            raise StreamViolationError(Reason(ReasonCode.STREAM_MISUSE, detail="the control stream ended"))
        if not frames:
            return None
        if self._said_hello or len(frames) > 1:
            raise StreamViolationError(Reason(ReasonCode.STREAM_MISUSE, detail="a second hello"))
        self._said_hello = True
        return frames[0]


class Request:
    """A stream that the peer opened: a channel and one request; in a conversation, further frames."""

    __slots__ = ("_cutter", "_delivered", "_is_whole", "channel", "is_answered", "is_conversation", "is_over")

    def __init__(self, request_bytes_max: int) -> None:
        self.channel: ChannelId | None = None
        """Known from the first byte on."""
        self.is_conversation = False
        """Whether the channel is one where the peer may go on speaking."""
        self.is_over = False
        """Answered, refused or cancelled: whatever still comes is of no interest."""
        self.is_answered = False
        """Answered to the end, which the peer may still give up before it has read it; never in a conversation, where it may be asking."""
        self._cutter = FrameCutter(request_bytes_max)
        self._is_whole = False
        self._delivered = 1  # the channel's byte, and the frames that were whole

    @property
    def held(self) -> int:
        """Bytes kept of a frame that is not whole."""
        return self._cutter.buffered

    @property
    def is_answerable(self) -> bool:
        """Whether the request came whole and its answer has not ended."""
        return self._is_whole and not self.is_over

    @property
    def credit(self) -> int:
        """Offset up to which the peer may send: one largest frame ahead of those that were whole."""
        return self._delivered + HEADER_SIZE + self._cutter.limit

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes; return the frames that are whole now.

        :raises StreamViolationError: ``STREAM_MISUSE`` or ``CHANNEL_MSG_TOO_LARGE``, in a conversation with the frames before it.
        """
        if data and self.channel is None:
            self.channel = _CHANNELS.get(data[0])
            if self.channel is None:
                raise StreamViolationError(Reason(ReasonCode.STREAM_MISUSE, detail=f"a stream for channel {data[0]}, which does not exist"))
            self.is_conversation = self.channel in CONVERSATION_CHANNELS
            data = data[1:]
        try:
            frames = self._cutter.feed(data)
        except FrameTooLarge as error:
            reason = Reason(ReasonCode.CHANNEL_MSG_TOO_LARGE, self.channel, f"a request of {error.size} bytes; at most {error.limit}")
            raise StreamViolationError(reason, error.complete if self.is_conversation else ()) from None
        count = len(frames) + self._is_whole
        if not self.is_conversation and (count > 1 or (count and not self._cutter.is_between_frames)):
            raise StreamViolationError(Reason(ReasonCode.STREAM_MISUSE, self.channel, "more than one request on a stream"))
        self._is_whole = bool(count)
        self._delivered += _size(frames)
        return frames

    def end(self) -> None:
        """The peer's half ended.

        :raises StreamViolationError: ``STREAM_MISUSE`` before the request, or inside a frame.
        """
        if not (self._is_whole and self._cutter.is_between_frames):
            raise StreamViolationError(Reason(ReasonCode.STREAM_MISUSE, self.channel, "a stream ended before its request"))


class Answer:
    """The answer to a request of ours, and its credit."""

    __slots__ = ("_cutter", "_whole", "channel", "credit", "is_asking")

    def __init__(self, channel: ChannelId, answer_bytes_max: int, frame_bytes_max: int, *, is_asking: bool) -> None:
        self.channel = channel
        self.credit = Credit(answer_bytes_max)
        self.is_asking = is_asking
        """Whether our half of the stream is still open."""
        self._cutter = FrameCutter(frame_bytes_max)
        self._whole = 0  # bytes of the frames that were whole

    @property
    def held(self) -> int:
        """Bytes kept of a frame that is not whole."""
        return self._cutter.buffered

    @property
    def unfinished(self) -> int:
        """Bytes that came of a frame which is not whole yet, its length included."""
        return self.credit.consumed - self._whole

    def set_frame_limit(self, frame_bytes_max: int) -> None:
        """Replace the longest payload; a frame whose length was read already came under the earlier one."""
        self._cutter.limit = frame_bytes_max

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes; return the frames that are whole now.

        :raises StreamViolationError: with the frames before it, ``CHANNEL_MSG_TOO_LARGE``, or ``CHANNEL_MSG_OVER_PERMISSION``
            where the peer used credit that an earlier turn had left and this one does not permit.
        """
        room = self.credit.permitted - self.credit.consumed
        try:
            frames = self._cutter.feed(data[:room])
        except FrameTooLarge as error:
            reason = Reason(ReasonCode.CHANNEL_MSG_TOO_LARGE, self.channel, f"a message of {error.size} bytes; at most {error.limit}")
            raise StreamViolationError(reason, error.complete) from None
        if len(data) > room:
            raise StreamViolationError(over_permission(self.channel), tuple(frames))
        self._whole += _size(frames)
        return frames

    def end(self) -> None:
        """The peer's half ended.

        :raises StreamViolationError: ``ANSWER_TRUNCATED`` inside a frame.
        """
        if not self._cutter.is_between_frames:
            raise StreamViolationError(Reason(ReasonCode.ANSWER_TRUNCATED, self.channel, "an answer ended inside a message"))


def over_permission(channel: ChannelId) -> Reason:
    """Why a connection ends whose peer answers with what an earlier turn of the conversation had permitted."""
    return Reason(ReasonCode.CHANNEL_MSG_OVER_PERMISSION, channel, "more than this turn of the conversation permits")


def _size(frames: list[bytes]) -> int:
    """Bytes of frames on the stream."""
    return HEADER_SIZE * len(frames) + sum(map(len, frames))
