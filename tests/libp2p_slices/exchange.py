"""Peer exchange: signed records as tests make them, and every action on representative states."""

from __future__ import annotations

from typing import Any

from libp2p_slices.lab import address, peer_id, signature
from libp2p_slices.pairs import IN, Alone
from libp2p_slices.transitions import Case, Table
from mina_p2p.address import Libp2pAddress
from mina_p2p.gossipsub.effects import NetworkExchangeEffectfulSign, NetworkExchangeEffectfulVerify
from mina_p2p.gossipsub.messages import PrunedPeer
from mina_p2p.ids import ConnectionId, PeerNumber
from mina_p2p.libp2p.config import GossipsubConfig
from mina_p2p.libp2p.state import NetworkState
from mina_p2p.peer_exchange import actions as px
from mina_p2p.peer_exchange.messages import envelope_of, payload_of, signed_bytes

ON = GossipsubConfig(is_peer_exchange_enabled=True)
PEER = PeerNumber(1)
GONE = ConnectionId(77)
LATE = ON.signature_timeout
"""When nobody waits any more for what was asked at once."""


def envelope(number: int, *addresses: Libp2pAddress, seq: int = 1, signer: int | None = None) -> bytes:
    """A record of a peer's with the lab's kind of signature."""
    payload = payload_of(peer_id(number), seq, addresses or (address(number),))
    return envelope_of(peer_id(number), payload, signature(peer_id(number if signer is None else signer), signed_bytes(payload)))


def named(number: int, data: bytes | None = None) -> PrunedPeer:
    """A peer as a PRUNE names it, by default with its record."""
    return PrunedPeer(peer_id(number).multihash, envelope(number) if data is None else data or None)


class Exchanging(Alone):
    """Node 0 with peer exchange on, in the lab's private network, whose records' signatures are checked at once."""

    def __init__(self, *, gossipsub: GossipsubConfig = ON, **options: Any) -> None:
        super().__init__(gossipsub=gossipsub, **{"are_private_addresses_allowed": True, **options})

    def vouch(self) -> list[Any]:
        """What the runtime answers to the last input's effects; the effects that follow."""
        found: list[Any] = []
        for effect in self.effects:
            if isinstance(effect, NetworkExchangeEffectfulSign):
                found += self.feed(px.NetworkExchangeSigned(effect.payload, signature(self.peer_id, effect.data)))
            if isinstance(effect, NetworkExchangeEffectfulVerify):
                is_valid = effect.signature == signature(effect.author, effect.data)
                found += self.feed(px.NetworkExchangeVerified(effect.number, is_valid))
        self.effects = found
        return found


def _states() -> dict[str, NetworkState]:
    alone = Alone()
    alone.known(1)
    states = {"off": alone.state}
    alone = Exchanging()
    states["signing"] = alone.state
    alone.vouch()
    states["alone"] = alone.state
    alone.known(1)
    states["with a peer"] = alone.state
    alone.feed(px.NetworkExchangeRecordReceived(IN, envelope(1)))
    states["checking"] = alone.state
    alone.vouch()
    states["with a record"] = alone.state
    alone.feed(px.NetworkExchangePeersReceived(IN, (named(2),)))
    states["checking another's"] = alone.state
    return states


def _look(state: NetworkState) -> str:
    exchange = state.exchange
    own = "signing" if exchange.signing else "own" if exchange.own else "none"
    return f"{own}, {len(exchange.records)} kept, {len(exchange.checking)} checked"


def _payload() -> bytes:
    alone = Exchanging()
    return alone.state.exchange.signing


EXCHANGE = Table(
    _states(),
    {
        "OwnChanged": Case(px.NetworkExchangeOwnChanged()),
        "Signed": Case(px.NetworkExchangeSigned(_payload(), bytes(64))),
        "Signed, too short": Case(px.NetworkExchangeSigned(_payload(), bytes(63))),
        "Signed, another": Case(px.NetworkExchangeSigned(b"other", bytes(64))),
        "Signed, nothing": Case(px.NetworkExchangeSigned(b"", bytes(64))),
        "RecordReceived": Case(px.NetworkExchangeRecordReceived(IN, envelope(1, seq=2))),
        "RecordReceived, of another": Case(px.NetworkExchangeRecordReceived(IN, envelope(2))),
        "RecordReceived, gone": Case(px.NetworkExchangeRecordReceived(GONE, envelope(1))),
        "PeersReceived": Case(px.NetworkExchangePeersReceived(IN, (named(3), named(1), named(0)))),
        "PeersReceived, gone": Case(px.NetworkExchangePeersReceived(GONE, (named(3),))),
        "Verified": Case(px.NetworkExchangeVerified(1, True)),
        "Verified, invalid": Case(px.NetworkExchangeVerified(1, False)),
        "Verified, the second": Case(px.NetworkExchangeVerified(2, True)),
        "Timeout": Case(px.NetworkExchangeTimeout(1), LATE),
        "Timeout, too early": Case(px.NetworkExchangeTimeout(1)),
        "Timeout, the second": Case(px.NetworkExchangeTimeout(2), LATE),
        "PeerGone": Case(px.NetworkExchangePeerGone(PEER)),
    },
    _look,
    {
        "OwnChanged": {
            "signing": "signing, 0 kept, 0 checked: ExchangeEffectfulSign",
            "alone": "signing, 0 kept, 0 checked: ExchangeEffectfulSign",
            "with a peer": "signing, 0 kept, 0 checked: ExchangeEffectfulSign",
            "checking": "signing, 0 kept, 1 checked: ExchangeEffectfulSign",
            "with a record": "signing, 1 kept, 0 checked: ExchangeEffectfulSign",
            "checking another's": "signing, 1 kept, 1 checked: ExchangeEffectfulSign",
        },
        "Signed": {"signing": "own, 0 kept, 0 checked"},
        "RecordReceived": {
            "with a peer": "own, 0 kept, 1 checked: ExchangeEffectfulVerify",
            "checking": "own, 0 kept, 2 checked: ExchangeEffectfulVerify",
            "with a record": "own, 1 kept, 1 checked: ExchangeEffectfulVerify",
            "checking another's": "own, 1 kept, 2 checked: ExchangeEffectfulVerify",
        },
        "RecordReceived, of another": {
            "with a peer": "own, 0 kept, 0 checked",
            "checking": "own, 0 kept, 1 checked",
            "with a record": "own, 1 kept, 0 checked",
            "checking another's": "own, 1 kept, 1 checked",
        },
        "PeersReceived": {
            "with a peer": "own, 0 kept, 1 checked: ExchangeEffectfulVerify",
            "checking": "own, 0 kept, 2 checked: ExchangeEffectfulVerify",
            "with a record": "own, 1 kept, 1 checked: ExchangeEffectfulVerify",
            "checking another's": "own, 1 kept, 2 checked: ExchangeEffectfulVerify",
        },
        "Verified": {"checking": "own, 1 kept, 0 checked"},
        "Verified, invalid": {"checking": "own, 0 kept, 0 checked"},
        "Verified, the second": {"checking another's": "own, 1 kept, 0 checked: PeerDiscovered, Dial"},
        "Timeout": {"checking": "own, 0 kept, 0 checked"},
        "Timeout, the second": {"checking another's": "own, 1 kept, 0 checked"},
        "PeerGone": {
            "with a record": "own, 0 kept, 0 checked",
            "checking another's": "own, 0 kept, 1 checked",
        },
    },
)
