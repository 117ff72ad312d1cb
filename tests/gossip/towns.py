"""Simulated networks whose nodes find each other by address gossip."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

from mina_p2p.address import QuicAddress, parse_ip
from mina_p2p.channels.address_gossip.actions import (
    AddressGossipEffectfulSign,
    AddressGossipEffectfulVerify,
    AddressGossipSigned,
    AddressGossipVerified,
)
from mina_p2p.config import Limits
from mina_p2p.discovery.config import AddressGossipConfig
from mina_p2p.identity import PeerId
from mina_p2p.ids import SECOND, ChannelId
from mina_p2p.testing.invariants import Checker
from mina_p2p.testing.sim import SimNode, Simulation
from mina_p2p.transport import SocketAddress

PORT = 8302
PERIOD = 120


def signature(peer_id: bytes, message: bytes) -> bytes:
    """A signature that everybody can check and nobody here forges by chance."""
    return blake2b(message, digest_size=64, key=bytes(peer_id)).digest()


def sign_and_verify(node: SimNode, told: Any) -> None:
    """What a runtime answers to the effects of the slice."""
    match told:
        case AddressGossipEffectfulSign(issued_at=issued_at, message=message):
            node.dispatch(AddressGossipSigned(issued_at, signature(node.config.peer_id, message)))
        case AddressGossipEffectfulVerify(number=number, peer_id=peer_id, message=message, signature=claimed):
            node.dispatch(AddressGossipVerified(number, signature(peer_id, message) == claimed))
        case _:
            pass


class Town:
    """A network of nodes that speak channel 9 only."""

    def __init__(self, seed: int = 0, *, is_checked: bool = True, check_every: int = 1, **gossip: Any) -> None:
        self.simulation = Simulation(
            seed, checkers=(lambda: Checker().check,) if is_checked else (), check_every=check_every, keeps_notifications=False
        )
        self.gossip = gossip
        self.nodes: dict[int, SimNode] = {}
        """Who runs at each place."""

    @property
    def now(self) -> float:
        """Seconds since the start."""
        return (self.simulation.now - 1_700_000_000 * SECOND) / SECOND

    @staticmethod
    def peer_id(place: int) -> PeerId:
        """Who lives at a place."""
        return PeerId(place.to_bytes(32, "big"))

    @staticmethod
    def host(place: int) -> str:
        """Where that is; each place in a network of its own, as far as there are such."""
        return f"1.{place >> 8 & 255}.{place & 255}.7"

    def address(self, place: int) -> QuicAddress:
        """How to dial it."""
        return QuicAddress(self.peer_id(place), parse_ip(self.host(place)), PORT)

    def start(self, place: int, *knows: int, wished: int = 50, most: int = 200, **gossip: Any) -> SimNode:
        """Start, or start again, the node of a place."""
        chosen: dict[str, Any] = {"addresses": (self.address(place),), **self.gossip, **gossip}
        settings = AddressGossipConfig(**chosen)
        node = self.nodes[place] = self.simulation.add(
            peer_id=self.peer_id(place),
            address=SocketAddress(self.host(place), PORT),
            software=sign_and_verify,
            channels=(ChannelId.ADDRESS_GOSSIP,),
            initial_peers=tuple(self.address(other) for other in knows),
            is_discovery_enabled=False,
            address_gossip=settings,
            limits=Limits(peers_min=wished, peers_max=most),
        )
        return node

    def crash(self, place: int) -> None:
        """Stop the node of a place without a word."""
        self.nodes.pop(place).crash()

    def cut(self, left: list[int], right: list[int]) -> None:
        """Separate two groups."""
        for one in left:
            for other in right:
                self.simulation.network.cut(self.peer_id(one), self.peer_id(other), self.simulation.now)

    def links(self, place: int) -> set[PeerId]:
        """With whom a place is connected."""
        return set(self.nodes[place].ready_peers())

    def is_mesh(self) -> bool:
        """Whether all are connected with all."""
        everybody = {self.peer_id(place) for place in self.nodes}
        return all(self.links(place) == everybody - {self.peer_id(place)} for place in self.nodes)

    def components(self) -> int:
        """Parts of the network that are not connected with each other."""
        left, count = {self.peer_id(place): place for place in self.nodes}, 0
        while left:
            count += 1
            todo = [next(iter(left.values()))]
            while todo:
                place = todo.pop()
                if left.pop(self.peer_id(place), None) is not None:
                    todo += [left[peer] for peer in self.links(place) if peer in left]
        return count

    def run(self, seconds: float) -> None:
        """Let time pass."""
        self.simulation.run(int(seconds * SECOND))

    def until_mesh(self, seconds: float) -> float | None:
        """Seconds until all are connected with all, looked at every half second; nothing, where that does not happen."""
        began = self.now
        while self.now - began < seconds:
            if self.is_mesh():
                return self.now - began
            self.run(0.5)
        return self.now - began if self.is_mesh() else None
