"""Messages of channel 1 (spec: pull-protocol 5.1)."""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

from mina_p2p.identity import PeerId
from mina_p2p.mina.text import Positional, serde
from mina_p2p.record import Record, record
from mina_p2p.wire import ByteInts, Codec, FixedBytes, codec

CIPHERTEXT_LIMIT: Final = 16_384
"""No ciphertext is longer than the channel's frames, in bytes."""


@record
class DiscoveryGetNext(Record):
    """Permits the peer to ask for one introduction."""


@record
class DiscoveryDiscover(Record):
    """Asks to be introduced to another peer."""


@record
class DiscoveryDiscovered(Record):
    """Names the peer that the relay proposes."""

    target_public_key: Annotated[PeerId, FixedBytes(32)]


@record
class DiscoveryDiscoveredReject(Record):
    """Declines the proposal."""


@record
class DiscoveryDiscoveredAccept(Positional):
    """Accepts it; the offer is encrypted for the proposed peer."""

    offer: Annotated[bytes, ByteInts(CIPHERTEXT_LIMIT)]


@record
class DiscoveryAnswer(Positional):
    """The proposed peer's encrypted answer, or none."""

    answer: Annotated[bytes, ByteInts(CIPHERTEXT_LIMIT)] | None


DiscoveryMessage: TypeAlias = Annotated[
    DiscoveryGetNext | DiscoveryDiscover | DiscoveryDiscovered | DiscoveryDiscoveredReject | DiscoveryDiscoveredAccept | DiscoveryAnswer,
    serde("GetNext", "Discover", "Discovered", "DiscoveredReject", "DiscoveredAccept", "Answer"),
]

DISCOVERY_MESSAGE: Final[Codec[DiscoveryMessage]] = codec(DiscoveryMessage)
