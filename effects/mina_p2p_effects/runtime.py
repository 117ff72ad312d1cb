"""The loop between a store and the world: one input, all its effects, the next input.

It decides nothing. Transports feed events, the node software gives commands, time makes
`CheckTimeouts`; each is dispatched alone, and what follows from it is performed before the
next one. All of it runs on one event loop's thread.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, Final, Protocol, TypeAlias, get_args

import attrs

from mina_p2p.errors import CallerError, InvariantViolationError
from mina_p2p.ids import SECOND, Timestamp
from mina_p2p.libp2p.notifications import NetworkNotification
from mina_p2p.libp2p.transport import Libp2pEffect, Libp2pEvent
from mina_p2p.notifications import Notification
from mina_p2p.state import P2pState
from mina_p2p.store import Action, Store
from mina_p2p.timeouts import CheckTimeouts, is_due, next_wake
from mina_p2p.transport import (
    ConnectionEffectfulAccept,
    ConnectionEffectfulDial,
    ConnectionEffectfulReject,
    SocketAddress,
    TransportEffect,
    TransportKind,
    TransportListenError,
    TransportListening,
)
from mina_p2p_effects.clock import Clock
from mina_p2p_effects.metrics.traffic import TrafficReported
from mina_p2p_effects.transports.port import Transport

NOTIFICATIONS_MAX = 10_000
"""Notifications that wait for a slow consumer; the oldest are given up beyond that, and counted."""


_OF_TRANSPORTS: Final = frozenset(get_args(TransportEffect))
_OF_LIBP2P: Final = frozenset(get_args(Libp2pEffect))
_OF_ONE_TRANSPORT: Final = frozenset({ConnectionEffectfulDial, ConnectionEffectfulAccept, ConnectionEffectfulReject})


Told: TypeAlias = Notification | NetworkNotification | TrafficReported
"""What the node software is told: by the reducers about pull connections and about libp2p, and by the runtime itself."""


class NetworkTransport(Protocol):
    """What carries libp2p's part of a node, where it has one. All calls are on the event loop's thread."""

    async def start(self, feed: Callable[[Libp2pEvent], None]) -> SocketAddress | None:
        """Begin to give events to ``feed``.

        :returns: what is bound; ``None`` where it only dials.
        :raises OSError: where it can not listen.
        """
        ...

    def perform(self, effect: Libp2pEffect) -> None:
        """Carry out one effect; never blocks, never raises for a peer's fault."""
        ...

    async def stop(self) -> None:
        """Say goodbye to every peer and release everything. Idempotent."""
        ...


@attrs.frozen
class NotificationsDropped:
    """The consumer was too slow: so many notifications before this one are gone."""

    count: int


class Runtime:
    """Runs one store with its transports."""

    def __init__(
        self,
        store: Store[P2pState],
        transports: Sequence[Transport],
        clock: Clock | None = None,
        answers: Mapping[type[Any], Callable[[Any], Action]] | None = None,
        network: NetworkTransport | None = None,
    ) -> None:
        """A runtime that has not started.

        :param answers: effects that are answered at once, by their class, such as
            `mina_p2p_effects.sealing.sealing_answers`; each gives the input that is the answer.
        :param network: what carries the libp2p part of the state, where there is one.
        """
        self.store = store
        self._answers = {} if answers is None else dict(answers)
        self._transports = tuple(transports)
        self._network = network
        self._clock = clock if clock is not None else Clock()
        self._inputs: deque[Action] = deque()
        self._is_dispatching = False
        self._timer: asyncio.TimerHandle | None = None
        self._wake_at: Timestamp | None = None
        self._notifications: deque[Told] = deque()
        self._dropped = 0
        self._arrived = asyncio.Event()
        self._listeners: list[tuple[Callable[[Told], None], Callable[[], None] | None]] = []
        self._has_started = False
        self._is_stopped = False
        self._failure: InvariantViolationError | None = None
        self.on_failure: Callable[[Action, Timestamp, InvariantViolationError], None] | None = None
        """Called once with the input, its time and the bug that it showed, before anybody else learns of it."""
        self.addresses: list[SocketAddress] = []
        """Where peers can dial this node."""

    async def start(self) -> None:
        """Listen on every transport and begin to act.

        :raises OSError: where a transport can not listen; nothing is left running.
        """
        kind = TransportKind.LIBP2P
        try:
            for transport in self._transports:
                kind = transport.kind
                self.addresses.append(await transport.start(self.feed))
            if self._network is not None:
                kind = TransportKind.LIBP2P
                bound = await self._network.start(self.feed)
                if bound is not None:
                    self.feed(TransportListening(kind, bound))
        except OSError as error:
            self.feed(TransportListenError(kind, str(error)[:200]))
            await self.stop()
            raise
        self._has_started = True
        self.feed(CheckTimeouts())

    async def stop(self) -> None:
        """End timers and transports; they say goodbye to whoever is still connected. Idempotent."""
        self._is_stopped = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for transport in self.transports:
            await transport.stop()
        self._arrived.set()
        self._tell_all_it_is_over()

    @property
    def is_over(self) -> bool:
        """Whether it has stopped, by itself or by a bug."""
        return self._is_stopped or self._failure is not None

    @property
    def failure(self) -> InvariantViolationError | None:
        """The bug of ours that stopped this runtime, if one did."""
        return self._failure

    def feed(self, action: Action) -> None:
        """Take an input: dispatched at once, or after the one that is under way."""
        if self._is_stopped or self._failure is not None:
            return
        self._inputs.append(action)
        if self._is_dispatching:
            return
        self._is_dispatching = True
        try:
            while self._inputs:
                action = self._inputs.popleft()
                now = self._clock.now()
                try:
                    self._dispatch(action, now)
                except InvariantViolationError as error:
                    self._fail(action, now, error)
        finally:
            self._is_dispatching = False
        self._set_timer()

    @property
    def transports(self) -> tuple[Transport | NetworkTransport, ...]:
        """What carries the connections."""
        return self._transports if self._network is None else (*self._transports, self._network)

    def report(self, notification: TrafficReported) -> None:
        """Hand over what does not come from the reducer, in order with what does."""
        self._notify(notification)

    def command(self, action: Action) -> bool:
        """Take a command of the node software.

        :returns: whether its guard let it pass.
        :raises CallerError: where the runtime has stopped.
        """
        if self.is_over:
            raise CallerError("the node has stopped")
        if self._is_dispatching:
            raise CallerError("give commands outside of notification callbacks; they run inside a dispatch")
        is_enabled = self.store.machine.is_enabled(self.store.state, action, self._clock.now())
        self.feed(action)
        return is_enabled

    def _dispatch(self, action: Action, now: Timestamp) -> None:
        for effect in self.store.dispatch(action, now):
            kind = effect.__class__
            if kind in _OF_TRANSPORTS:
                self._perform(effect)
            elif kind in _OF_LIBP2P:
                if self._network is not None:
                    self._network.perform(effect)
            elif kind in self._answers:
                self._inputs.append(self._answers[kind](effect))
            else:
                self._notify(effect)
        if isinstance(action, CheckTimeouts) and is_due(self.store.state, now):
            self._inputs.append(CheckTimeouts())

    def _perform(self, effect: TransportEffect) -> None:
        if effect.__class__ in _OF_ONE_TRANSPORT:
            kind = self.store.state.config.transport if isinstance(effect, ConnectionEffectfulDial) else getattr(effect, "transport", None)
            for transport in self._transports:
                if transport.kind == kind:
                    transport.perform(effect)
            return
        for transport in self._transports:
            # An effect on a connection goes to all: those that do not know it ignore it.
            transport.perform(effect)

    # --- time -----------------------------------------------------------------------------

    def _set_timer(self) -> None:
        now = self._clock.now()
        # Time makes nothing happen before every transport can carry it out.
        at = next_wake(self.store.state, now) if self._has_started and not self.is_over else None
        if self._timer is not None:
            # A timer is never put off: some wake-ups are "a moment from now" after every input, and a
            # busy node would not get to them. One that comes too early does no harm.
            if at is not None and self._wake_at is not None and self._wake_at <= at:
                return
            self._timer.cancel()
            self._timer = None
        self._wake_at = at
        if at is not None:
            self._timer = asyncio.get_running_loop().call_later(max(0.0, (at - now) / SECOND), self._wake)

    def _wake(self) -> None:
        self._timer = None
        self._wake_at = None
        self.feed(CheckTimeouts())

    # --- notifications --------------------------------------------------------------------

    def listen(self, listener: Callable[[Told], None], *, when_over: Callable[[], None] | None = None) -> Callable[[], None]:
        """Call ``listener`` with every notification as it is made, and ``when_over`` when none will come any more.

        :returns: what ends that.
        """
        entry = listener, when_over
        self._listeners.append(entry)
        return lambda: self._listeners.remove(entry)

    def _tell_all_it_is_over(self) -> None:
        for _, when_over in list(self._listeners):
            if when_over is not None:
                when_over()

    def _notify(self, notification: Any) -> None:
        for listener, _ in tuple(self._listeners):
            listener(notification)
        if len(self._notifications) >= NOTIFICATIONS_MAX:
            self._notifications.popleft()
            self._dropped += 1
        self._notifications.append(notification)
        self._arrived.set()

    async def notifications(self) -> AsyncIterator[Told | NotificationsDropped]:
        """Every notification, in order, until the node stops. For one consumer.

        :raises InvariantViolationError: where a bug of ours stopped the node.
        """
        while True:
            while self._notifications:
                if self._dropped:
                    dropped, self._dropped = self._dropped, 0
                    yield NotificationsDropped(dropped)
                yield self._notifications.popleft()
            if self._failure is not None:
                raise self._failure
            if self._is_stopped:
                return
            self._arrived.clear()
            await self._arrived.wait()

    def _fail(self, action: Action, now: Timestamp, error: InvariantViolationError) -> None:
        """Our own bug: nothing goes on from here, and everybody who waits learns of it."""
        self._failure = error
        if self.on_failure is not None:
            self.on_failure(action, now, error)
        self._inputs.clear()
        self._set_timer()
        self._arrived.set()
        self._tell_all_it_is_over()
