"""Frames and stream events of channel 8, mapped to what they mean."""

from __future__ import annotations

from mina_p2p.channels.state import PeerChannels
from mina_p2p.channels.streaming_rpc.actions import (
    ChannelsStreamingRpcAnswerEnded,
    ChannelsStreamingRpcAnswerReset,
    ChannelsStreamingRpcRequestCancelled,
    ChannelsStreamingRpcRequestEnded,
    ChannelsStreamingRpcRequestReceived,
    ChannelsStreamingRpcResponsePartNextSend,
    ChannelsStreamingRpcResponsePartReceived,
    ChannelsStreamingRpcResponseReceived,
    StreamingRpcAction,
)
from mina_p2p.channels.streaming_rpc.messages import (
    STREAMING_RPC_MESSAGE,
    StreamingRpcNext,
    StreamingRpcRequestMessage,
    StreamingRpcResponseMessage,
)
from mina_p2p.transport import ChannelsMessageReceived, ChannelsStreamEnded, ChannelsStreamReset


def of_message(event: ChannelsMessageReceived) -> StreamingRpcAction:
    """What a frame says.

    :raises DecodeError: where it says nothing.
    """
    connection_id, stream = event.connection_id, event.stream
    match STREAMING_RPC_MESSAGE.decode(event.frame):
        case StreamingRpcNext(id=number):
            return ChannelsStreamingRpcResponsePartNextSend(connection_id, stream, number)
        case StreamingRpcRequestMessage(id=number, request=request):
            return ChannelsStreamingRpcRequestReceived(connection_id, stream, number, request)
        case StreamingRpcResponseMessage(id=number, response=response):
            if response is None:
                return ChannelsStreamingRpcResponseReceived(connection_id, stream, number, False)
            return ChannelsStreamingRpcResponsePartReceived(connection_id, stream, number, response.part, len(event.frame))


def of_end(event: ChannelsStreamEnded, channels: PeerChannels) -> StreamingRpcAction:
    """What the end of the peer's half of a stream says."""
    if channels.is_ours(event.stream):
        return ChannelsStreamingRpcAnswerEnded(event.connection_id, event.stream)
    return ChannelsStreamingRpcRequestEnded(event.connection_id, event.stream)


def of_reset(event: ChannelsStreamReset, channels: PeerChannels) -> StreamingRpcAction:
    """What the reset of a stream says."""
    if channels.is_ours(event.stream):
        return ChannelsStreamingRpcAnswerReset(event.connection_id, event.stream, event.code)
    return ChannelsStreamingRpcRequestCancelled(event.connection_id, event.stream)
