"""Peers of libp2p's network that lie, as small classes.

A liar is a node whose reducer is the shipped one; what it wants the transport to do passes through a strategy, which
may change it, drop it or add to it. Its connections and streams are real: it has proved who it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from mina_p2p.address import Ipv4
from mina_p2p.gossipsub import sending
from mina_p2p.gossipsub.messages import RPC_CODEC
from mina_p2p.identify.messages import IDENTIFY_CODEC
from mina_p2p.identity import PeerId
from mina_p2p.kademlia.messages import KAD_CODEC, KadMessage, KadPeer
from mina_p2p.libp2p.config import TOPIC_V0
from mina_p2p.libp2p.multiaddr import encode_multiaddr
from mina_p2p.libp2p.protocols import IDENTIFY, KADEMLIA, MESHSUB
from mina_p2p.libp2p.state import NetworkState
from mina_p2p.libp2p.transport import Libp2pEffect, Libp2pEffectfulSend
from mina_p2p.testing.dice import Dice

FALSE_PEERS: Final = 20
FALSE_IDS: Final = 50


class NetworkLiar:
    """Lies in nothing; the base of all others."""

    def __init__(self, dice: Dice) -> None:
        self.dice = dice

    def perform(self, state: NetworkState, effect: Libp2pEffect) -> Iterable[Libp2pEffect]:
        """What is done in place of an effect that the reducer wants."""
        if isinstance(effect, Libp2pEffectfulSend):
            stream = state.links.stream(effect.connection_id, effect.stream)
            if stream is not None:
                return self.send(stream.protocol, effect)
        return (effect,)

    def send(self, protocol: str, effect: Libp2pEffectfulSend) -> Iterable[Libp2pEffect]:
        """What is sent in place of a message."""
        return (effect,)


class BlackHole(NetworkLiar):
    """Is in meshes, and passes no message on."""

    def send(self, protocol: str, effect: Libp2pEffectfulSend) -> Iterable[Libp2pEffect]:
        """No message of anybody."""
        if protocol == MESHSUB.name and RPC_CODEC.decode(effect.data).publish:
            return ()
        return (effect,)


class FalseAddresses(NetworkLiar):
    """Answers every search with peers that do not exist."""

    def send(self, protocol: str, effect: Libp2pEffectfulSend) -> Iterable[Libp2pEffect]:
        """Peers with drawn ids at drawn addresses, in place of those that were found."""
        if protocol != KADEMLIA.name:
            return (effect,)
        message = KAD_CODEC.decode(effect.data)
        if not message.closer_peers:
            return (effect,)
        made = tuple(self._peer() for _ in range(FALSE_PEERS))
        return (effect.replace(data=KAD_CODEC.encode(KadMessage(message.type, message.key, made, made))),)

    def _peer(self) -> KadPeer:
        host = Ipv4(bytes((self.dice.between(20, 200),)) + self.dice.raw(3))
        return KadPeer(PeerId(self.dice.raw(32)).multihash, (encode_multiaddr(host, 8302),))


class Braggart(NetworkLiar):
    """Announces messages that nobody has, and grafts whoever it speaks to, wanted or not."""

    def send(self, protocol: str, effect: Libp2pEffectfulSend) -> Iterable[Libp2pEffect]:
        """Behind everything that it says."""
        if protocol != MESHSUB.name:
            return (effect,)
        ids = [self.dice.raw(32) for _ in range(FALSE_IDS)]
        return (effect, effect.replace(data=sending.ihave(TOPIC_V0, ids)), effect.replace(data=sending.graft(TOPIC_V0)))


class Garbler(NetworkLiar):
    """Damages some of what it says."""

    def send(self, protocol: str, effect: Libp2pEffectfulSend) -> Iterable[Libp2pEffect]:
        """A byte is another one, or the rest is cut off."""
        data = effect.data
        if not data or not self.dice.chance(10):
            return (effect,)
        at = self.dice.below(len(data))
        changed = data[:at] + (bytes((data[at] ^ 1 + self.dice.below(255),)) + data[at + 1 :] if self.dice.chance(50) else b"")
        return (effect.replace(data=changed),)


class Nobody(NetworkLiar):
    """Never says who it is, or says it of somebody else."""

    def send(self, protocol: str, effect: Libp2pEffectfulSend) -> Iterable[Libp2pEffect]:
        """Half of its peers wait for ever; the others are given a foreign key."""
        if protocol != IDENTIFY.name:
            return (effect,)
        if effect.connection_id & 1:
            return ()
        message = IDENTIFY_CODEC.decode(effect.data).replace(public_key=PeerId(self.dice.raw(32)).protobuf)
        return (effect.replace(data=IDENTIFY_CODEC.encode(message)),)


NETWORK_LIARS: Final = (BlackHole, FalseAddresses, Braggart, Garbler, Nobody)
"""All of them."""
