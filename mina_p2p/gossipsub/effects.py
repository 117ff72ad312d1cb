"""What the runtime does for gossip because the state may not: use the key, and check signatures."""

from __future__ import annotations

from typing import TypeAlias

from mina_p2p.identity import PeerId
from mina_p2p.record import Record, record


@record
class NetworkPubsubEffectfulSign(Record):
    """Sign with the node's identity; `NetworkPubsubSigned` answers with the same id."""

    request_id: int
    data: bytes


@record
class NetworkPubsubEffectfulVerify(Record):
    """Check a signature; `NetworkPubsubVerified` answers with the same id."""

    request_id: int
    author: PeerId
    data: bytes
    signature: bytes


GossipsubEffect: TypeAlias = NetworkPubsubEffectfulSign | NetworkPubsubEffectfulVerify
