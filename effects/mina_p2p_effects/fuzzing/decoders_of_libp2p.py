"""The decoders of libp2p's layers: negotiation, handshake, frames of streams, messages."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from mina_p2p.address import Domain, Ipv4, Ipv6, Libp2pAddress
from mina_p2p.errors import DecodeError
from mina_p2p.peer_exchange.messages import envelope_of, payload_of, read_envelope
from mina_p2p.testing.catalog import OTHERS
from mina_p2p.testing.dice import Dice
from mina_p2p.transport import SocketAddress
from mina_p2p.wire.protobuf import protobuf
from mina_p2p.wire.varint import DelimitedCutter, encode_delimited
from mina_p2p_effects.fuzzing.decoders import Decoder
from mina_p2p_effects.keys import SecretKey
from mina_p2p_effects.transports.libp2p import multistream as ms
from mina_p2p_effects.transports.libp2p.config import Libp2pConfig
from mina_p2p_effects.transports.libp2p.connection import NOISE, Connection, Phase, Profile
from mina_p2p_effects.transports.libp2p.events import Closed
from mina_p2p_effects.transports.libp2p.faults import LayerError
from mina_p2p_effects.transports.libp2p.noise import NoiseExtensions, NoisePayload
from mina_p2p_effects.transports.libp2p.protocols import RpcCutter
from mina_p2p_effects.transports.libp2p.yamux import Yamux

_PROTOCOLS: Final = (NOISE, "/coda/yamux/1.0.0")
_LIMIT: Final = 256
_HEADER: Final = struct.Struct(">BBHII")
_REMOTE: Final = SocketAddress("192.0.2.1", 8302)


def table() -> Iterator[Decoder]:
    """All of them. The first byte of an input says in pieces of which size the rest comes; nothing may depend on it."""
    errors = (LayerError, DecodeError)
    yield Decoder("libp2p.chooser", _in_pieces(lambda: _negotiation(ms.Chooser(_PROTOCOLS))), _proposals, errors)
    yield Decoder("libp2p.proposer", _in_pieces(lambda: _negotiation(ms.Proposer(_PROTOCOLS))), _answers, errors)
    yield Decoder("libp2p.crossing", _in_pieces(lambda: _negotiation(ms.Proposer(_PROTOCOLS, 7))), _crossings, errors)
    yield Decoder("libp2p.yamux", _in_pieces(_session), _frames, errors)
    yield Decoder("libp2p.connection", _connect, _beginnings, ())
    yield Decoder("libp2p.delimited", _in_pieces(lambda: _cutter(DelimitedCutter(_LIMIT))), _delimited_messages, errors)
    yield Decoder("libp2p.rpc_messages", _in_pieces(lambda: _cutter(RpcCutter(_LIMIT))), _rpc_messages, errors)
    payload = protobuf(NoisePayload)
    yield Decoder("libp2p.noise_payload", payload.decode, _payloads, encode=payload.encode)
    yield Decoder("libp2p.peer_record", read_envelope, _records)


# --- streams of bytes, in pieces and in one ------------------------------------------------------------

Reader = tuple[Callable[[bytes], None], Callable[[], Any]]
"""What takes bytes, and what tells the outcome so far."""


def _in_pieces(make: Callable[[], Reader]) -> Callable[[bytes], Any]:
    def decode(data: bytes) -> Any:
        size, stream = 1 + data[0] if data else 1, data[1:]
        found, error = _outcome(make(), [stream[at : at + size] for at in range(0, len(stream), size)])
        whole, failure = _outcome(make(), [stream])
        if (found, _kind(error)) != (whole, _kind(failure)):
            raise AssertionError(f"in pieces of {size} bytes it is {found!r} and {error!r}, in one {whole!r} and {failure!r}")
        if failure is not None:
            raise failure
        return whole

    return decode


def _outcome(reader: Reader, pieces: list[bytes]) -> tuple[Any, Exception | None]:
    feed, result = reader
    try:
        for piece in pieces:
            feed(piece)
    except (LayerError, DecodeError) as error:
        return result(), error
    return result(), None


def _kind(error: Exception | None) -> Any:
    return type(error), error.fault if isinstance(error, LayerError) else None


def _negotiation(side: ms.Chooser | ms.Proposer) -> Reader:
    """Ends with the agreement; what comes then is the next layer's."""
    agreed: list[ms.Agreed] = []
    rest = bytearray()

    def feed(piece: bytes) -> None:
        if agreed:
            rest.extend(piece)
        elif (found := side.receive(piece)) is not None:
            agreed.append(found)
            rest.extend(found.rest)

    return feed, lambda: ([(found.protocol, found.is_initiator) for found in agreed], bytes(rest), bytes(side.to_send))


def _cutter(cutter: DelimitedCutter | RpcCutter) -> Reader:
    messages: list[bytes] = []

    def feed(piece: bytes) -> None:
        cutter.feed(memoryview(piece), messages)
        if cutter.buffered > _LIMIT:
            raise AssertionError(f"{cutter.buffered} bytes are held of messages of at most {_LIMIT}")

    return feed, lambda: messages


class _Told:
    """What a session tells: of each stream its bytes together, as pieces of bytes make pieces of data."""

    def __init__(self) -> None:
        self.events: list[tuple[str, int]] = []
        self.data: dict[int, bytes] = {}

    def stream_opened(self, stream: int) -> None:
        self.events.append(("opened", stream))

    def stream_data(self, stream: int, data: memoryview) -> None:
        self.data[stream] = self.data.get(stream, b"") + data

    def stream_ended(self, stream: int) -> None:
        self.events.append(("ended", stream))

    def stream_was_reset(self, stream: int) -> None:
        self.events.append(("reset", stream))

    def went_away(self) -> None:
        self.events.append(("away", 0))


def _session() -> Reader:
    told = _Told()
    session = Yamux(Libp2pConfig(), told, is_initiator=False, now=0.0)
    return lambda piece: session.receive(piece, 1.0), lambda: (told.events, told.data, len(session))


def _connect(data: bytes) -> Any:
    """A listener and a stranger's bytes: it never raises, and is closed or still waits."""
    size, stream = 1 + data[0] if data else 1, data[1:]
    dice = Dice(1, "a listener")
    connection = Connection(Profile(SecretKey.deterministic(1), Libp2pConfig(), {}, None, dice.raw), _REMOTE, is_dialer=False, now=0.0)
    for at in range(0, len(stream), size):
        connection.receive(stream[at : at + size], 1.0)
        connection.transmit()
    is_closed = any(isinstance(event, Closed) for event in connection.events)
    if is_closed != (connection.phase is Phase.CLOSED):
        raise AssertionError(f"in the phase {connection.phase.name} it told {list(connection.events)!r}")
    return connection.phase


# --- valid streams -------------------------------------------------------------------------------------


def _tokens(dice: Dice, *tokens: str) -> bytes:
    return bytes((dice.below(9),)) + b"".join(map(ms.encode_token, (ms.HEADER, *tokens)))


def _proposals(dice: Dice) -> Iterable[bytes]:
    return [_tokens(dice, NOISE), _tokens(dice, "/tls/1.0.0", _PROTOCOLS[1]) + b"next", _tokens(dice)]


def _answers(dice: Dice) -> Iterable[bytes]:
    return [_tokens(dice, NOISE), _tokens(dice, ms.REFUSAL, _PROTOCOLS[1]) + b"next"]


def _crossings(dice: Dice) -> Iterable[bytes]:
    return [
        _tokens(dice, ms.REFUSAL, NOISE),
        _tokens(dice, ms.SIMULTANEOUS, NOISE, "select:3", "responder", NOISE),
        _tokens(dice, ms.SIMULTANEOUS, NOISE, "select:9", "initiator", NOISE) + b"next",
    ]


def _frames(dice: Dice) -> Iterable[bytes]:
    opened = _HEADER.pack(0, 1, 1, 1, 0)
    data = dice.raw(20)
    for flags in (0, 4, 8):
        yield bytes((dice.below(30),)) + opened + _HEADER.pack(0, 0, flags, 1, len(data)) + data
    yield bytes((3,)) + _HEADER.pack(0, 0, 1, 3, 4) + b"data" + _HEADER.pack(0, 1, 4, 3, 100) + _HEADER.pack(0, 2, 1, 0, 7)
    yield bytes((90,)) + _HEADER.pack(0, 3, 0, 0, 0)


def _beginnings(dice: Dice) -> Iterable[bytes]:
    hello = _tokens(dice, NOISE)
    return [hello, hello + b"\x00\x20" + dice.raw(32), hello + b"\x00\x28" + dice.raw(40) + b"\x00\xc8" + dice.raw(200)]


def _delimited_messages(dice: Dice) -> Iterable[bytes]:
    for count in range(4):
        yield bytes((dice.below(9),)) + b"".join(encode_delimited(dice.raw(dice.below(200))) for _ in range(count))


def _rpc_messages(dice: Dice) -> Iterable[bytes]:
    for count in range(4):
        bodies = [dice.raw(dice.below(40)) for _ in range(count)]
        yield bytes((dice.below(9),)) + b"".join(len(body).to_bytes(8, "little") + body for body in bodies)


def _payloads(dice: Dice) -> Iterable[bytes]:
    for extensions in (None, NoiseExtensions(), NoiseExtensions(("/coda/yamux/1.0.0",))):
        yield protobuf(NoisePayload).encode(NoisePayload(OTHERS[0].protobuf, dice.raw(64), extensions))


def _records(dice: Dice) -> Iterable[bytes]:
    peer, hosts = OTHERS[0], (Ipv4(dice.raw(4)), Ipv6(dice.raw(16)), Domain("seed.example.org"))
    for count in range(4):
        addresses = [Libp2pAddress(peer, host, 1 + dice.below(65_535)) for host in hosts[:count]]
        yield envelope_of(peer, payload_of(peer, dice.below(1 << 40), addresses), dice.raw(64))
