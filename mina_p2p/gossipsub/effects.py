"""What the runtime does for gossip, and for the records that peers exchange: use the key, and check signatures."""

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


@record
class NetworkExchangeEffectfulSign(Record):
    """Sign our record with the node's identity; `NetworkExchangeSigned` answers with the same payload."""

    payload: bytes
    data: bytes


@record
class NetworkExchangeEffectfulVerify(Record):
    """Check the signature under a record; `NetworkExchangeVerified` answers with the same number."""

    number: int
    author: PeerId
    data: bytes
    signature: bytes


GossipsubEffect: TypeAlias = (
    NetworkPubsubEffectfulSign | NetworkPubsubEffectfulVerify | NetworkExchangeEffectfulSign | NetworkExchangeEffectfulVerify
)
