"""Simulated networks whose nodes find each other by address gossip, and speak channel 9 only.

A `Town` is a `mina_p2p.testing.sim.Simulation` with places: a node runs at a place, may crash, and another may start there. What a
runtime does with the effects of the slice, signing records and checking those of others, is `sign_and_verify`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from hashlib import blake2b
from typing import Any, Final

from mina_p2p.address import DialAddress, QuicAddress, parse_ip
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
from mina_p2p.peer.config import PeerTableConfig, RememberedPeer
from mina_p2p.store import Observer
from mina_p2p.testing.invariants import Checker
from mina_p2p.testing.places import host_of
from mina_p2p.testing.sim import START, SimNode, Simulation
from mina_p2p.transport import SocketAddress

PORT: Final = 8302
PERIOD: Final = 120
"""Seconds from one record of a node to the next: a round."""
LOOK_EVERY: Final = SECOND // 2


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
    """A network of nodes that gossip addresses."""

    def __init__(
        self,
        seed: int = 0,
        *,
        is_checked: bool = True,
        check_every: int = 1,
        observers: Iterable[Callable[[SimNode], Observer]] = (),
        **gossip: Any,
    ) -> None:
        """An empty one.

        :param is_checked: whether the invariants are checked, after every ``check_every``-th dispatch.
        :param observers: each makes, of a node that starts, an observer of its store.
        :param gossip: fields of `AddressGossipConfig` that differ from the defaults, at every node.
        """
        self.simulation = Simulation(
            seed,
            checkers=(lambda: Checker().check,) if is_checked else (),
            check_every=check_every,
            observers=tuple(observers),
            keeps_notifications=False,
        )
        self.gossip = gossip
        self.nodes: dict[int, SimNode] = {}
        """Who runs at each place."""

    @property
    def now(self) -> float:
        """Seconds since the start."""
        return (self.simulation.now - START) / SECOND

    @staticmethod
    def peer_id(place: int) -> PeerId:
        """Who lives at a place."""
        return PeerId(place.to_bytes(32, "big"))

    @staticmethod
    def host(place: int) -> str:
        """Where that is; each place in a network of its own, as far as there are such."""
        return host_of(place)

    def address(self, place: int) -> QuicAddress:
        """How to dial it."""
        return QuicAddress(self.peer_id(place), parse_ip(self.host(place)), PORT)

    def start(
        self,
        place: int,
        *knows: int,
        more: tuple[DialAddress, ...] = (),
        remembered: tuple[RememberedPeer, ...] = (),
        wished: int = 50,
        most: int = 200,
        **gossip: Any,
    ) -> SimNode:
        """Start, or start again, the node of a place.

        :param knows: places that it is configured with.
        :param more: addresses of none of the places, which it is configured with too.
        :param remembered: what its program has kept of the last run.
        :param wished: connections below which it dials.
        :param most: connections that it has at most.
        """
        chosen: dict[str, Any] = {"addresses": (self.address(place),), **self.gossip, **gossip}
        node = self.nodes[place] = self.simulation.add(
            peer_id=self.peer_id(place),
            address=SocketAddress(self.host(place), PORT),
            software=sign_and_verify,
            channels=(ChannelId.ADDRESS_GOSSIP,),
            initial_peers=(*(self.address(other) for other in knows), *more),
            is_discovery_enabled=False,
            address_gossip=AddressGossipConfig(**chosen),
            peer_table=PeerTableConfig(remembered=remembered),
            limits=Limits(peers_min=wished, peers_max=most),
        )
        return node

    def crash(self, place: int) -> None:
        """Stop the node of a place without a word."""
        self.nodes.pop(place).crash()

    def cut(self, left: Iterable[int], right: Iterable[int]) -> None:
        """Separate two groups."""
        others = list(right)
        for one in left:
            for other in others:
                self.simulation.network.cut(self.peer_id(one), self.peer_id(other), self.simulation.now)

    def heal(self) -> None:
        """Nobody is separated any more."""
        self.simulation.network.heal()

    def links(self, place: int) -> set[PeerId]:
        """With whom a place is connected."""
        return set(self.nodes[place].ready_peers())

    def is_linked_with_all(self, place: int) -> bool:
        """Whether a place is connected with everybody else, and everybody else with it."""
        peer_id = self.peer_id(place)
        others = {self.peer_id(other) for other in self.nodes if other != place}
        return self.links(place) == others and all(peer_id in self.links(other) for other in self.nodes if other != place)

    def is_mesh(self) -> bool:
        """Whether all are connected with all."""
        if any(node.state.connections.ready_count != len(self.nodes) - 1 for node in self.nodes.values()):
            return False
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

    def until(self, is_so: Callable[[], bool], seconds: float) -> float | None:
        """Seconds until something is so, looked at every half second; nothing, where that does not happen in time."""
        began = self.simulation.now
        while self.simulation.now - began < seconds * SECOND:
            if is_so():
                return (self.simulation.now - began) / SECOND
            self.simulation.run(LOOK_EVERY)
        return (self.simulation.now - began) / SECOND if is_so() else None

    def until_mesh(self, seconds: float) -> float | None:
        """Seconds until all are connected with all, if they are within so many."""
        return self.until(self.is_mesh, seconds)
