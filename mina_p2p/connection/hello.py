"""The hello: what two nodes tell each other before anything else (design 6)."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Final

from mina_p2p.config import PROTOCOL_VERSION, P2pConfig
from mina_p2p.disconnection.reasons import Reason, ReasonCode
from mina_p2p.errors import DecodeError
from mina_p2p.ids import ChannelId
from mina_p2p.record import Record, record
from mina_p2p.wire import Bytes32, Codec, MaxItems, Nat0, Utf8, codec

CHANNELS_MAX: Final = 64
CAPABILITIES_MAX: Final = 32
WORD_BYTES_MAX: Final = 64

Word = Annotated[str, Utf8(WORD_BYTES_MAX)]


@record
class Hello(Record):
    """One side's introduction, on the control stream."""

    lowest_version: Nat0
    highest_version: Nat0
    chain_id: Bytes32
    channels: Annotated[tuple[Nat0, ...], MaxItems(CHANNELS_MAX)]
    """What the sender serves; numbers unknown here are allowed and ignored."""
    capabilities: Annotated[tuple[Word, ...], MaxItems(CAPABILITIES_MAX)]
    agent: Word


HELLO: Final[Codec[Hello]] = codec(Hello)


def make_hello(config: P2pConfig) -> bytes:
    """The hello of a node so configured."""
    return _hello(config.chain_id, config.channels, config.capabilities, config.agent)


@lru_cache(maxsize=64)  # the same for every connection of a node
def _hello(chain_id: bytes, channels: tuple[ChannelId, ...], capabilities: tuple[str, ...], agent: str) -> bytes:
    numbers = tuple(int(channel) for channel in sorted(channels))
    return HELLO.encode(Hello(PROTOCOL_VERSION, PROTOCOL_VERSION, chain_id, numbers, capabilities, agent))


def read_hello(frame: bytes, config: P2pConfig) -> Hello | Reason:
    """The peer's hello, or why no connection can follow from it."""
    if len(frame) > config.limits.hello_bytes_max:
        return Reason(ReasonCode.HELLO_INVALID, detail=f"{len(frame)} bytes, at most {config.limits.hello_bytes_max}")
    try:
        hello = HELLO.decode(frame)
    except DecodeError as error:
        return Reason(ReasonCode.HELLO_INVALID, detail=str(error))
    if not hello.lowest_version <= PROTOCOL_VERSION <= hello.highest_version:
        spoken = f"{hello.lowest_version} to {hello.highest_version}"
        return Reason(ReasonCode.PROTOCOL_VERSION_MISMATCH, detail=f"peer speaks versions {spoken}, this node {PROTOCOL_VERSION}")
    if hello.chain_id != config.chain_id:
        ours, theirs = config.chain_id.hex()[:16], hello.chain_id.hex()[:16]
        return Reason(ReasonCode.CHAIN_ID_MISMATCH, detail=f"peer is on chain {theirs}, this node on {ours}")
    return hello


def common_channels(hello: Hello, config: P2pConfig) -> tuple[ChannelId, ...]:
    """The channels both sides serve, ascending."""
    return tuple([channel for channel in sorted(config.channels) if channel in hello.channels])
