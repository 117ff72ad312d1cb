"""multistream-select: which protocol both sides speak, as three small machines without I/O.

A token is a varint length, a text and a line feed. The dialer (`Proposer`) says the header and
its first choice at once, as Go and js-libp2p do; the listener (`Chooser`) echoes what it knows
and answers ``na`` to everything else. `Proposer` may also announce ``simultaneous-connect``: where
both sides dialled, that decides which of them is the initiator.

Each machine takes bytes by `receive`, leaves its answers in `to_send`, and returns `Agreed` when it is
done, with the bytes behind the agreed token: those belong to the next layer.

Source: spec libp2p 4; `multiformats/go-multistream@v0.4.1 client.go, multistream.go`.
"""

from __future__ import annotations

import enum
from collections.abc import Container, Sequence
from typing import Final

from mina_p2p.record import Record, record
from mina_p2p.wire.varint import encode_delimited
from mina_p2p_effects.transports.libp2p.faults import Fault, LayerError

TOKEN_BYTES_MAX: Final = 1024
"""Longest token with its line feed, as in Go."""
PROPOSALS_MAX: Final = 32
"""Proposals that a listener answers; nobody speaks more protocols of one layer."""
NONCE_BITS: Final = 64

HEADER: Final = "/multistream/1.0.0"
REFUSAL: Final = "na"
SIMULTANEOUS: Final = "/libp2p/simultaneous-connect"

_SELECT: Final = "select:"
_INITIATOR: Final = "initiator"
_RESPONDER: Final = "responder"


def encode_token(text: str) -> bytes:
    """A token as it travels."""
    return encode_delimited(text.encode() + b"\n")


_HEADER_TOKEN: Final = encode_token(HEADER)
_REFUSAL_TOKEN: Final = encode_token(REFUSAL)


@record
class Agreed(Record):
    """Both sides speak ``protocol``; ``rest`` are bytes of the next layer that have come already."""

    protocol: str
    rest: bytes
    is_initiator: bool


class TokenReader:
    """Cuts bytes into tokens; holds at most one unfinished token."""

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        """Take what arrived."""
        self._buffer += data

    def next(self) -> str | None:
        """The next token that is complete; what is behind it stays.

        :raises LayerError: ``TOKEN_MALFORMED``.
        """
        buffer = self._buffer
        if not buffer:
            return None
        # At most 1024 bytes, so a length has one or two bytes.
        size, start = buffer[0], 1
        if size & 0x80:
            if len(buffer) < 2:
                return None
            size, start = size & 0x7F | buffer[1] << 7, 2
            if size < 0x80 or buffer[1] & 0x80:
                raise LayerError(Fault.TOKEN_MALFORMED, "the length is no varint of a token")
        if size > TOKEN_BYTES_MAX or size == 0:
            raise LayerError(Fault.TOKEN_MALFORMED, f"{size} bytes")
        end = start + size
        if len(buffer) < end:
            return None
        token = bytes(buffer[start : end - 1])
        if buffer[end - 1] != 0x0A or b"\n" in token:
            raise LayerError(Fault.TOKEN_MALFORMED, "no line feed at the end, or another one before")
        del buffer[:end]
        try:
            return token.decode()
        except UnicodeDecodeError:
            raise LayerError(Fault.TOKEN_MALFORMED, "not UTF-8") from None

    def take_rest(self) -> bytes:
        """All bytes that were not cut; the reader is empty then."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        return rest


class Chooser:
    """The listener's side.

    :param protocols: what we speak.
    """

    __slots__ = ("_left", "_protocols", "_reader", "has_heard", "to_send")

    def __init__(self, protocols: Container[str]) -> None:
        self._protocols = protocols
        self._reader = TokenReader()
        self.has_heard = False
        """Whether the peer's header has come."""
        self._left = PROPOSALS_MAX
        self.to_send = bytearray(_HEADER_TOKEN)

    def receive(self, data: bytes) -> Agreed | None:
        """Take bytes; :raises LayerError: where they are no negotiation."""
        self._reader.feed(data)
        while (token := self._reader.next()) is not None:
            if not self.has_heard:
                _expect(token, HEADER)
                self.has_heard = True
            elif token in self._protocols:
                self.to_send += encode_token(token)
                return Agreed(token, self._reader.take_rest(), is_initiator=False)
            elif self._left == 0:
                raise LayerError(Fault.TOO_MANY_PROPOSALS)
            else:
                self._left -= 1
                self.to_send += _REFUSAL_TOKEN
        return None


class _Wait(enum.Enum):
    """What a proposer expects next."""

    HEADER = enum.auto()
    ANSWER = enum.auto()
    EXTENSION = enum.auto()  # the answer to simultaneous-connect
    PIPELINED = enum.auto()  # the other dialer's first choice, which counts for nothing
    NUMBER = enum.auto()
    CONFIRMATION = enum.auto()
    PROPOSAL = enum.auto()  # both dialled and the other one leads


class Proposer:
    """The dialer's side.

    :param protocols: what we speak, best first; at least one.
    :param nonce: a random number of 64 bits, to announce ``simultaneous-connect``; without it we do not.
    """

    __slots__ = ("_is_initiator", "_left", "_nonce", "_protocols", "_reader", "_tried", "_wait", "to_send")

    def __init__(self, protocols: Sequence[str], nonce: int | None = None) -> None:
        self._protocols = protocols
        self._nonce = nonce
        self._reader = TokenReader()
        self._wait = _Wait.HEADER
        self._tried = 0
        self._left = PROPOSALS_MAX
        self._is_initiator = True
        self.to_send = bytearray(_HEADER_TOKEN)
        if nonce is not None:
            self.to_send += encode_token(SIMULTANEOUS)
        self._propose()

    @property
    def has_heard(self) -> bool:
        """Whether the peer's header has come."""
        return self._wait is not _Wait.HEADER

    def receive(self, data: bytes) -> Agreed | None:
        """Take bytes; :raises LayerError: where they are no negotiation, or nothing is in common."""
        self._reader.feed(data)
        while (token := self._reader.next()) is not None:
            agreed = self._take(token)
            if agreed is not None:
                return Agreed(agreed, self._reader.take_rest(), self._is_initiator)
        return None

    def _take(self, token: str) -> str | None:
        """Take one token; the protocol, where it decides."""
        match self._wait:
            case _Wait.HEADER:
                _expect(token, HEADER)
                self._wait = _Wait.ANSWER if self._nonce is None else _Wait.EXTENSION
            case _Wait.ANSWER:
                proposed = self._protocols[self._tried - 1]
                if token == proposed:
                    return proposed
                _expect(token, REFUSAL)
                self._propose()
            case _Wait.EXTENSION:
                if token == SIMULTANEOUS:
                    self.to_send += encode_token(f"{_SELECT}{self._nonce}")
                    self._wait = _Wait.PIPELINED
                else:
                    _expect(token, REFUSAL)
                    self._wait = _Wait.ANSWER
            case _Wait.PIPELINED:
                self._wait = _Wait.NUMBER
            case _Wait.NUMBER:
                self._compare(token)
            case _Wait.CONFIRMATION:
                _expect(token, _RESPONDER if self._is_initiator else _INITIATOR)
                if self._is_initiator:
                    self._tried = 0
                    self._propose()
                    self._wait = _Wait.ANSWER
                else:
                    self._wait = _Wait.PROPOSAL
            case _Wait.PROPOSAL:
                if token in self._protocols:
                    self.to_send += encode_token(token)
                    return token
                if self._left == 0:
                    raise LayerError(Fault.TOO_MANY_PROPOSALS)
                self._left -= 1
                self.to_send += _REFUSAL_TOKEN
        return None

    def _propose(self) -> None:
        if self._tried == len(self._protocols):
            raise LayerError(Fault.NO_COMMON_PROTOCOL, f"the peer speaks none of {', '.join(self._protocols)}")
        self.to_send += encode_token(self._protocols[self._tried])
        self._tried += 1

    def _compare(self, token: str) -> None:
        """Both dialled: the larger number leads."""
        digits = token.removeprefix(_SELECT)
        if digits == token or not digits.isascii() or not digits.isdigit() or len(digits) > 20 or int(digits) >> NONCE_BITS:
            raise LayerError(Fault.NEGOTIATION_MISUSE, "a number was expected")
        theirs = int(digits)
        if theirs == self._nonce:
            raise LayerError(Fault.EQUAL_NONCES)
        self._is_initiator = self._nonce is not None and theirs < self._nonce
        self.to_send += encode_token(_INITIATOR if self._is_initiator else _RESPONDER)
        self._wait = _Wait.CONFIRMATION


def _expect(token: str, expected: str) -> None:
    if token != expected:
        raise LayerError(Fault.NEGOTIATION_MISUSE, f"{token[:64]} instead of {expected}")
