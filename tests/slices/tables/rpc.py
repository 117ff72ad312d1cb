"""Questions, ours and the peer's."""

from __future__ import annotations

from typing import Any

from mina_p2p import transport
from mina_p2p.channels.rpc import actions as rpc
from mina_p2p.channels.rpc.messages import (
    BestTipWithProofRequest,
    BestTipWithProofResponse,
    BlockResponse,
    InitialPeersRequest,
    LedgerQueryRequest,
    TransactionRequest,
    TransactionResponse,
)
from mina_p2p.channels.rpc.state import ForDiscovery, ForNode
from mina_p2p.config import Limits
from mina_p2p.disconnection.reasons import StreamResetCode
from mina_p2p.ids import RequestId, StreamId
from mina_p2p.mina.ledger_query import MerkleAddress, WhatContents
from mina_p2p.mina.raw import RawBestTipWithProof, RawBlock
from mina_p2p.state import P2pState
from slices.items import payment, payment_info
from slices.lab import Lab, hello
from slices.transitions import CID, LATE, Case, Table

FOREIGN = StreamId(4)
"""A stream that the peer opened."""
OTHER = StreamId(400)


RPC_STREAM = StreamId(17)
"""The stream of our question, in the states below."""
_QUESTION = BestTipWithProofRequest()


def _asking_states() -> dict[str, P2pState]:
    lab = Lab(limits=Limits(rpc_requests_max=2))
    lab.arrive(1)
    states = {"no channel": lab.state}
    lab.feed(transport.ConnectionHelloReceived(CID, hello()))
    states["none"] = lab.state
    lab.feed(rpc.RpcRequestSend(CID, RequestId(1), TransactionRequest(payment_info(1).hash)))
    states["Requested"] = lab.state
    states["Requested, full"] = Lab.of_state(lab).feed(rpc.RpcRequestSend(CID, RequestId(2), _QUESTION)).state
    lab.answer(CID, 0, TransactionResponse(payment(1)))
    states["Responded"] = lab.state
    lab = Lab(limits=Limits(answer_bytes_granted_max=1))
    lab.accept(1)
    states["none, no credit left"] = lab.state
    return states


def _asked(state: P2pState) -> Any:
    found = state.channels.rpc(CID)
    return None if found is None else found.request(0)


ASKING = Table(
    _asking_states(),
    {
        "RpcRequestSend": Case(rpc.RpcRequestSend(CID, RequestId(9), _QUESTION)),
        "RequestSend": Case(rpc.ChannelsRpcRequestSend(CID, _QUESTION, ForNode(RequestId(9)))),
        "RequestSend, unreasonable": Case(
            rpc.ChannelsRpcRequestSend(CID, LedgerQueryRequest(bytes(32), WhatContents(MerkleAddress(1, b"\0"))), ForDiscovery())
        ),
        "Timeout, early": Case(rpc.ChannelsRpcTimeout(CID, 0)),
        "Timeout, late": Case(rpc.ChannelsRpcTimeout(CID, 0), LATE),
        "Timeout, of another": Case(rpc.ChannelsRpcTimeout(CID, 7), LATE),
        "ResponseReceived": Case(rpc.ChannelsRpcResponseReceived(CID, RPC_STREAM, 0, TransactionResponse(payment(1)))),
        "ResponseReceived, None": Case(rpc.ChannelsRpcResponseReceived(CID, RPC_STREAM, 0, None)),
        "ResponseReceived, another kind": Case(rpc.ChannelsRpcResponseReceived(CID, RPC_STREAM, 0, BlockResponse(RawBlock(b"")))),
        "ResponseReceived, another id": Case(rpc.ChannelsRpcResponseReceived(CID, RPC_STREAM, 7, None)),
        "ResponseReceived, elsewhere": Case(rpc.ChannelsRpcResponseReceived(CID, OTHER, 0, None)),
        "AnswerEnded": Case(rpc.ChannelsRpcAnswerEnded(CID, RPC_STREAM)),
        "AnswerEnded, elsewhere": Case(rpc.ChannelsRpcAnswerEnded(CID, OTHER)),
        "AnswerReset": Case(rpc.ChannelsRpcAnswerReset(CID, RPC_STREAM, StreamResetCode.REFUSED)),
        "AnswerReset, elsewhere": Case(rpc.ChannelsRpcAnswerReset(CID, OTHER, StreamResetCode.REFUSED)),
    },
    _asked,
    {
        "RpcRequestSend": {
            "no channel": "nothing: ChannelsRpcRequestSend | RpcFailed",
            "none": "nothing: ChannelsRpcRequestSend | RpcFailed",
            "Requested": "Requested: ChannelsRpcRequestSend | RpcFailed",
            "Requested, full": "Requested: ChannelsRpcRequestSend | RpcFailed",
            "Responded": "Responded: ChannelsRpcRequestSend | RpcFailed",
            "none, no credit left": "nothing: ChannelsRpcRequestSend | RpcFailed",
        },
        "RequestSend": {
            "none": "Requested: ChannelsEffectfulRequestSend",
            "Requested": "Requested: ChannelsEffectfulRequestSend",
            "Responded": "Responded: ChannelsEffectfulRequestSend",
        },
        "Timeout, late": {
            "Requested": "Requested: DisconnectionInit",
            "Requested, full": "Requested: DisconnectionInit",
            "Responded": "Responded: DisconnectionInit",
        },
        "ResponseReceived": {
            "Requested": "Responded: RpcResponded",
            "Requested, full": "Responded: RpcResponded",
        },
        "ResponseReceived, None": {
            "Requested": "Responded: RpcResponded",
            "Requested, full": "Responded: RpcResponded",
        },
        "AnswerEnded": {
            "Responded": "nothing: PoolFetchNext",
        },
        "AnswerReset": {
            "Requested": "nothing: RpcFailed, PoolFetchNext",
            "Requested, full": "nothing: RpcFailed, PoolFetchNext",
            "Responded": "nothing: PoolFetchNext",
        },
    },
)


def _serving_states() -> dict[str, P2pState]:
    lab = Lab(limits=Limits(rpc_pending_max=2))
    lab.arrive(1)
    states = {"no channel": lab.state}
    lab.feed(transport.ConnectionHelloReceived(CID, hello()))
    states["none"] = lab.state
    lab.ask(CID, 3, _QUESTION, FOREIGN)
    states["Serving"] = lab.state
    lab.ask(CID, 4, _QUESTION)
    states["Serving, full"] = lab.state
    return states


def _served(state: P2pState) -> Any:
    found = state.channels.rpc(CID)
    return None if found is None else found.serving_by(0)


def _received(stream: StreamId, number: int, request: Any = _QUESTION) -> Case:
    return Case(rpc.ChannelsRpcRequestReceived(CID, stream, number, request))


SERVING = Table(
    _serving_states(),
    {
        "RequestReceived, for the node software": _received(OTHER, 9),
        "RequestReceived, for us": _received(OTHER, 9, InitialPeersRequest()),
        "RequestReceived, of an item": _received(OTHER, 9, TransactionRequest(bytes(32))),
        "RequestReceived, unreasonable": _received(OTHER, 9, LedgerQueryRequest(bytes(32), WhatContents(MerkleAddress(1, b"\0")))),
        "RequestReceived, id in use": _received(OTHER, 3),
        "RequestReceived, stream in use": _received(FOREIGN, 9),
        "RequestCancelled": Case(rpc.ChannelsRpcRequestCancelled(CID, FOREIGN)),
        "RequestCancelled, elsewhere": Case(rpc.ChannelsRpcRequestCancelled(CID, OTHER)),
        "ResponseSend, None": Case(rpc.ChannelsRpcResponseSend(CID, 0, None)),
        "ResponseSend": Case(rpc.ChannelsRpcResponseSend(CID, 0, BestTipWithProofResponse(RawBestTipWithProof(b"")))),
        "ResponseSend, another kind": Case(rpc.ChannelsRpcResponseSend(CID, 0, BlockResponse(RawBlock(b"")))),
        "ResponseSend, of another": Case(rpc.ChannelsRpcResponseSend(CID, 7, None)),
        "ServeTimeout, early": Case(rpc.ChannelsRpcServeTimeout(CID, 0)),
        "ServeTimeout, late": Case(rpc.ChannelsRpcServeTimeout(CID, 0), LATE),
    },
    _served,
    {
        "RequestReceived, for the node software": {
            "none": "Serving: RpcRequested",
            "Serving": "Serving: RpcRequested",
        },
        "RequestReceived, for us": {
            "none": "Serving: ChannelsRpcResponseSend",
            "Serving": "Serving: ChannelsRpcResponseSend",
        },
        "RequestReceived, of an item": {
            "none": "Serving: ChannelsRpcResponseSend",
            "Serving": "Serving: ChannelsRpcResponseSend",
        },
        "RequestReceived, id in use": {
            "none": "Serving: RpcRequested",
        },
        "RequestReceived, stream in use": {
            "none": "Serving: RpcRequested",
        },
        "RequestCancelled": {
            "Serving": "nothing",
        },
        "ResponseSend, None": {
            "Serving": "nothing: ChannelsEffectfulAnswerSend",
        },
        "ResponseSend": {
            "Serving": "nothing: ChannelsEffectfulAnswerSend",
        },
        "ServeTimeout, late": {
            "Serving": "Serving: ChannelsRpcResponseSend",
        },
    },
)
