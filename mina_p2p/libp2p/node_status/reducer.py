"""Statuses: reducer."""

from __future__ import annotations

from typing import assert_never

from mina_p2p.ids import ConnectionId, Timestamp
from mina_p2p.libp2p.actions import NetworkStreamEnd, NetworkStreamOpen, NetworkStreamReset
from mina_p2p.libp2p.node_status.actions import (
    NetworkStatusAsk,
    NetworkStatusEnded,
    NetworkStatusLost,
    NetworkStatusPartReceived,
    NetworkStatusRequestReceived,
    NetworkStatusSet,
    NodeStatusAction,
)
from mina_p2p.libp2p.node_status.state import STATUS_BYTES_MAX, WAIT, Ask, NodeStatus
from mina_p2p.libp2p.notifications import NetworkStatusFailed, NetworkStatusReceived
from mina_p2p.libp2p.protocols import NODE_STATUS
from mina_p2p.libp2p.state import NetworkState
from mina_p2p.libp2p.transport import Libp2pEffectfulSend
from mina_p2p.store import Attempt, FollowUps, expect


def reduce(state: NodeStatus, action: NodeStatusAction, now: Timestamp, root: NetworkState) -> tuple[NodeStatus, FollowUps]:
    """Reduce one action of this slice."""
    match action:
        case NetworkStatusSet(status=status):
            return state.replace(own=status), ()

        case NetworkStatusAsk(request_id=request_id, peer_id=peer_id):
            connection_id = ConnectionId(expect(root.links.connection_to(peer_id), int, action))
            asks = state.asks.set(request_id, Ask(peer_id, Timestamp(now + WAIT)))
            opening = NetworkStreamOpen(connection_id, NODE_STATUS.name, request_id, (), False)
            return state.replace(asks=asks), (Attempt(opening, NetworkStatusLost(request_id, "no stream can be opened")),)

        case NetworkStatusRequestReceived(connection_id=connection_id, stream=stream):
            said = (Libp2pEffectfulSend(connection_id, stream, state.own),) if state.own else ()
            return state, (*said, NetworkStreamEnd(connection_id, stream))

        case NetworkStatusPartReceived(request_id=request_id, connection_id=connection_id, stream=stream, data=data):
            ask = state.asks[request_id]
            size = ask.size + len(data)
            why = "longer than any status" if size > STATUS_BYTES_MAX else "not complete in time" if now >= ask.deadline else ""
            if why:
                return state, (NetworkStreamReset(connection_id, stream), NetworkStatusLost(request_id, why))
            return state.replace(asks=state.asks.set(request_id, ask.replace(parts=ask.parts.set(len(ask.parts), data), size=size))), ()

        case NetworkStatusEnded(request_id=request_id):
            ask = state.asks[request_id]
            status = b"".join(ask.parts.values())
            return state.replace(asks=state.asks.delete(request_id)), (NetworkStatusReceived(request_id, ask.peer_id, status),)

        case NetworkStatusLost(request_id=request_id, detail=detail):
            return state.replace(asks=state.asks.delete(request_id)), (NetworkStatusFailed(request_id, detail),)

        case _:
            assert_never(action)
