"""Networks of pure nodes: the shipped reducer, a virtual clock, one seed that decides everything."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any, TypeAlias

from mina_p2p.config import P2pConfig
from mina_p2p.identity import MAINNET_CHAIN_ID, ChainId, PeerId
from mina_p2p.ids import SECOND, ConnectionId, Timestamp
from mina_p2p.reducer import p2p_machine
from mina_p2p.state import P2pState, initial_state
from mina_p2p.store import Action, Store
from mina_p2p.testing.network import MemoryNetwork
from mina_p2p.timeouts import CheckTimeouts, is_due, next_wake
from mina_p2p.transport import SocketAddress, TransportEffect, TransportEvent, TransportKind

START = Timestamp(1_700_000_000 * SECOND)
"""When simulated time begins."""

Software: TypeAlias = Callable[["SimNode", Any], None]
"""Plays the node software: gets every notification, may dispatch commands."""


class SimNode:
    """One pure node: a store, its port, and what its node software was told."""

    def __init__(self, simulation: Simulation, config: P2pConfig, address: SocketAddress, software: Software | None) -> None:
        self.simulation = simulation
        self.config = config
        self.store: Store[P2pState] = Store(p2p_machine(), initial_state(config, simulation.now))
        self.port = simulation.network.attach(config.peer_id, address, self.feed)
        self.software = software
        self.notifications: list[Any] = []
        self._waiting: list[Action] = []
        self._is_dispatching = False
        self._wake_at: Timestamp | None = None

    @property
    def state(self) -> P2pState:
        """The node's present state."""
        return self.store.state

    def feed(self, event: TransportEvent) -> None:
        """Take an event of the network."""
        self.dispatch(event)

    def dispatch(self, action: Action) -> None:
        """Dispatch an input, and whatever inputs that leads to at once."""
        self._waiting.append(action)
        if self._is_dispatching:
            return
        self._is_dispatching = True
        try:
            while self._waiting:
                self._dispatch_one(self._waiting.pop(0))
        finally:
            self._is_dispatching = False
        self._schedule()

    def _dispatch_one(self, action: Action) -> None:
        now = self.simulation.now
        for effect in self.store.dispatch(action, now):
            if isinstance(effect, TransportEffect):
                self.simulation.network.perform(self.port, effect, now)
            else:
                self.notifications.append(effect)
                if self.software is not None:
                    self.software(self, effect)
        self.simulation.check(self)
        if isinstance(action, CheckTimeouts) and is_due(self.state, now):
            self._waiting.append(CheckTimeouts())

    def _schedule(self) -> None:
        at = next_wake(self.state, self.simulation.now)
        if at is not None and (self._wake_at is None or at < self._wake_at):
            self._wake_at = at
            self.simulation.wake(self, at)

    def woken(self, at: Timestamp) -> None:
        """The time for `CheckTimeouts`, unless an earlier one was set since."""
        if self._wake_at == at and self.port.is_alive:
            self._wake_at = None
            self.dispatch(CheckTimeouts())

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


class Simulation:
    """Nodes, network and clock."""

    def __init__(
        self, seed: int = 0, *, chain_id: ChainId = MAINNET_CHAIN_ID, checks: tuple[Callable[[P2pState], None], ...] = (), **network: Any
    ) -> None:
        """An empty network.

        :param checks: called with a node's state after every dispatch; raise to stop the simulation.
        :param network: arguments of `MemoryNetwork`.
        """
        self.seed = seed
        self.now = START
        self.chain_id = chain_id
        self.network = MemoryNetwork(seed, **network)
        self.nodes: list[SimNode] = []
        self._checks = checks
        self._wakes: list[tuple[Timestamp, int, SimNode]] = []
        self._count = 0

    def add(self, *, peer_id: PeerId | None = None, software: Software | None = None, **config: Any) -> SimNode:
        """Start a node.

        :param config: fields of `P2pConfig` that differ from the defaults.
        """
        number = len(self.nodes) + 1
        identity = peer_id if peer_id is not None else PeerId(number.to_bytes(32, "big"))
        settings: dict[str, Any] = {"seed": self.seed * 1_000_003 + number, "transport": TransportKind.MEMORY, **config}
        node = SimNode(
            self,
            P2pConfig(identity, settings.pop("chain_id", self.chain_id), **settings),
            SocketAddress(f"1.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}", 8302),
            software,
        )
        self.nodes.append(node)
        node.dispatch(CheckTimeouts())
        return node

    def wake(self, node: SimNode, at: Timestamp) -> None:
        """Have a node check its deadlines at a time."""
        self._count += 1
        heappush(self._wakes, (max(at, self.now), self._count, node))

    def check(self, node: SimNode) -> None:
        """Run the safety checks on one node."""
        for check in self._checks:
            check(node.state)

    def step(self) -> bool:
        """Do the next thing that is due, and move the clock to it; ``False`` when nothing is left."""
        arrival = self.network.next_at()
        wake = self._wakes[0][0] if self._wakes else None
        if arrival is None and wake is None:
            return False
        if wake is None or (arrival is not None and arrival <= wake):
            assert arrival is not None
            self.now = max(self.now, arrival)
            self.network.deliver_next()
        else:
            at, _, node = heappop(self._wakes)
            self.now = max(self.now, at)
            node.woken(at)
        return True

    def run(self, duration: int, *, until: Callable[[], bool] | None = None, steps_max: int = 1_000_000) -> bool:
        """Let virtual time pass.

        :param duration: nanoseconds at most.
        :param until: stop as soon as this holds.
        :returns: whether ``until`` came true (without one: ``True``).
        """
        end = Timestamp(self.now + duration)
        for _ in range(steps_max):
            if until is not None and until():
                return True
            times = [at for at in (self.network.next_at(), self._wakes[0][0] if self._wakes else None) if at is not None]
            if not times or min(times) > end:
                break
            self.step()
        self.now = max(self.now, end) if until is None else self.now
        return until is None or until()
