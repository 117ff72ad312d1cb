"""Requests of a peer that overtake each other, on the channels that have one request open at a time.

A request is withdrawn by the reset of its stream, and the next one is on another stream; so either may
arrive first, and so may two requests, however long their sender waits in between (its clock may jump). Whoever asks numbers its
streams, so the order of asking is known: **the request on the latest stream counts**.

| arrives, while the peer's last request is on stream *n* | what follows |
|---|---|
| a request on a stream after *n*, which is open | what the reset of *n* would have done; *n* is reset by us, the request is taken |
| a request on a stream after *n*, which was answered | the request is taken |
| a request on a stream before *n* | it is reset, and nothing else |
| a second request on *n* | a violation, as the channel's slice says |

So a half has one request at any time, and what comes on a stream that was reset is dropped by the transport. It is no way to
have more done: each request costs its sender one stream of its limit, which it has again when our reset is through, and
what follows is what its own withdrawal would have caused. Where a transport has no streams, as WebRTC, all requests of a
channel are on one, and the second is a violation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from mina_p2p.channels.propagation import state as propagation
from mina_p2p.channels.signaling_discovery import state as discovery
from mina_p2p.channels.signaling_exchange import state as exchange
from mina_p2p.channels.streaming_rpc import state as streaming
from mina_p2p.disconnection.reasons import StreamResetCode
from mina_p2p.ids import ConnectionId, StreamId
from mina_p2p.store import Action, FollowUps
from mina_p2p.transport import ChannelsEffectfulStreamReset

RemoteHalf: TypeAlias = propagation.RemoteHalf | discovery.RemoteHalf | exchange.RemoteHalf | streaming.RemoteHalf
_Idle: TypeAlias = (
    propagation.WaitingForRequest
    | streaming.WaitingForRequest
    | discovery.RemoteIdle
    | exchange.WaitingForRequest
    | exchange.RemoteAnswered
)
_Answered: TypeAlias = propagation.RemoteResponded | streaming.RemoteResponded
"""Halves that remember a stream on which everything is said."""


def in_order(
    half: RemoteHalf, connection_id: ConnectionId, stream: StreamId, request: Action, withdrawn: Callable[[StreamId], Action]
) -> FollowUps:
    """What a request of the peer's means that arrives now.

    :param half: what is known of its last request on the channel.
    :param stream: of the request; one that the peer opened.
    :param request: the action for it, if it counts.
    :param withdrawn: makes the action for a reset of the stream that is open.
    """
    if isinstance(half, _Idle) or half.stream == stream:
        return (request,)
    if stream < half.stream:
        return (_reset(connection_id, stream),)
    if isinstance(half, _Answered):
        return (request,)
    return _reset(connection_id, half.stream), withdrawn(half.stream), request


def _reset(connection_id: ConnectionId, stream: StreamId) -> ChannelsEffectfulStreamReset:
    return ChannelsEffectfulStreamReset(connection_id, stream, StreamResetCode.CANCELLED)
