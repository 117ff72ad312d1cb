"""What we say to neighbours, as effects."""

from __future__ import annotations

from collections.abc import Iterable

from mina_p2p.gossipsub.messages import (
    RPC_CODEC,
    ControlGraft,
    ControlIHave,
    ControlIWant,
    ControlMessage,
    ControlPrune,
    PrunedPeer,
    PubsubRpc,
    SubOpts,
    publishing,
)
from mina_p2p.gossipsub.state import Gossipsub
from mina_p2p.ids import SECOND, PeerNumber
from mina_p2p.libp2p.transport import Libp2pEffectfulSend


def send(state: Gossipsub, peer: PeerNumber, data: bytes) -> tuple[Libp2pEffectfulSend, ...]:
    """One encoded RPC to a neighbour; nothing where we can not speak to it."""
    neighbour = state.neighbours.get(peer)
    if neighbour is None or neighbour.stream is None:
        return ()
    return (Libp2pEffectfulSend(*neighbour.stream, data),)


def send_all(state: Gossipsub, peers: Iterable[PeerNumber], data: bytes) -> list[Libp2pEffectfulSend]:
    """The same to several."""
    return [effect for peer in peers for effect in send(state, peer, data)]


def hello(state: Gossipsub) -> bytes:
    """The first RPC on a stream: what we subscribe to."""
    wanted = tuple(SubOpts(True, topic.name) for topic in state.topics if topic.is_subscribed)
    return RPC_CODEC.encode(PubsubRpc(wanted))


def subscription(topic: str, *, is_wanted: bool) -> bytes:
    """A change of what we subscribe to."""
    return RPC_CODEC.encode(PubsubRpc((SubOpts(is_wanted, topic),)))


def graft(topic: str) -> bytes:
    """A GRAFT."""
    return RPC_CODEC.encode(PubsubRpc(control=ControlMessage(graft=(ControlGraft(topic),))))


def prune(topic: str, backoff: int, peers: tuple[PrunedPeer, ...] = ()) -> bytes:
    """A PRUNE; ``backoff`` in nanoseconds, ``peers`` with whom to gossip instead."""
    return RPC_CODEC.encode(PubsubRpc(control=ControlMessage(prune=(ControlPrune(topic, peers, backoff // SECOND),))))


def ihave(topic: str, ids: Iterable[bytes]) -> bytes:
    """An IHAVE."""
    return RPC_CODEC.encode(PubsubRpc(control=ControlMessage(ihave=(ControlIHave(topic, tuple(ids)),))))


def iwant(ids: Iterable[bytes]) -> bytes:
    """An IWANT."""
    return RPC_CODEC.encode(PubsubRpc(control=ControlMessage(iwant=(ControlIWant(tuple(ids)),))))


__all__ = ["graft", "hello", "ihave", "iwant", "prune", "publishing", "send", "send_all", "subscription"]
