"""Questions and answers in the words of the pull protocol, whichever way a peer is connected.

=============================================  ======================================================
pull protocol                                  libp2p (spec: libp2p 10)
=============================================  ======================================================
`BestTipWithProofRequest`                      ``get_best_tip``
`LedgerQueryRequest`                           ``answer_sync_ledger_query``; an error is no answer
`StagedLedgerAuxAndPendingCoinbases…Request`   ``get_staged_ledger_aux_and_pending_coinbases_at_hash``
`BlockRequest`                                 ``get_transition_chain`` of one hash
`InitialPeersRequest`                          ``get_some_initial_peers``
=============================================  ======================================================

Bodies are the same bytes in both, so none is written anew. What libp2p has beyond that stays `NetworkRpcCall` and
`NetworkRpcRequested`; single transactions and snark works can be asked for on pull connections only.
"""

from __future__ import annotations

from typing import Final

from mina_p2p.address import AddressError, Libp2pAddress, parse_host
from mina_p2p.channels.rpc.actions import ChannelsRpcResponseSend, RpcRequestSend
from mina_p2p.channels.rpc.messages import (
    BestTipWithProofRequest,
    BestTipWithProofResponse,
    BlockRequest,
    BlockResponse,
    InitialPeersRequest,
    InitialPeersResponse,
    LedgerQueryRequest,
    LedgerQueryResponse,
    RpcRequest,
    RpcResponse,
    StagedLedgerAuxAndPendingCoinbasesAtBlockRequest,
    StagedLedgerAuxAndPendingCoinbasesAtBlockResponse,
)
from mina_p2p.disconnection.reasons import DETAIL_CHARS_MAX, Reason, ReasonCode
from mina_p2p.errors import CallerError, DecodeError
from mina_p2p.identity import IdentityError, PeerId
from mina_p2p.ids import RequestId
from mina_p2p.libp2p.notifications import NetworkRpcRequested, NetworkRpcResponded
from mina_p2p.libp2p_rpc.actions import NetworkRpcAnswer, NetworkRpcCall, NetworkRpcRefuse
from mina_p2p.libp2p_rpc.state import method_of
from mina_p2p.mina.raw import RawBestTipWithProof, RawBlock, RawLedgerAnswer, RawStagedLedgerAux
from mina_p2p.mina.rpc import ErrorText
from mina_p2p.mina.rpc import Peer as WirePeer
from mina_p2p.notifications import RpcFailed, RpcRequested, RpcResponded
from mina_p2p.relay.actions import PeerAnswer, PeerAsk, RelayCallRefused
from mina_p2p.relay.state import BY_LIBP2P, Asked, Relay, Serving
from mina_p2p.state import P2pState
from mina_p2p.store import Attempt, FollowUps

_BEST_TIP: Final = "get_best_tip"
_LEDGER: Final = "answer_sync_ledger_query"
_STAGED: Final = "get_staged_ledger_aux_and_pending_coinbases_at_hash"
_CHAIN: Final = "get_transition_chain"
_PEERS: Final = "get_some_initial_peers"

_UNIT: Final = b"\x00"
_NONE: Final = b"\x00"
_SOME: Final = b"\x01"
_OK: Final = b"\x00"
_ONE: Final = b"\x01"
"""Of a list: its length."""
_NO_LEDGER: Final = method_of(_LEDGER).response_codec.encode(ErrorText(b"this node has no answer"))


# --- asking


def ask(state: Relay, action: PeerAsk, root: P2pState) -> tuple[Relay, FollowUps]:
    """Ask over a pull connection where there is one, else over libp2p."""
    connection_id = root.connection_of(action.peer_id)
    if connection_id is not None and root.channels.rpc(connection_id) is not None:
        return state, (RpcRequestSend(connection_id, action.request_id, action.request),)
    if root.network is None or not root.network.is_settled(action.peer_id):
        return state, (RpcFailed(action.request_id, Reason(ReasonCode.CHANNEL_CLOSED, detail="no connection with that peer")),)
    query = _query_of(action.request)
    if query is None:
        detail = f"{type(action.request).__name__} can be asked on a pull connection only"
        return state, (RpcFailed(action.request_id, Reason(ReasonCode.UNSUPPORTED, detail=detail)),)
    call = RequestId(state.last_call + 1)
    asked = state.replace(asked=state.asked.set(call, Asked(action.request_id, action.request)), last_call=call)
    return asked, (Attempt(NetworkRpcCall(call, action.peer_id, *query), RelayCallRefused(call)),)


def responded(state: Relay, told: NetworkRpcResponded) -> tuple[Relay, FollowUps]:
    """A peer of libp2p's has answered a question of ours."""
    asked = state.asked[told.request_id]
    state = state.replace(asked=state.asked.delete(told.request_id))
    try:
        response = _response_of(asked.request, told.answer)
    except DecodeError as error:
        reason = Reason(ReasonCode.RESPONSE_KIND_MISMATCH, detail=str(error)[:DETAIL_CHARS_MAX])
        return state, (RpcFailed(asked.request_id, reason),)
    return state, (RpcResponded(asked.request_id, BY_LIBP2P, response),)


def failed(state: Relay, call: RequestId, detail: str) -> tuple[Relay, FollowUps]:
    """No answer will come to a question of ours."""
    asked = state.asked[call]
    reason = Reason(ReasonCode.CHANNEL_SEND_FAILED, detail=detail[:DETAIL_CHARS_MAX])
    return state.replace(asked=state.asked.delete(call)), (RpcFailed(asked.request_id, reason),)


def _query_of(request: RpcRequest) -> tuple[str, bytes] | None:
    match request:
        case BestTipWithProofRequest():
            return _BEST_TIP, _UNIT
        case LedgerQueryRequest(ledger_hash=ledger_hash, query=query):
            return _LEDGER, method_of(_LEDGER).query_codec.encode((ledger_hash, query))
        case StagedLedgerAuxAndPendingCoinbasesAtBlockRequest(block_hash=block_hash):
            return _STAGED, block_hash
        case BlockRequest(block_hash=block_hash):
            return _CHAIN, _ONE + block_hash
        case InitialPeersRequest():
            return _PEERS, _UNIT
        case _:
            return None


def _response_of(request: RpcRequest, answer: bytes) -> RpcResponse | None:
    """What an answer of libp2p's says; it has been read already, so only what is around its body is looked at."""
    match request:
        case InitialPeersRequest():
            return InitialPeersResponse(tuple(_addresses(method_of(_PEERS).response_codec.decode(answer))))
        case LedgerQueryRequest():
            return LedgerQueryResponse(RawLedgerAnswer(answer[1:])) if answer.startswith(_OK) else None
        case _ if answer == _NONE:
            return None
        case BestTipWithProofRequest():
            return BestTipWithProofResponse(RawBestTipWithProof(answer[1:]))
        case StagedLedgerAuxAndPendingCoinbasesAtBlockRequest():
            return StagedLedgerAuxAndPendingCoinbasesAtBlockResponse(RawStagedLedgerAux(answer[1:]))
        case _:
            if not answer.startswith(_SOME + _ONE):
                raise DecodeError("answer", 1, "not exactly one block")
            return BlockResponse(RawBlock(answer[2:]))


def _addresses(peers: tuple[WirePeer, ...]) -> list[Libp2pAddress]:
    """Those of them that can be read: what OCaml sends may name peers of kinds that we do not know."""
    found: list[Libp2pAddress] = []
    for peer in peers:
        try:
            peer_id, host = PeerId.parse(peer.peer_id.decode()), parse_host(peer.host.decode())
        except (IdentityError, AddressError, UnicodeDecodeError):
            continue
        if 0 < peer.libp2p_port < 1 << 16:
            found.append(Libp2pAddress(peer_id, host, peer.libp2p_port))
    return found


# --- being asked


def requested(state: Relay, told: NetworkRpcRequested, root: P2pState) -> tuple[Relay, FollowUps]:
    """A peer of libp2p's asks: answered by what is known, else told to the node software."""
    request = _request_of(told)
    if request is None:
        return state, (told,)
    own = root.best_tips.own
    if isinstance(request, BlockRequest) and own is not None and own.state_hash == request.block_hash:
        return state, (NetworkRpcAnswer(told.serial, told.query_id, _SOME + _ONE + own.block),)
    if len(state.serving) >= root.config.relay.questions_max:
        return state, (NetworkRpcRefuse(told.serial, told.query_id, "too many questions"),)
    state = state.with_serving(Serving(told.serial, told.query_id, request, told.deadline))
    return state, (RpcRequested(BY_LIBP2P, told.peer_id, state.last_serving, request, told.deadline),)


def answer(state: Relay, action: PeerAnswer) -> tuple[Relay, FollowUps]:
    """Send the node software's answer the way the question came."""
    if action.connection_id != BY_LIBP2P:
        return state, (ChannelsRpcResponseSend(action.connection_id, action.serial, action.response),)
    serving = state.serving[action.serial]
    data = _answer_of(serving.request, action.response)
    return state.without_serving(action.serial), (NetworkRpcAnswer(serving.session, serving.query_id, data),)


def _request_of(told: NetworkRpcRequested) -> RpcRequest | None:
    match told.tag, told.query:
        case (tag, _) if tag == _BEST_TIP:
            return BestTipWithProofRequest()
        case (tag, query) if tag == _LEDGER:
            return LedgerQueryRequest(*method_of(_LEDGER).query_codec.decode(query))
        case (tag, query) if tag == _STAGED:
            return StagedLedgerAuxAndPendingCoinbasesAtBlockRequest(query)
        case (tag, query) if tag == _CHAIN and query.startswith(_ONE):
            return BlockRequest(query[1:])
        case _:
            return None


def _answer_of(request: RpcRequest, response: RpcResponse | None) -> bytes:
    match request, response:
        case LedgerQueryRequest(), None:
            return _NO_LEDGER
        case LedgerQueryRequest(), LedgerQueryResponse(body=body):
            return _OK + body
        case _, None:
            return _NONE
        case BestTipWithProofRequest(), BestTipWithProofResponse(body=body):
            return _SOME + body
        case StagedLedgerAuxAndPendingCoinbasesAtBlockRequest(), StagedLedgerAuxAndPendingCoinbasesAtBlockResponse(body=body):
            return _SOME + body
        case BlockRequest(), BlockResponse(body=body):
            return _SOME + _ONE + body
        case _:
            raise CallerError(f"{type(response).__qualname__} does not answer {type(request).__qualname__}")
