"""Answering peers' questions: from the state where it knows, else by the node software."""

from __future__ import annotations

from mina_p2p.channels.rpc.actions import ChannelsRpcResponseSend
from mina_p2p.channels.rpc.kinds import kind_of
from mina_p2p.channels.rpc.messages import BlockRequest, BlockResponse, InitialPeersRequest, InitialPeersResponse, RpcRequest
from mina_p2p.channels.rpc.state import Serving
from mina_p2p.config import Timeouts
from mina_p2p.ids import ConnectionId
from mina_p2p.notifications import RpcRequested
from mina_p2p.pool.kinds import answer_for, key_of_request
from mina_p2p.state import P2pState


def serve_within(timeouts: Timeouts, request: RpcRequest) -> int:
    """How long the node software has for an answer: ``timeouts.serve``, and less than the peer's patience for that kind.

    A peer that has waited as long as we would hangs up (defect C5); a quarter of that is for the ways there and back.
    """
    return min(timeouts.serve, kind_of(request).timeout(timeouts) * 3 // 4)


def answer_or_ask(state: P2pState, connection_id: ConnectionId, serving: Serving) -> ChannelsRpcResponseSend | RpcRequested:
    """What follows from a peer's question."""
    serial, request = serving.serial, serving.request
    if isinstance(request, InitialPeersRequest):
        return ChannelsRpcResponseSend(connection_id, serial, InitialPeersResponse(state.peers_to_share(connection_id)))
    own = state.best_tips.own
    if isinstance(request, BlockRequest) and own is not None and own.state_hash == request.block_hash:
        return ChannelsRpcResponseSend(connection_id, serial, BlockResponse(own.block))
    if (wanted := key_of_request(request)) is not None:
        channel, key = wanted
        item = state.pools.of(channel).items.get(key)
        return ChannelsRpcResponseSend(connection_id, serial, None if item is None else answer_for(request, item.body))
    return RpcRequested(connection_id, state.connections.table[connection_id].peer_id, serial, request, serving.deadline)
