"""The decoders of what operators, transports and logs bring: keys, certificates, streams, chunks."""

from __future__ import annotations

import base64
import datetime as dt
import json
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any, Final

from nacl.pwhash import argon2i

from mina_p2p.errors import InvariantViolationError
from mina_p2p.identity import IdentityError
from mina_p2p.ids import ChannelId
from mina_p2p.reducer import p2p_machine
from mina_p2p.state import initial_state
from mina_p2p.store import Steps
from mina_p2p.testing.catalog import START, small_config
from mina_p2p.testing.dice import Dice
from mina_p2p.testing.suggestions import Suggestions
from mina_p2p.trace.chunks import ChunkKind, OpenChunk, seal
from mina_p2p.trace.errors import LogError
from mina_p2p.trace.machines import SHIPPED_MACHINE
from mina_p2p.trace.reader import BytesSource, Reader
from mina_p2p.trace.replay import replay
from mina_p2p.trace.writer import Tape, Writer
from mina_p2p_effects.fuzzing.decoders import Decoder, of_text
from mina_p2p_effects.keyfile import Cost, KeyFileError, open_key, parse_key_line, reveal_key_line, seal_key
from mina_p2p_effects.keys import SecretKey
from mina_p2p_effects.transports.quic.certificate import CertificateError, decode_signed_key, encode_signed_key, verify_certificates
from mina_p2p_effects.transports.quic.reassembly import Reassembly, TooManyGapsError
from mina_p2p_effects.transports.quic.streams import Answer, Control, Request, StreamViolationError, encode_frames, opening

_CHEAP: Final = Cost(argon2i.MEMLIMIT_MIN, argon2i.OPSLIMIT_MIN)
_PASSWORD: Final = b"fuzz"
_NOW: Final = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)

_CERTIFICATE: Final = base64.b64decode(
    "MIIBhDCCASmgAwIBAgIUXLoe23U7rjziYzQjsEVQkakmhUswCgYIKoZIzj0EAwIwADAgFw03NTAxMDEwMDAwMDBaGA80MDk2MDEwMTAwMDAw"
    "MFowADBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABDLhKvSZJahzimLSEeOPnuNwY4YS2NSga0/pDzjFlBVm3UB6h0/LrvWlGNh9ZovaBrpZ"
    "lJyMOnR6yvs/MSRGF5GjfzB9MHsGCisGAQQBg6JaAQEBAf8EajBoBCQIARIgdCK5iHWYBo4yxESKlJrbKQ0PTjW54BsO5fGh5gD+JnQEQEpg"
    "Dd3YcsLbNnZ7RFgdzZMCgr2WWz5+xMT0i433rlN/hQUyRfaVIjBbPTfor06sxqtquGT3F5PjJ05gJ/HvuggwCgYIKoZIzj0EAwIDSQAwRgIh"
    "AKSmCxJktmoNMz+IvVBldaXiD1WWzaHWIetNG0Teswk0AiEArZY4O8j4nciOhCwehAeU1pLjvSfoONMUBdh4kfctHNQ="
)
"""Valid, by a key that everybody has. Making one takes randomness, and a search follows from its seed alone."""

_STREAM_LIMIT: Final = 256
_PIECES_MAX: Final = 8


def table() -> Iterator[Decoder]:
    """All of them."""
    key = SecretKey.deterministic(1)
    yield of_text("key.line", parse_key_line, (KeyFileError,), lambda _: [reveal_key_line(key)], reveal_key_line)
    yield Decoder("key.protobuf", SecretKey.from_protobuf, lambda _: [key.reveal_protobuf()], (IdentityError,))
    yield Decoder(
        "key.file", _open_cheaply, lambda dice: [seal_key(key, _PASSWORD, cost=_CHEAP, entropy=dice.raw).encode()], (KeyFileError,)
    )
    yield Decoder("quic.certificate", lambda data: verify_certificates((data,), _NOW), lambda _: [_CERTIFICATE], (CertificateError,))
    yield Decoder(
        "quic.signed_key",
        decode_signed_key,
        lambda dice: [encode_signed_key(dice.raw(36), dice.raw(64))],
        (CertificateError,),
        lambda parts: encode_signed_key(*parts) if sum(map(len, parts)) < 0x7C else _long_signed_key(*parts),
    )
    yield Decoder("quic.control", _control, lambda dice: _streams(dice, (0,)), (StreamViolationError,))
    yield Decoder("quic.request", _request, lambda dice: _streams(dice, tuple(ChannelId)), (StreamViolationError,))
    yield Decoder("quic.answer", _answer, _answers, (StreamViolationError,))
    yield Decoder("quic.reassembly", _reassemble, lambda dice: [dice.raw(24) for _ in range(6)], (TooManyGapsError,))
    yield Decoder("log.bytes", _replayed, lambda _: [_log()], (LogError,))
    yield Decoder("log.chunk", _chunk, lambda _: _chunks(), (LogError,))
    schema = SHIPPED_MACHINE.schema
    yield Decoder("log.value", schema.decode, lambda _: _values(), (LogError,), schema.encode)


def _long_signed_key(public_key: bytes, signature: bytes) -> bytes:
    """What DER writes where the short form of a length does not do."""
    inner = b"".join(b"\x04" + _der_length(len(part)) + part for part in (public_key, signature))
    return b"\x30" + _der_length(len(inner)) + inner


def _der_length(length: int) -> bytes:
    return bytes((length,)) if length < 0x80 else bytes((0x81, length))


def _open_cheaply(data: bytes) -> SecretKey:
    """Open a key file, with the least cost where it asks for more: that would only take time."""
    try:
        fields: Any = json.loads(data)
        cost = fields["pwdiff"]
        if all(type(part) is int for part in cost) and (cost[0] > _CHEAP.memory_bytes or cost[1] > _CHEAP.iterations):
            data = json.dumps({**fields, "pwdiff": [_CHEAP.memory_bytes, _CHEAP.iterations]}).encode()
    except (ValueError, TypeError, KeyError, IndexError, RecursionError):
        pass
    return open_key(data, _PASSWORD)


# --- streams, in pieces as the first bytes say -------------------------------------------------


def _streams(dice: Dice, kinds: Iterable[int]) -> Iterable[bytes]:
    for kind in kinds:
        yield bytes((dice.below(40),)) + opening(kind, dice.raw(dice.below(60)))


def _answers(dice: Dice) -> Iterable[bytes]:
    for count in range(4):
        yield bytes((dice.below(40),)) + encode_frames(tuple(dice.raw(dice.below(60)) for _ in range(count)))


def _pieces(data: bytes) -> list[bytes]:
    size, stream = 1 + data[0] if data else 1, data[1:]
    return [stream[at : at + size] for at in range(0, len(stream), size)]


def _control(data: bytes) -> Any:
    control = Control(_STREAM_LIMIT, from_dialer=True)
    return [_held(control.feed(piece, ends=False), control.held) for piece in _pieces(data)]


def _request(data: bytes) -> Any:
    request = Request(_STREAM_LIMIT)
    frames = [_held(request.feed(piece), request.held) for piece in _pieces(data)]
    request.end()
    return frames


def _answer(data: bytes) -> Any:
    answer = Answer(ChannelId.RPC, 2 * _STREAM_LIMIT, _STREAM_LIMIT, is_asking=False)
    frames = [_held(answer.feed(piece), answer.held) for piece in _pieces(data)]
    answer.end()
    return frames


def _held(found: Any, held: int) -> Any:
    if held > _STREAM_LIMIT:
        raise AssertionError(f"{held} bytes are held of a frame of at most {_STREAM_LIMIT}")
    return found


def _reassemble(data: bytes) -> bytes:
    """Two bytes say where a piece begins and how long it is; every byte's value is its place."""
    stream = bytes(range(256)) * 2
    reassembly = Reassembly(0, _PIECES_MAX)
    found = b""
    for offset, size in zip(data[::2], data[1::2], strict=False):
        found += reassembly.add(offset, stream[offset : offset + size])
        if found != stream[: len(found)] or reassembly.start != len(found):
            raise AssertionError(f"the stream came out as {found!r}, and goes on at {reassembly.start}")
        if reassembly.held > 256 + len(stream):
            raise AssertionError(f"{reassembly.held} bytes are held")
    return found


# --- logs ----------------------------------------------------------------------------------------


def _replayed(data: bytes) -> Any:
    result = replay(Reader(BytesSource(data)), p2p_machine(), SHIPPED_MACHINE.schema)
    return result.replace(header=None)


@cache
def _recorded() -> tuple[tuple[OpenChunk, ...], tuple[Any, ...]]:
    """The chunks of a small log, and its inputs."""
    machine, state = p2p_machine(), initial_state(small_config(), START)
    writer = Writer(machine, SHIPPED_MACHINE.name, state, schema=SHIPPED_MACHINE.schema)
    dice = Dice(1, "a log to begin with")
    inputs: list[Any] = []
    for _ in range(24):
        draw = Suggestions(dice.below, state, hostility=0)
        action, now = draw.input(), draw.later()
        try:
            state, _, first_id, steps, refused = machine.execute(state, action, now)
        except InvariantViolationError:
            continue
        inputs.append(action)
        writer.add(action, now, Steps(first_id, steps, refused), state)
    writer.close()
    return tuple(writer.take()), tuple(inputs)


def _log() -> bytes:
    tape = Tape(SHIPPED_MACHINE.schema)
    return b"".join(map(tape.append, _recorded()[0])) + tape.finish()


def _values() -> list[bytes]:
    return [SHIPPED_MACHINE.schema.encode(action) for action in _recorded()[1]]


def _chunks() -> list[bytes]:
    """Each as its kind and its payload: checksums are put on afterwards, or no damage would get past them."""
    return [bytes((chunk.kind,)) + b"".join(chunk.parts) for chunk in _recorded()[0]]


def _chunk(data: bytes) -> Any:
    """A chunk behind the header and the first state of a log; a header or a state stands in the place of the log's own."""
    header, state, *_ = _recorded()[0]
    kind = data[0] if data else ChunkKind.RECORDS
    chunk = OpenChunk(ChunkKind(kind) if kind in tuple(ChunkKind) else ChunkKind.RECORDS, 1, START, (data[1:],))
    parts = (
        [chunk, state] if chunk.kind is ChunkKind.HEADER else [header, chunk] if chunk.kind is ChunkKind.STATE else [header, state, chunk]
    )
    return _replayed(b"".join(seal(part, SHIPPED_MACHINE.schema.digest, None) for part in parts))
