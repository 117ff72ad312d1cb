"""Networks of pure nodes: the shipped reducer, a virtual clock, one seed that decides everything."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Final, Protocol, TypeAlias, get_args

from mina_p2p.config import P2pConfig
from mina_p2p.errors import InvariantViolationError
from mina_p2p.identity import MAINNET_CHAIN_ID, ChainId, PeerId
from mina_p2p.ids import SECOND, ConnectionId, Timestamp
from mina_p2p.reducer import p2p_machine
from mina_p2p.state import P2pState, initial_state
from mina_p2p.store import Action, Observer, Store
from mina_p2p.testing.agenda import Agenda
from mina_p2p.testing.network import MemoryNetwork
from mina_p2p.timeouts import CheckTimeouts, is_due, next_wake
from mina_p2p.transport import SocketAddress, TransportEffect, TransportEvent, TransportKind

START = Timestamp(1_700_000_000 * SECOND)
"""When simulated time begins."""

STEPS_AT_ONCE_MAX = 1_000_000

Software: TypeAlias = Callable[["SimNode", Any], None]
"""Plays the node software: gets every notification, may dispatch commands."""

_TRANSPORT_EFFECTS: Final = frozenset(get_args(TransportEffect))


class Liar(Protocol):
    """What a node does otherwise than an honest one; see `mina_p2p.testing.liars`."""

    def perform(self, node: SimNode, effect: TransportEffect) -> Iterable[TransportEffect]:
        """What is done in place of an effect that the reducer wants."""
        ...


class SimNode:
    """One pure node: a store, its port, and what its node software was told."""

    def __init__(
        self, simulation: Simulation, number: int, config: P2pConfig, address: SocketAddress, software: Software | None, liar: Liar | None
    ) -> None:
        self.simulation = simulation
        self.number = number
        """Counts the nodes that were ever started, from 1."""
        self.config = config
        self.clock_ahead = 0
        """Nanoseconds by which this node's clock is ahead of true time."""
        self.store: Store[P2pState] = Store(p2p_machine(), initial_state(config, simulation.now))
        self.port = simulation.network.attach(config.peer_id, address, self.feed)
        self.software = software
        self.liar = liar
        self.checks = [make() for make in simulation.checkers]
        """Safety checks of its own, which may remember its states."""
        self.notifications: list[Any] = []
        """All that the node software was told, where the simulation keeps it."""
        self._waiting: deque[Action] = deque()
        self._is_dispatching = False
        self._wake_at: Timestamp | None = None
        for observer in simulation.observers:
            self.store.observe(observer(self))

    @property
    def state(self) -> P2pState:
        """The node's present state."""
        return self.store.state

    @property
    def now(self) -> Timestamp:
        """The time by this node's clock."""
        return Timestamp(self.simulation.now + self.clock_ahead)

    def feed(self, event: TransportEvent) -> None:
        """Take an event of the network."""
        self.dispatch(event)

    def dispatch(self, action: Action) -> None:
        """Dispatch an input, and whatever inputs that leads to at once. A node that has crashed takes none."""
        if not self.port.is_alive:
            return
        self._waiting.append(action)
        if self._is_dispatching:
            return
        self._is_dispatching = True
        try:
            while self._waiting:
                self._dispatch_one(self._waiting.popleft())
        finally:
            self._is_dispatching = False
        self._schedule()

    def later(self, delay: int, action: Action) -> None:
        """Dispatch an input after so many nanoseconds, unless the node has crashed by then."""
        self.simulation.after(delay, lambda: self.dispatch(action))

    def _dispatch_one(self, action: Action) -> None:
        now = self.now
        self.simulation.busy = self
        try:
            effects = self.store.dispatch(action, now)
        except InvariantViolationError:
            self.simulation.failed_input = action
            raise
        for effect in effects:
            if type(effect) in _TRANSPORT_EFFECTS:
                self.perform(effect)
            else:
                self._notify(effect)
        self.simulation.check(self)
        if type(action) is CheckTimeouts and is_due(self.state, now):
            self._waiting.append(CheckTimeouts())

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

    def _schedule(self) -> None:
        at = next_wake(self.state, self.now)
        if at is None:
            return
        due = Timestamp(max(at - self.clock_ahead, self.simulation.now))
        if self._wake_at is None or due < self._wake_at:
            self._wake_at = due
            self.simulation.at(due, partial(self._woken, due))

    def _woken(self, at: Timestamp) -> None:
        """The time for `CheckTimeouts`, unless an earlier one was set since."""
        if self._wake_at == at and self.port.is_alive:
            self._wake_at = None
            self.dispatch(CheckTimeouts())

    def jump_clock(self, duration: int) -> None:
        """Set this node's clock forward; a runtime never sets it back."""
        self.clock_ahead += duration
        self._schedule()

    def crash(self) -> None:
        """End without a word; peers notice by the silence. `Simulation.add` starts another at the same address."""
        self.simulation.network.detach(self.port, self.simulation.now)
        self._waiting.clear()

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
        self.seed = seed
        self.now = START
        self.chain_id = chain_id
        self.network = MemoryNetwork(seed, **network)
        self.nodes: list[SimNode] = []
        """Every node that was ever started, crashed ones too."""
        self.observers = observers
        self.keeps_notifications = keeps_notifications
        self.dispatches = 0
        self.busy: SimNode | None = None
        """The node that dispatched last."""
        self.failed_input: Action = None
        """What that node dispatched when a reducer was found wrong; nothing so far."""
        self._checks = checks
        self.checkers = checkers
        self._check_every = check_every
        self._agenda: Agenda[Callable[[], None]] = Agenda()
        self._steps_at_once = 0

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
            address or SocketAddress(f"1.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}", 8302),
            software,
            liar,
        )
        self.nodes.append(node)
        node.dispatch(CheckTimeouts())
        return node

    def at(self, at: Timestamp, run: Callable[[], None]) -> None:
        """Have something done at a time, or at once where that is past."""
        self._agenda.add(max(at, self.now), run)

    def after(self, delay: int, run: Callable[[], None]) -> None:
        """Have something done after so many nanoseconds."""
        self.at(Timestamp(self.now + delay), run)

    def check(self, node: SimNode) -> None:
        """Run the safety checks on one node, if it is their turn."""
        self.dispatches += 1
        if self.dispatches % self._check_every == 0:
            for check in (*self._checks, *node.checks):
                check(node.state)

    def next_at(self) -> Timestamp | None:
        """When the next thing is due."""
        arrival, own = self.network.next_at(), self._agenda.next_at()
        return arrival if own is None or (arrival is not None and arrival <= own) else own

    def step(self) -> bool:
        """Do the next thing that is due, and move the clock to it; ``False`` when nothing is left.

        :raises InvariantViolationError: where a check found something, or time does not move on.
        """
        at = self.next_at()
        if at is None:
            return False
        self._do_next(at)
        return True

    def _do_next(self, at: Timestamp) -> None:
        self._steps_at_once = 0 if at > self.now else self._steps_at_once + 1
        if self._steps_at_once > STEPS_AT_ONCE_MAX:
            raise InvariantViolationError(f"{STEPS_AT_ONCE_MAX} steps, and the clock stands still: some wait is always due")
        self.now = max(self.now, at)
        if self.network.next_at() == at:
            self.network.deliver_next()
        else:
            self._agenda.pop()[1]()

    def run(self, duration: int, *, until: Callable[[], bool] | None = None) -> bool:
        """Let virtual time pass.

        :param duration: nanoseconds at most.
        :param until: stop as soon as this holds; asked after every step.
        :returns: whether ``until`` came true (without one: ``True``).
        """
        end = Timestamp(self.now + duration)
        while until is None or not until():
            at = self.next_at()
            if at is None or at > end:
                self.now = end
                return until is None
            self._do_next(at)
        return True
