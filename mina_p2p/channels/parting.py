"""What others have to know when the channels of a connection are forgotten."""

from __future__ import annotations

from collections.abc import Iterator

from mina_p2p.channels.signaling_discovery import dialer
from mina_p2p.channels.signaling_discovery.actions import ChannelsSignalingDiscoveryTargetLost
from mina_p2p.channels.signaling_exchange import listener
from mina_p2p.channels.signaling_exchange.actions import ChannelsSignalingExchangeRequesterLost
from mina_p2p.channels.streaming_rpc.actions import ChannelsStreamingRpcServeNext
from mina_p2p.channels.streaming_rpc.reducer import responded
from mina_p2p.channels.streaming_rpc.state import Requested, Responded
from mina_p2p.disconnection.reasons import Reason
from mina_p2p.ids import ConnectionId
from mina_p2p.notifications import RpcFailed
from mina_p2p.state import P2pState
from mina_p2p.store import Action


def parted(state: P2pState, connection_id: ConnectionId, reason: Reason) -> Iterator[Action]:
    """Follow-ups for whoever waited for something by streams of a connection that ends.

    :param state: while its channels are still there.
    """
    channels = state.channels.table.get(connection_id)
    if channels is None:
        return
    if (streaming := channels.streaming_rpc) is not None:
        if isinstance(streaming.local, Requested):
            yield RpcFailed(streaming.local.request_id, reason)
        if isinstance(streaming.local, Responded):
            yield responded(connection_id, streaming.local)
        if streaming.is_served and state.channels.servings.idle:
            yield ChannelsStreamingRpcServeNext()
    if (discovery := channels.discovery) is not None:
        yield from dialer.failed(connection_id, discovery.remote, reason)
        if discovery.target_connection is not None:
            yield ChannelsSignalingExchangeRequesterLost(discovery.target_connection)
    if (exchange := channels.exchange) is not None:
        yield from listener.failed(connection_id, exchange.local, reason)
        if exchange.requester is not None:
            yield ChannelsSignalingDiscoveryTargetLost(exchange.requester)
