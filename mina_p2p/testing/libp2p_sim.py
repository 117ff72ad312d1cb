"""Networks of pure libp2p nodes alone: the machine of `mina_p2p.libp2p` as it ships, without the pull side of a node.

What carries them, the clock, the dice and the faults are those of every simulation here. Nodes of both kinds of
connections are `mina_p2p.testing.sim.SimNode` with ``libp2p`` in their configuration; these cost a third of that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias, TypeVar, get_args

from mina_p2p.address import Libp2pAddress
from mina_p2p.gossipsub.actions import NetworkPubsubVerdict, Verdict
from mina_p2p.gossipsub.effects import GossipsubEffect
from mina_p2p.identity import MAINNET_CHAIN_ID, ChainId, PeerId
from mina_p2p.ids import Timestamp
from mina_p2p.libp2p.config import NetworkConfig
from mina_p2p.libp2p.machine import NetworkCheckTimeouts, network_machine, next_wake
from mina_p2p.libp2p.notifications import NetworkPubsubMessageReceived
from mina_p2p.libp2p.state import NetworkState, initial_network
from mina_p2p.libp2p.transport import Libp2pEffect, Libp2pListening
from mina_p2p.store import Action, Observer, Store
from mina_p2p.testing.clockwork import Clockwork
from mina_p2p.testing.driven import Driven
from mina_p2p.testing.libp2p_liars import NetworkLiar
from mina_p2p.testing.libp2p_streams import signing
from mina_p2p.testing.links import End
from mina_p2p.testing.network import MemoryNetwork
from mina_p2p.transport import SocketAddress

NetworkSoftware: TypeAlias = Callable[["NetworkNode", Any], None]
"""Plays the node software: gets every notification, may dispatch commands."""

PORT: Final = 8302
_TRANSPORT_EFFECTS: Final = frozenset(get_args(Libp2pEffect))
_SIGNING_EFFECTS: Final = frozenset(get_args(GossipsubEffect))


def accept_all(node: NetworkNode, told: Any) -> None:
    """Node software to which every message is valid at once."""
    if isinstance(told, NetworkPubsubMessageReceived):
        node.dispatch(NetworkPubsubVerdict(told.verdict_id, Verdict.ACCEPT))


class NetworkNode(Driven[NetworkState]):
    """One pure libp2p node."""

    tick: Action = NetworkCheckTimeouts()

    def __init__(
        self, simulation: NetworkSimulation, number: int, config: NetworkConfig, address: SocketAddress, software: NetworkSoftware
    ) -> None:
        store = Store(network_machine(), initial_network(config, simulation.now))
        super().__init__(simulation, store, simulation.network.attach(config.peer_id, address, self.dispatch))
        self.simulation = simulation
        self.number = number
        """Counts the nodes that were ever started, from 1."""
        self.config = config
        self.software = software
        self.liar: NetworkLiar | None = None
        """How it lies, if it does."""
        for observer in simulation.observers:
            self.store.observe(observer(self))

    def wakes_at(self) -> Timestamp | None:
        """A heartbeat away at most."""
        return next_wake(self.state)

    def is_due(self, now: Timestamp) -> bool:
        """Whether more deadlines are over than one turn takes."""
        return next_wake(self.state) <= now

    def handle(self, effect: Action) -> None:
        """Have the network carry out an effect of the transport, sign and verify; all others are for the node software."""
        kind: Any = effect.__class__
        if kind in _TRANSPORT_EFFECTS:
            self.simulation.perform(self, effect)
        elif kind in _SIGNING_EFFECTS:
            self.dispatch(signing(effect, self.config.peer_id))
        else:
            self.software(self, effect)

    def check(self) -> None:
        """Run the safety check, if it is this node's turn."""
        self.simulation.check(self)

    def peers(self) -> list[PeerId]:
        """Whom it is connected with."""
        return [contact.peer_id for contact in self.state.links.contacts.values()]

    def ends(self) -> list[End]:
        """Its ends of connections."""
        return list(self.port.libp2p_ends.values())


N = TypeVar("N", bound=NetworkNode)


class NetworkSimulation(Clockwork):
    """Such nodes, their network and its clock."""

    def __init__(
        self,
        seed: int = 0,
        *,
        chain_id: ChainId = MAINNET_CHAIN_ID,
        check: Callable[[NetworkState], None] | None = None,
        check_every: int = 1,
        observers: tuple[Callable[[NetworkNode], Observer], ...] = (),
        **network: Any,
    ) -> None:
        """An empty network.

        :param check: called with a node's state after every ``check_every``-th dispatch of all nodes; raise to stop the simulation.
        :param observers: each makes, of a node that starts, an observer of its store.
        :param network: arguments of `MemoryNetwork`.
        """
        self.network = MemoryNetwork(seed, **network)
        self.network.send_high_bytes = 1 << 62  # libp2p's streams have no event for that
        super().__init__(self.network)
        self.seed = seed
        self.chain_id = chain_id
        self.nodes: list[NetworkNode] = []
        """Every node that was ever started, crashed ones too."""
        self.observers = observers
        self._check = check
        self._check_every = check_every

    def add(self, **settings: Any) -> NetworkNode:
        """Start a node; the parameters are those of `add_as`."""
        return self.add_as(NetworkNode, **settings)

    def add_as(
        self,
        kind: type[N],
        *,
        peer_id: PeerId | None = None,
        software: NetworkSoftware = accept_all,
        address: SocketAddress | None = None,
        seeds: tuple[Libp2pAddress, ...] = (),
        starts_after: int = 0,
        **config: Any,
    ) -> N:
        """Start a node.

        :param kind: its class.
        :param address: where it listens; by default one that follows from its number, each of a network group of its own.
        :param seeds: whom it knows.
        :param starts_after: nanoseconds until it does anything by itself.
        :param config: fields of `NetworkConfig` that differ from the defaults.
        """
        number = len(self.nodes) + 1
        settings = NetworkConfig(
            peer_id or PeerId(number.to_bytes(32, "big")),
            self.chain_id,
            seed=(self.seed * 1_000_003 + number) % (1 << 64),
            initial_peers=seeds,
            **config,
        )
        where = address or SocketAddress(f"{1 + (number >> 8) % 9}.{number & 255}.1.1", PORT)
        node = kind(self, number, settings, where, software)
        self.nodes.append(node)
        node.store.dispatch(Libp2pListening((node.port.libp2p_address,)), node.now)
        self.after(starts_after, lambda: node.dispatch(node.tick))
        return node

    def perform(self, node: NetworkNode, effect: Libp2pEffect) -> None:
        """Have the network carry out an effect, or what a liar makes of it."""
        for done in (effect,) if node.liar is None else node.liar.perform(node.state, effect):
            self.network.perform_libp2p(node.port, done, self.now)

    def check(self, node: NetworkNode) -> None:
        """Run the safety check, if it is its turn."""
        if self._check is not None and self.dispatches % self._check_every == 0:
            self._check(node.state)
