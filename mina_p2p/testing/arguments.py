"""Arguments for any action of the machine, follow-ups as well as inputs."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from mina_p2p.best_tip.state import PeerTip
from mina_p2p.channels.rpc.state import ForNode
from mina_p2p.connection.hello import HELLO, Hello
from mina_p2p.disconnection.reasons import StreamResetCode
from mina_p2p.errors import CallerError
from mina_p2p.identity import MAINNET_CHAIN_ID
from mina_p2p.ids import SECOND, ChannelId, ConnectionId, PeerNumber, RequestId, Timestamp
from mina_p2p.peer.state import PeerSource
from mina_p2p.pool.kinds import KINDS as POOL_KINDS
from mina_p2p.pool.state import POOL_CHANNELS
from mina_p2p.record import field_names
from mina_p2p.reducer import p2p_machine
from mina_p2p.testing.catalog import announcements, state_hash
from mina_p2p.testing.suggestions import Suggestions
from mina_p2p.transport import (
    ConnectionHelloReceived,
    ConnectionIncomingReceived,
    TransportKind,
)

NOT_DRAWN = (
    *("mina_p2p.channels.streaming_rpc", "mina_p2p.channels.signaling", "mina_p2p.signaling", "mina_p2p.channels.address_gossip"),
    *("mina_p2p.libp2p", "mina_p2p.identify", "mina_p2p.kademlia", "mina_p2p.gossipsub", "mina_p2p.blocks", "mina_p2p.relay"),
    "mina_p2p.peer_exchange",
)
"""Slices whose actions carry what only their own conversations could know: parts, offers, answers, records, streams."""


@cache
def reduced_actions() -> tuple[type[Any], ...]:
    """Every action class that changes the state, by name, but for those of `NOT_DRAWN`."""
    machine = p2p_machine()
    drawn = (action for action in machine.actions if not action.__module__.startswith(NOT_DRAWN))
    return tuple(action for action in drawn if not machine.is_effect(action))


class AnyAction(Suggestions):
    """Draws any action that is reduced."""

    def action(self) -> Any:
        """Any action that is reduced, with arguments that fit or nearly fit the state.

        Follow-ups trust the reducer that returned them; of what no guard could know, only the truth
        is drawn: an item belongs on its channel, an index in its log.
        """
        return self.arguments(self.pick(reduced_actions()))

    def arguments(self, kind: type[Any]) -> Any:
        """An action of a class."""
        connection_id = self.connection_id()
        pooled = kind.__module__.startswith("mina_p2p.pool")
        channel = self.pick(POOL_CHANNELS) if pooled else self.channel()
        if kind.__name__.startswith("ChannelsRpc"):
            channel = ChannelId.RPC
        info = self.pick(announcements(channel))
        stream = self.stream(connection_id, channel)
        block = self.pick(self.items.blocks)
        values: dict[str, Any] = {"connection_id": connection_id, "channel": channel, "info": info, "item": info, "stream": stream}
        values |= {"block": block, "state_hash": state_hash(block)}
        return kind(*(values[name] if name in values else self._value(kind, name, values) for name in field_names(kind)))

    def _value(self, kind: type[Any], name: str, values: dict[str, Any]) -> Any:
        connection_id, channel, info = values["connection_id"], values["channel"], values["info"]
        connection = self.state.connections.get(connection_id)
        machine = self.state.channels.propagation(connection_id, channel)
        next_index = 0 if machine is None else machine.next_send_index
        match name:
            case "peer_id":
                return connection.peer_id if connection is not None and self.often() else self.peer_id()
            case "number" | "learned_from":
                return self.pick([*self.state.peers.table, PeerNumber(0)])
            case "address":
                return self.address()
            case "code":
                return self.pick(list(StreamResetCode))
            case "request_id" | "message":
                return RequestId(self.below(1 << 20))
            case "verdict_id":
                return self.pick([*self.state.pools.verdicts, RequestId(0)])
            case "candidate":
                return self.pick([*self.state.pools.of(channel).candidates, 0]) if channel in POOL_KINDS else 0
            case "id" | "serial":
                found = self.state.channels.rpc(connection_id)
                known = (
                    []
                    if found is None
                    else [r.id for r in found.requests] + [s.serial for s in found.serving] + [s.id for s in found.serving]
                )
                return self.pick(known) if known and self.often() else self.below(5)
            case "more" | "promised_count" | "limit":
                return self.below(5)
            case "purpose":
                return ForNode(RequestId(self.below(1 << 20)))
            case "source":
                return self.pick(list(PeerSource))
            case "arrival":
                return ConnectionIncomingReceived(TransportKind.QUIC, self.below(1 << 40), self.remote(), self.peer_id())
            case "hello":
                return HELLO.decode(HELLO.encode(Hello(1, 1, MAINNET_CHAIN_ID, (3, 4, 5, 6, 7), (), "drawn")))
            case "items":
                return (info,) * self.below(5)
            case "first_index":
                return max(0, next_index - self.below(2))
            case "last_index":
                return next_index - (next_index >= self._counter(channel))
            case "key" | "body":
                return POOL_KINDS[channel].key(info) if name == "key" else b"body"
            case "until":
                return Timestamp(self.state.clock.now + (self.below(4) - 1) * 60 * SECOND)
            case "is_valid" | "is_produced" | "by_peer" | "was_ready" | "is_transport_gone":
                return bool(self.below(2))
            case "frame":
                return self.hello() if kind is ConnectionHelloReceived else self.frame().frame
            case _:
                return self._of_type(name, connection_id)

    def _of_type(self, name: str, connection_id: ConnectionId) -> Any:
        made: dict[str, Callable[[], Any]] = {
            "reason": self.reason,
            "remote": self.remote,
            "host": self.host,
            "request": self.request,
            "response": lambda: self.response(connection_id),
            "transport": lambda: TransportKind.QUIC,
            "handle": lambda: self.below(1 << 20),
            "detail": lambda: "",
            "tip": lambda: PeerTip(state_hash(self.pick(self.items.blocks)), bytes(32), self.below(100)),
        }
        if name not in made:
            raise CallerError(f"nothing is drawn for a field called {name}; teach it to Suggestions")
        return made[name]()

    def _counter(self, channel: ChannelId) -> int:
        return self.state.pools.of(channel).items.counter if channel in POOL_KINDS else self.state.best_tips.version + 1
