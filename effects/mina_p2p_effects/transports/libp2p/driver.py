"""`Libp2pNode`: the machine of a libp2p node over its transport, one input after the other.

It decides nothing. Besides what the transport does it signs with the node's key, checks signatures, and tells the time.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import get_args

from mina_p2p.errors import CallerError, InvariantViolationError
from mina_p2p.gossipsub.actions import NetworkPubsubSigned, NetworkPubsubVerified
from mina_p2p.gossipsub.effects import NetworkPubsubEffectfulSign, NetworkPubsubEffectfulVerify
from mina_p2p.ids import SECOND, Timestamp
from mina_p2p.libp2p.config import NetworkConfig
from mina_p2p.libp2p.machine import NetworkCheckTimeouts, network_machine, next_wake
from mina_p2p.libp2p.notifications import NetworkNotification
from mina_p2p.libp2p.protocols import PROTOCOLS
from mina_p2p.libp2p.state import NetworkState, initial_network
from mina_p2p.libp2p.transport import Libp2pEffect
from mina_p2p.store import Action, Store
from mina_p2p_effects.clock import Clock
from mina_p2p_effects.keys import SecretKey, verify
from mina_p2p_effects.transports.libp2p.config import Libp2pConfig
from mina_p2p_effects.transports.libp2p.transport import Libp2pTransport

Listener = Callable[[NetworkNotification], None]

_TRANSPORT_EFFECTS = frozenset(get_args(Libp2pEffect))


class Libp2pNode:
    """One node of a libp2p network. All calls are on the event loop's thread.

    :param secret_key: the node's identity; its peer id is the configuration's.
    :param network_key: the private network's key; by default that of the configured chain, ``b""`` for an open network.
    :param host: the address to bind; ``None`` does not listen.
    :param port: the TCP port to bind; 0 takes any.
    :raises CallerError: where the key is of another peer id, or the extra ``libp2p`` is missing.
    """

    def __init__(
        self,
        config: NetworkConfig,
        secret_key: SecretKey,
        *,
        network_key: bytes | None = None,
        host: str | None = "0.0.0.0",  # noqa: S104 - a node serves every interface
        port: int = 0,
        transport_config: Libp2pConfig | None = None,
        clock: Clock | None = None,
    ) -> None:
        if secret_key.peer_id != config.peer_id:
            raise CallerError("the secret key belongs to another peer id than the configuration's")
        self._secret_key = secret_key
        self._clock = clock if clock is not None else Clock()
        self.store: Store[NetworkState] = Store(network_machine(), initial_network(config, self._clock.now()))
        """The state; read only."""
        self.transport = Libp2pTransport(
            secret_key,
            [PROTOCOLS[name] for name in self.store.state.protocols],
            network_key=config.chain_id.libp2p_network_key if network_key is None else network_key or None,
            host=host,
            port=port,
            external=config.external_addresses,
            config=transport_config,
        )
        self._inputs: deque[Action] = deque()
        self._is_dispatching = False
        self._is_stopped = False
        self._timer: asyncio.TimerHandle | None = None
        self._wake_at = Timestamp(0)
        self._listeners: list[Listener] = []

    @property
    def state(self) -> NetworkState:
        """What the node knows now."""
        return self.store.state

    @property
    def is_over(self) -> bool:
        """Whether it has stopped, by itself or by a bug of ours."""
        return self._is_stopped or self.store.failure is not None

    async def start(self) -> int | None:
        """Listen and begin to act.

        :returns: the TCP port; ``None`` where it does not listen.
        :raises OSError: where the address can not be bound.
        """
        port = await self.transport.start(self.feed)
        self.feed(NetworkCheckTimeouts())
        return port

    async def stop(self) -> None:
        """Say goodbye and release everything. Idempotent."""
        self._is_stopped = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        await self.transport.stop()

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call ``listener`` with every notification; :returns: what ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def command(self, action: Action) -> bool:
        """Take a command.

        Within a listener it is taken after what is under way.

        :returns: whether its guard lets it pass now.
        :raises CallerError: where the node has stopped.
        """
        if self.is_over:
            raise CallerError("the node has stopped")
        is_enabled = self.store.machine.is_enabled(self.store.state, action, self._clock.now())
        self.feed(action)
        return is_enabled

    def feed(self, action: Action) -> None:
        """Take an input: dispatched at once, or after the one that is under way."""
        if self.is_over:
            return
        self._inputs.append(action)
        if self._is_dispatching:
            return
        self._is_dispatching = True
        try:
            while self._inputs and not self.is_over:
                self._perform(self.store.dispatch(self._inputs.popleft(), self._clock.now()))
        except InvariantViolationError as error:
            asyncio.get_running_loop().call_exception_handler({"message": "the libp2p node met a bug of its own", "exception": error})
            raise
        finally:
            self._is_dispatching = False
        self._set_timer()

    def _perform(self, effects: list[Action]) -> None:
        for effect in effects:
            if effect.__class__ in _TRANSPORT_EFFECTS:
                self.transport.perform(effect)
                continue
            match effect:
                case NetworkPubsubEffectfulVerify(request_id=request_id, author=author, data=data, signature=signature):
                    self._inputs.append(NetworkPubsubVerified(request_id, verify(author, data, signature)))
                case NetworkPubsubEffectfulSign(request_id=request_id, data=data):
                    self._inputs.append(NetworkPubsubSigned(request_id, self._secret_key.sign(data)))
                case _:
                    for listener in list(self._listeners):
                        listener(effect)

    def _set_timer(self) -> None:
        at = next_wake(self.store.state)
        if self.is_over or (self._timer is not None and self._wake_at <= at):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._wake_at = at
        self._timer = asyncio.get_running_loop().call_later(max(0.0, (at - self._clock.now()) / SECOND), self._wake)

    def _wake(self) -> None:
        self._timer = None
        self.feed(NetworkCheckTimeouts())
