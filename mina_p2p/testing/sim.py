"""Networks of pure nodes: the shipped reducer, a virtual clock, one seed that decides everything."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, Protocol, TypeAlias, get_args

from mina_p2p.config import P2pConfig
from mina_p2p.gossipsub.effects import GossipsubEffect
from mina_p2p.identity import MAINNET_CHAIN_ID, ChainId, PeerId
from mina_p2p.ids import ConnectionId, Timestamp
from mina_p2p.libp2p.transport import Libp2pEffect, Libp2pListening
from mina_p2p.reducer import p2p_machine
from mina_p2p.state import P2pState, initial_state
from mina_p2p.store import Action, Observer, Store
from mina_p2p.testing.clockwork import START, Clockwork
from mina_p2p.testing.driven import Driven
from mina_p2p.testing.libp2p_streams import signing
from mina_p2p.testing.network import MemoryNetwork
from mina_p2p.testing.places import host_of
from mina_p2p.timeouts import CheckTimeouts, is_due, next_wake
from mina_p2p.transport import SocketAddress, TransportEffect, TransportEvent, TransportKind

Software: TypeAlias = Callable[["SimNode", Any], None]
"""Plays the node software: gets every notification, may dispatch commands."""

__all__ = ["START", "Liar", "SimNode", "Simulation", "Software"]

_TRANSPORT_EFFECTS: Final = frozenset(get_args(TransportEffect))
_LIBP2P_EFFECTS: Final = frozenset(get_args(Libp2pEffect))
_SIGNING_EFFECTS: Final = frozenset(get_args(GossipsubEffect))


class Liar(Protocol):
    """What a node does otherwise than an honest one; see `mina_p2p.testing.liars`."""

    def perform(self, node: SimNode, effect: TransportEffect) -> Iterable[TransportEffect]:
        """What is done in place of an effect that the reducer wants."""
        ...


class SimNode(Driven[P2pState]):
    """One pure node: a store, its port, and what its node software was told."""

    tick: Action = CheckTimeouts()

    def __init__(
        self, simulation: Simulation, number: int, config: P2pConfig, address: SocketAddress, software: Software | None, liar: Liar | None
    ) -> None:
        store = Store(p2p_machine(), initial_state(config, simulation.now))
        super().__init__(simulation, store, simulation.network.attach(config.peer_id, address, self.feed))
        self.simulation = simulation
        self.number = number
        """Counts the nodes that were ever started, from 1."""
        self.config = config
        self.software = software
        self.liar = liar
        self.checks = [make() for make in simulation.checkers]
        """Safety checks of its own, which may remember its states."""
        self.notifications: list[Any] = []
        """All that the node software was told, where the simulation keeps it."""
        for observer in simulation.observers:
            self.store.observe(observer(self))

    def feed(self, event: TransportEvent) -> None:
        """Take an event of the network."""
        self.dispatch(event)

    def wakes_at(self) -> Timestamp | None:
        """When its timers want to be looked at."""
        return next_wake(self.state, self.now)

    def soonest(self) -> int:
        """Waits end at multiples of the granularity, and so do the looks at what is missing; libp2p's part has a rhythm of its own."""
        if self.state.network is not None:
            return self.clockwork.now
        granularity = self.config.timeouts.granularity
        return -(-self.now // granularity) * granularity - self.clock_ahead

    def is_due(self, now: Timestamp) -> bool:
        """Whether more deadlines are over than one turn takes."""
        return is_due(self.state, now)

    def handle(self, effect: Action) -> None:
        """Have the network carry out an effect of the transport; all others are for the node software."""
        kind: Any = effect.__class__
        if kind in _TRANSPORT_EFFECTS:
            self.perform(effect)
        elif kind in _LIBP2P_EFFECTS:
            self.simulation.network.perform_libp2p(self.port, effect, self.simulation.now)
        elif kind in _SIGNING_EFFECTS:
            self.dispatch(signing(effect, self.config.peer_id))
        else:
            self._notify(effect)

    def check(self) -> None:
        """Run the safety checks, if it is this node's turn."""
        self.simulation.check(self)

    def perform(self, effect: TransportEffect) -> None:
        """Have the network carry out an effect, or what a liar makes of it."""
        network, now = self.simulation.network, self.simulation.now
        if self.liar is None:
            network.perform(self.port, effect, now)
        else:
            for twisted in self.liar.perform(self, effect):
                network.perform(self.port, twisted, now)

    def _notify(self, notification: Any) -> None:
        if self.simulation.keeps_notifications:
            self.notifications.append(notification)
        if self.software is not None:
            self.software(self, notification)

    def ready_peers(self) -> list[PeerId]:
        """Ids of the peers whose connections carry channels, in connection order."""
        connections = self.state.connections
        return [connection.peer_id for cid, connection in connections.table.items() if connections.ready(cid) is not None]

    def connection_to(self, peer_id: PeerId) -> ConnectionId:
        """The connection with a peer.

        :raises LookupError: where there is none.
        """
        found = self.state.connection_of(peer_id)
        if found is None:
            raise LookupError(f"not connected to {peer_id}")
        return found


class Simulation(Clockwork):
    """Nodes, network and clock."""

    def __init__(
        self,
        seed: int = 0,
        *,
        chain_id: ChainId = MAINNET_CHAIN_ID,
        checks: tuple[Callable[[P2pState], None], ...] = (),
        checkers: tuple[Callable[[], Callable[[P2pState], None]], ...] = (),
        check_every: int = 1,
        observers: tuple[Callable[[SimNode], Observer], ...] = (),
        keeps_notifications: bool = True,
        **network: Any,
    ) -> None:
        """An empty network.

        :param checks: called with a node's state after every dispatch; raise to stop the simulation.
        :param checkers: each makes, for a node that starts, such a check that may remember that node's states.
        :param check_every: call them after every so manieth dispatch only, of all nodes together.
        :param observers: each makes, of a node that starts, an observer of its store.
        :param keeps_notifications: whether `SimNode.notifications` is filled, which takes memory.
        :param network: arguments of `MemoryNetwork`.
        """
        self.network = MemoryNetwork(seed, **network)
        super().__init__(self.network)
        self.seed = seed
        self.chain_id = chain_id
        self.nodes: list[SimNode] = []
        """Every node that was ever started, crashed ones too."""
        self.observers = observers
        self.keeps_notifications = keeps_notifications
        self._checks = checks
        self.checkers = checkers
        self._check_every = check_every

    def add(
        self,
        *,
        peer_id: PeerId | None = None,
        software: Software | None = None,
        address: SocketAddress | None = None,
        liar: Liar | None = None,
        **config: Any,
    ) -> SimNode:
        """Start a node.

        :param address: where it listens; by default one that follows from its number.
        :param config: fields of `P2pConfig` that differ from the defaults.
        """
        number = len(self.nodes) + 1
        identity = peer_id if peer_id is not None else PeerId(number.to_bytes(32, "big"))
        seed = (self.seed * 1_000_003 + number) % (1 << 64)
        settings: dict[str, Any] = {"seed": seed, "transport": TransportKind.MEMORY, **config}
        node = SimNode(
            self,
            number,
            P2pConfig(identity, settings.pop("chain_id", self.chain_id), **settings),
            address or SocketAddress(host_of(number), 8302),
            software,
            liar,
        )
        self.nodes.append(node)
        if node.config.libp2p is not None:
            node.dispatch(Libp2pListening((node.port.libp2p_address,)))
        node.dispatch(CheckTimeouts())
        return node

    def check(self, node: SimNode) -> None:
        """Run the safety checks on one node, if it is their turn."""
        if self.dispatches % self._check_every == 0:
            for check in (*self._checks, *node.checks):
                check(node.state)
