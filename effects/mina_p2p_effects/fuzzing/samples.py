"""Values of any declared wire type, from its shape: structure-aware seeds for the decoders."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from typing import Any, Final

from mina_p2p.address import (
    DialAddress,
    Domain,
    Host,
    Ipv4,
    Ipv6,
    Libp2pAddress,
    QuicAddress,
    SignalingHttp,
    SignalingHttpsProxy,
    SignalingMethod,
    SignalingRelay,
    WebRtcAddress,
)
from mina_p2p.identity import PeerId
from mina_p2p.mina import scan_state
from mina_p2p.mina.proof import RawProof
from mina_p2p.testing.catalog import OTHERS
from mina_p2p.testing.dice import Dice
from mina_p2p.testing.mina import MinaGenerator
from mina_p2p.wire import Codec, EncodeError, dial_options
from mina_p2p.wire import shapes as sh

DEPTH_MAX: Final = 12
"""Lists and options deeper than this are empty, so that recursive types end."""

_EDGES: Final = sorted(
    {0, 1, 127, 128, 255, 256, -1, -128, -129} | {(1 << bits) - less for bits in (15, 16, 31, 32, 63, 64) for less in (0, 1)}
)
_TRIES: Final = 8


def sample(codec: Codec[Any], dice: Dice) -> bytes:
    """An encoding of some value of a type.

    :raises EncodeError: where no value that was drawn can be written, which only a type with a rule of its own can cause.
    """
    for _ in range(_TRIES - 1):
        with suppress(EncodeError):
            return codec.encode(value_of(codec.shape(), dice))
    return codec.encode(value_of(codec.shape(), dice))


def value_of(shape: sh.Shape, dice: Dice, depth: int = 0) -> Any:
    """Some value of a shape: edges often, long lists rarely."""
    below = depth + 1
    match shape:
        case sh.UnitShape():
            return None
        case sh.BoolShape():
            return bool(dice.below(2))
        case sh.FloatShape():
            return dice.choice((0.0, 1.5, -1.0, 1e300, float(dice.below(1 << 40))))
        case sh.ByteShape():
            return dice.below(256)
        case sh.IntShape(range=bounds):
            return _integer(dice, bounds.low, bounds.high)
        case sh.FixedShape(size=size, cls=cls):
            return cls(dice.raw(size) if dice.below(4) else bytes(size))
        case sh.BytesShape(limit=limit, cls=cls):
            raw = dice.raw(dice.below(min(limit, 24) + 1))
            return raw.hex()[:limit] if cls is str else cls(raw)
        case sh.RemainderShape(cls=cls):
            return cls(dice.raw(dice.below(20)))
        case sh.CustomShape(custom=custom):
            return _CUSTOM.get(custom.read, _some_bytes)(dice)
        case sh.RawShape(cls=cls) if cls is RawProof:
            return _proof()
        case sh.RawShape(cls=cls, inner=inner):
            return cls.of(value_of(inner, dice, below))
        case sh.OptionShape(inner=inner):
            return None if depth > DEPTH_MAX or dice.below(2) else value_of(inner, dice, below)
        case sh.ListShape(inner=inner, limit=limit):
            count = 0 if depth > DEPTH_MAX else dice.choice((0, 1, 1, 2, 3))
            return tuple(value_of(inner, dice, below) for _ in range(count if limit is None else min(count, limit)))
        case sh.PaddedShape(inner=inner, size=size):
            return tuple(value_of(inner, dice, below) for _ in range(size))
        case sh.TupleShape(items=items):
            return tuple(value_of(item, dice, below) for item in items)
        case sh.RecordShape(cls=cls):
            return cls(*[value_of(field, dice, below) for _, field in sh.fields_of(cls)])
        case sh.VariantShape(constructors=constructors):
            chosen = dice.choice(constructors)
            return chosen.member if chosen.member is not None else value_of(sh.RecordShape(chosen.cls), dice, below)
        case sh.TaggedShape(inner=inner) | sh.VersionedShape(inner=inner) | sh.NeedsLengthShape(inner=inner):
            return value_of(inner, dice, below)


def _integer(dice: Dice, low: int, high: int) -> int:
    if dice.below(2):
        return dice.choice([edge for edge in (*_EDGES, low, high) if low <= edge <= high])
    return low + dice.below(high - low + 1 if dice.below(2) else min(64, high - low + 1))


@cache
def _proof() -> RawProof:
    # Drawing the hundreds of fields of a proof is slow; the type of proofs is a target of its own.
    return MinaGenerator(1).proof()


def _some_bytes(dice: Dice) -> bytes:
    return dice.raw(dice.below(20))


def a_peer_id(dice: Dice) -> PeerId:
    """Of somebody, or any 32 bytes."""
    return dice.choice(OTHERS) if dice.below(2) else PeerId(dice.raw(32))


def a_host(dice: Dice) -> Host:
    """Of each kind."""
    hosts: tuple[Host, ...] = (
        Ipv4(dice.raw(4)),
        Ipv6(dice.raw(16)),
        Ipv6(bytes(10) + b"\xff\xff" + dice.raw(4)),
        Domain("seed-1.example.org"),
    )
    return dice.choice(hosts)


def a_signaling_method(dice: Dice) -> SignalingMethod:
    """Of each kind but HTTPS, which differs from HTTP by its tag."""
    host, port = a_host(dice), dice.below(1 << 16)
    methods: tuple[SignalingMethod, ...] = (
        SignalingHttp(host, port),
        SignalingHttpsProxy(dice.below(1 << 16), host, port),
        SignalingRelay(a_peer_id(dice)),
    )
    return dice.choice(methods)


def a_dial_address(dice: Dice) -> DialAddress:
    """Of each kind."""
    peer_id, host, port = a_peer_id(dice), a_host(dice), dice.below(1 << 16)
    addresses: tuple[DialAddress, ...] = (
        WebRtcAddress(peer_id, a_signaling_method(dice)),
        Libp2pAddress(peer_id, host, port),
        QuicAddress(peer_id, host, port),
    )
    return dice.choice(addresses)


def _scan_tree(dice: Dice) -> scan_state.ScanTree:
    merge, base = sh.RecordShape(scan_state.MergeItem), sh.RecordShape(scan_state.BaseItem)
    levels = dice.below(2)
    merges = tuple(tuple(value_of(merge, dice) for _ in range(1 << level)) for level in range(levels))
    return scan_state.ScanTree(merges, tuple(value_of(base, dice) for _ in range(1 << levels)))


_CUSTOM: Final[dict[Any, Callable[[Dice], Any]]] = {
    dial_options.read_peer_id: a_peer_id,
    dial_options.read_host: a_host,
    dial_options.read_signaling: a_signaling_method,
    dial_options.read_dial_address: a_dial_address,
    scan_state.read_scan_tree: _scan_tree,
}
"""By the reader of a hand-written type."""


def parts_of(shape: sh.Shape) -> Iterator[sh.Shape]:
    """A shape and every shape in it, each once."""
    seen: set[sh.Shape] = set()
    todo = [shape]
    while todo:
        part = todo.pop()
        if part in seen:
            continue
        seen.add(part)
        yield part
        match part:
            case sh.RecordShape(cls=cls):
                todo += [field for _, field in sh.fields_of(cls)]
            case sh.TupleShape(items=items):
                todo += items
            case sh.VariantShape(constructors=constructors):
                todo += [sh.RecordShape(constructor.cls) for constructor in constructors if constructor.member is None]
            case (
                sh.RawShape(inner=inner)
                | sh.OptionShape(inner=inner)
                | sh.ListShape(inner=inner)
                | sh.PaddedShape(inner=inner)
                | sh.TaggedShape(inner=inner)
                | sh.VersionedShape(inner=inner)
                | sh.NeedsLengthShape(inner=inner)
            ):
                todo.append(inner)
            case _:
                pass
