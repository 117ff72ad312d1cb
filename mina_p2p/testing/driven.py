"""`Driven`: what feeds one pure machine in a simulation, whatever machine it is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from functools import partial
from typing import Generic, TypeVar

from mina_p2p.errors import InvariantViolationError
from mina_p2p.ids import Timestamp
from mina_p2p.store import Action, Store
from mina_p2p.testing.clockwork import Clockwork
from mina_p2p.testing.links import MemoryPort

S = TypeVar("S")


class Driven(ABC, Generic[S]):
    """A store at a port of the network, with a clock that may be ahead, woken when its state wishes."""

    tick: Action
    """The input that time makes."""

    def __init__(self, clockwork: Clockwork, store: Store[S], port: MemoryPort) -> None:
        """A node that does nothing before its first input."""
        self.clockwork = clockwork
        self.store = store
        self.port = port
        self.clock_ahead = 0
        """Nanoseconds by which this node's clock is ahead of true time."""
        self._waiting: deque[Action] = deque()
        self._is_dispatching = False
        self._wake_at: Timestamp | None = None

    @property
    def state(self) -> S:
        """The node's present state."""
        return self.store.state

    @property
    def now(self) -> Timestamp:
        """The time by this node's clock."""
        return Timestamp(self.clockwork.now + self.clock_ahead)

    @abstractmethod
    def wakes_at(self) -> Timestamp | None:
        """When this node's state wishes for the next `tick`, by its clock."""

    def soonest(self) -> int:
        """Before this true time no input that comes now can wish for a `tick`; what was wished for earlier is arranged."""
        return self.clockwork.now

    @abstractmethod
    def is_due(self, now: Timestamp) -> bool:
        """Whether another `tick` is due at once, after one that left something."""

    @abstractmethod
    def handle(self, effect: Action) -> None:
        """Do what an effect says, or tell the node software."""

    @abstractmethod
    def check(self) -> None:
        """Look at the state after an input whose effects are done."""

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
        if self._wake_at is None or self._wake_at > self.soonest():
            self._schedule()

    def later(self, delay: int, action: Action) -> None:
        """Dispatch an input after so many nanoseconds, unless the node has crashed by then."""
        self.clockwork.after(delay, lambda: self.dispatch(action))

    def _dispatch_one(self, action: Action) -> None:
        now, clockwork = self.now, self.clockwork
        clockwork.busy = self
        try:
            effects = self.store.dispatch(action, now)
        except InvariantViolationError:
            clockwork.failed_input = action
            raise
        for effect in effects:
            self.handle(effect)
        clockwork.dispatches += 1
        self.check()
        if type(action) is type(self.tick) and self.is_due(now):
            self._waiting.append(self.tick)

    def _schedule(self) -> None:
        at = self.wakes_at()
        if at is None:
            return
        due = Timestamp(max(at - self.clock_ahead, self.clockwork.now))
        if self._wake_at is None or due < self._wake_at:
            self._wake_at = due
            self.clockwork.at(due, partial(self._woken, due))

    def _woken(self, at: Timestamp) -> None:
        """The time for a tick, unless an earlier one was set since."""
        if self._wake_at == at and self.port.is_alive:
            self._wake_at = None
            self.dispatch(self.tick)

    def jump_clock(self, duration: int) -> None:
        """Set this node's clock forward; a runtime never sets it back."""
        self.clock_ahead += duration
        self._schedule()

    def crash(self) -> None:
        """End without a word; peers notice by the silence."""
        self.clockwork.links.detach(self.port, self.clockwork.now)
        self._waiting.clear()
