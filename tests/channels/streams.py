"""Labs in which a streamed question is under way."""

from __future__ import annotations

from typing import Any

from channels.lab import QUESTION, Lab, ledger
from mina_p2p.channels.streaming_rpc.actions import (
    ChannelsStreamingRpcResponseSendInit,
    StreamingRpcRequestSend,
)
from mina_p2p.channels.streaming_rpc.messages import (
    StagedLedgerPartsResponse,
    StreamingRpcResponseMessage,
)
from mina_p2p.ids import ConnectionId, RequestId, StreamId


def asking(lab: Lab, request_id: int = 9) -> ConnectionId:
    """We are connected, and have asked."""
    cid = lab.connect(1)
    lab.feed(StreamingRpcRequestSend(cid, RequestId(request_id), QUESTION))
    return cid


def serving(lab: Lab, parts: Any = None) -> tuple[ConnectionId, StreamId]:
    """A peer has asked, and the node software has answered."""
    cid = lab.accept(1)
    stream = lab.ask(cid)
    lab.feed(ChannelsStreamingRpcResponseSendInit(cid, 0, ledger() if parts is None else parts))
    return cid, stream


def local(lab: Lab, cid: ConnectionId) -> Any:
    """Our half of channel 8."""
    rpc = lab.state.channels.streaming_rpc(cid)
    assert rpc is not None
    return rpc.local


def remote(lab: Lab, cid: ConnectionId) -> Any:
    """The peer's half of channel 8."""
    rpc = lab.state.channels.streaming_rpc(cid)
    assert rpc is not None
    return rpc.remote


def message(part: Any, number: int = 0) -> StreamingRpcResponseMessage:
    """A part on the wire."""
    return StreamingRpcResponseMessage(number, StagedLedgerPartsResponse(part))
