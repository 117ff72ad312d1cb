"""Channel 8: every state, every action."""

from __future__ import annotations

from typing import Any

from slices.transitions import CID, LATE, Case, Table

from channels.lab import QUESTION, STREAMING, Lab, ledger
from channels.streams import asking, serving
from mina_p2p.channels.streaming_rpc import actions as a
from mina_p2p.channels.streaming_rpc import state as s
from mina_p2p.config import Limits
from mina_p2p.disconnection.reasons import StreamResetCode
from mina_p2p.ids import ChannelId, ConnectionId, RequestId, StreamId
from mina_p2p.state import P2pState
from mina_p2p.transport import ChannelsSendBlocked

OTHER = StreamId(400)
BASE, SCAN_STATE, UPDATES, TREE, _ = ledger()
RESET = StreamResetCode.CANCELLED


def _channel(state: P2pState) -> Any:
    return state.channels.streaming_rpc(CID)


def _with(state: P2pState, **halves: Any) -> P2pState:
    """Within a dispatch: a state that no dispatch leaves."""
    return state.replace(channels=state.channels.with_streaming_rpc(CID, _channel(state).replace(**halves)))


def _local(state: P2pState) -> Any:
    rpc = _channel(state)
    return None if rpc is None else rpc.local.progress if isinstance(rpc.local, s.Requested) else rpc.local


def _remote(state: P2pState) -> Any:
    rpc = _channel(state)
    return None if rpc is None else rpc.remote.progress if isinstance(rpc.remote, s.RemoteRequested) else rpc.remote


def _asking_states() -> tuple[dict[str, P2pState], StreamId]:
    lab = Lab()
    lab.accept(1, channels=(ChannelId.RPC,))
    states = {"no channel": lab.state}
    lab = Lab()
    states["WaitingForRequest"] = (lab.accept(1), lab.state)[1]
    lab = Lab()
    asking(lab)
    stream = lab.stream(CID, STREAMING)
    for part, pending in zip(
        ledger(2), ("BasePending", "ScanStateBasePending", "UpdatesPending", "TreesPending 0", "TreesPending 1"), strict=True
    ):
        states[pending] = lab.state
        local = _channel(lab.state).local
        received = s.after_part(local.progress, part, 9)
        states[pending.replace("Pending", "Received")] = _with(lab.state, local=local.replace(progress=received))
        lab.part(CID, 0, part)
    states["Responded"] = lab.state
    lab = Lab()
    asking(lab)
    lab.feed(a.StreamingRpcCancel(CID, RequestId(9)))
    states["GivenUp"] = lab.state
    return states, stream


_STATES, OURS = _asking_states()
_PENDING = ["BasePending", "ScanStateBasePending", "UpdatesPending", "TreesPending 0", "TreesPending 1"]
_RECEIVED = [pending.replace("Pending", "Received") for pending in _PENDING]


def _name(state: str) -> str:
    """The class in a state's label."""
    last = state.rsplit(", then ", maxsplit=1)[-1]
    return "nothing" if last == "no channel" else last.split(",")[0].split(" ")[0]


_TOLD = "StreamingRpcPartReceived, ChannelsStreamingRpcResponseNextPartGet"

ASKING = Table(
    _STATES,
    {
        "StreamingRpcRequestSend": Case(a.StreamingRpcRequestSend(CID, RequestId(1), QUESTION)),
        "RequestSend": Case(a.ChannelsStreamingRpcRequestSend(CID, RequestId(1), QUESTION)),
        "Cancel": Case(a.StreamingRpcCancel(CID, RequestId(9))),
        "Cancel, of another": Case(a.StreamingRpcCancel(CID, RequestId(8))),
        "PartReceived, Base": Case(a.ChannelsStreamingRpcResponsePartReceived(CID, OURS, 0, BASE, 1)),
        "PartReceived, ScanStateBase": Case(a.ChannelsStreamingRpcResponsePartReceived(CID, OURS, 0, SCAN_STATE, 1)),
        "PartReceived, Updates": Case(a.ChannelsStreamingRpcResponsePartReceived(CID, OURS, 0, UPDATES, 1)),
        "PartReceived, Tree": Case(a.ChannelsStreamingRpcResponsePartReceived(CID, OURS, 0, TREE, 1)),
        "PartReceived, too large": Case(a.ChannelsStreamingRpcResponsePartReceived(CID, OURS, 0, BASE, 1 << 40)),
        "PartReceived, elsewhere": Case(a.ChannelsStreamingRpcResponsePartReceived(CID, OTHER, 0, BASE, 1)),
        "PartReceived, another id": Case(a.ChannelsStreamingRpcResponsePartReceived(CID, OURS, 1, BASE, 1)),
        "NextPartGet": Case(a.ChannelsStreamingRpcResponseNextPartGet(CID)),
        "ResponseReceived, None": Case(a.ChannelsStreamingRpcResponseReceived(CID, OURS, 0, False)),
        "ResponseReceived, all": Case(a.ChannelsStreamingRpcResponseReceived(CID, OURS, 0, True)),
        "ResponseReceived, elsewhere": Case(a.ChannelsStreamingRpcResponseReceived(CID, OTHER, 0, False)),
        "ResponseReceived, another id": Case(a.ChannelsStreamingRpcResponseReceived(CID, OURS, 1, False)),
        "AnswerEnded": Case(a.ChannelsStreamingRpcAnswerEnded(CID, OURS)),
        "AnswerEnded, elsewhere": Case(a.ChannelsStreamingRpcAnswerEnded(CID, OTHER)),
        "AnswerReset": Case(a.ChannelsStreamingRpcAnswerReset(CID, OURS, RESET)),
        "AnswerReset, elsewhere": Case(a.ChannelsStreamingRpcAnswerReset(CID, OTHER, RESET)),
        "Timeout, early": Case(a.ChannelsStreamingRpcTimeout(CID)),
        "Timeout, of a part": Case(a.ChannelsStreamingRpcTimeout(CID), 30 * 10**9),
        "Timeout, of the whole": Case(a.ChannelsStreamingRpcTimeout(CID), LATE),
    },
    _local,
    {
        "StreamingRpcRequestSend": {state: f"{_name(state)}: ChannelsStreamingRpcRequestSend | RpcFailed" for state in _STATES},
        "RequestSend": {"WaitingForRequest": "BasePending: ChannelsEffectfulRequestSend"},
        "Cancel": dict.fromkeys(_PENDING + _RECEIVED, "GivenUp: ChannelsEffectfulStreamReset"),
        "PartReceived, Base": {"BasePending": f"BaseReceived: {_TOLD}"},
        "PartReceived, ScanStateBase": {"ScanStateBasePending": f"ScanStateBaseReceived: {_TOLD}"},
        "PartReceived, Updates": {"UpdatesPending": f"UpdatesReceived: {_TOLD}"},
        "PartReceived, Tree": {
            "TreesPending 0": f"TreesReceived: {_TOLD}",
            "TreesPending 1": "TreesReceived: StreamingRpcPartReceived, ChannelsStreamingRpcResponseReceived",
        },
        "NextPartGet": {
            "BaseReceived": "ScanStateBasePending: ChannelsEffectfulRequestContinue",
            "ScanStateBaseReceived": "UpdatesPending: ChannelsEffectfulRequestContinue",
            "UpdatesReceived": "TreesPending: ChannelsEffectfulRequestContinue",
            "TreesReceived 0": "TreesPending: ChannelsEffectfulRequestContinue",
        },
        "ResponseReceived, None": dict.fromkeys(_PENDING, "Responded"),
        "ResponseReceived, all": {"TreesReceived 1": "Responded"},
        "AnswerEnded": {"Responded": "WaitingForRequest: StreamingRpcResponded"},
        "AnswerReset": {
            **dict.fromkeys(_PENDING + _RECEIVED, "WaitingForRequest: RpcFailed"),
            "Responded": "WaitingForRequest: StreamingRpcResponded",
        },
        "Timeout, of a part": {
            **{state: f"{_name(state)}: DisconnectionInit" for state in [*_PENDING, *_RECEIVED, "Responded"]},
            "GivenUp": "WaitingForRequest",
        },
        "Timeout, of the whole": {
            **dict.fromkeys(_PENDING + _RECEIVED, "GivenUp: ChannelsEffectfulStreamReset, RpcFailed"),
            "Responded": "Responded: DisconnectionInit",
            "GivenUp": "WaitingForRequest",
        },
    },
)


def _serving_states() -> tuple[dict[str, P2pState], StreamId]:
    lab = Lab()
    lab.accept(1, channels=(ChannelId.RPC,))
    states = {"no channel": lab.state}
    lab = Lab(limits=Limits(streaming_serving_max=1))
    states["WaitingForRequest"] = (lab.accept(1), lab.state)[1]
    lab.ask(lab.accept(2))
    stream = lab.ask(CID)
    states["LedgerGetIdle"] = lab.state
    # Within a dispatch, before it is served.
    states["LedgerGetIdle, its turn"] = lab.state.replace(channels=lab.state.channels.forget(ConnectionId(2)))
    lab = Lab()
    lab.accept(1)
    lab.ask(CID)
    states["LedgerGetPending"] = lab.state
    lab.feed(ChannelsSendBlocked(CID)).feed(a.ChannelsStreamingRpcResponseSendInit(CID, 0, ledger()))
    states["PartReady 0, blocked"] = lab.state
    lab = Lab()
    serving(lab)
    for sent in ("BaseSent", "ScanStateBaseSent", "UpdatesSent", "TreesSending"):
        states[sent] = lab.state
        states[f"{sent}, then PartReady"] = _with(
            lab.state, remote=_channel(lab.state).remote.replace(progress=s.part_ready(_remote(lab.state)))
        )
        lab.next(CID, stream)
    states["RemoteResponded"] = lab.state
    return states, stream


_SERVING_STATES, THEIRS = _serving_states()
_READY = ["BaseSent, then PartReady", "ScanStateBaseSent, then PartReady", "UpdatesSent, then PartReady", "TreesSending, then PartReady"]
_SENT = ["BaseSent", "ScanStateBaseSent", "UpdatesSent", "TreesSending"]
_SERVE_NEXT = "ChannelsStreamingRpcServeNext"
_BUSY = ["LedgerGetIdle", "LedgerGetIdle, its turn", "LedgerGetPending", "PartReady 0, blocked", *_SENT, *_READY]

SERVING = Table(
    _SERVING_STATES,
    {
        "RequestReceived, on a later stream": Case(a.ChannelsStreamingRpcRequestReceived(CID, StreamId(THEIRS + 4), 1, QUESTION)),
        "RequestReceived, on the same stream": Case(a.ChannelsStreamingRpcRequestReceived(CID, THEIRS, 1, QUESTION)),
        "RequestReceived, on a stream of ours": Case(a.ChannelsStreamingRpcRequestReceived(CID, StreamId(401), 1, QUESTION)),
        "ServeNext": Case(a.ChannelsStreamingRpcServeNext()),
        "ResponseSendInit": Case(a.ChannelsStreamingRpcResponseSendInit(CID, 0, ledger())),
        "ResponseSendInit, None": Case(a.ChannelsStreamingRpcResponseSendInit(CID, 0, None)),
        "ResponseSendInit, of another": Case(a.ChannelsStreamingRpcResponseSendInit(CID, 7, None)),
        "PartNextSend": Case(a.ChannelsStreamingRpcResponsePartNextSend(CID, THEIRS, 0)),
        "PartNextSend, elsewhere": Case(a.ChannelsStreamingRpcResponsePartNextSend(CID, OTHER, 0)),
        "PartNextSend, another id": Case(a.ChannelsStreamingRpcResponsePartNextSend(CID, THEIRS, 1)),
        "PartSend": Case(a.ChannelsStreamingRpcResponsePartSend(CID)),
        "ResponseCancel": Case(a.ChannelsStreamingRpcResponseCancel(CID, 0)),
        "ResponseCancel, of another": Case(a.ChannelsStreamingRpcResponseCancel(CID, 7)),
        "RequestEnded": Case(a.ChannelsStreamingRpcRequestEnded(CID, THEIRS)),
        "RequestEnded, elsewhere": Case(a.ChannelsStreamingRpcRequestEnded(CID, OTHER)),
        "RequestCancelled": Case(a.ChannelsStreamingRpcRequestCancelled(CID, THEIRS)),
        "RequestCancelled, elsewhere": Case(a.ChannelsStreamingRpcRequestCancelled(CID, OTHER)),
        "ServeTimeout, early": Case(a.ChannelsStreamingRpcServeTimeout(CID)),
        "ServeTimeout, late": Case(a.ChannelsStreamingRpcServeTimeout(CID), LATE),
    },
    _remote,
    {
        "RequestReceived, on a later stream": dict.fromkeys(
            ["WaitingForRequest", "RemoteResponded"], "LedgerGetIdle: ChannelsStreamingRpcServeNext"
        ),
        "RequestReceived, on the same stream": {"WaitingForRequest": "LedgerGetIdle: ChannelsStreamingRpcServeNext"},
        "ServeNext": {"LedgerGetIdle, its turn": "LedgerGetPending: StreamingRpcRequested, ChannelsStreamingRpcServeNext"},
        "ResponseSendInit": {"LedgerGetPending": "PartReady: ChannelsStreamingRpcResponsePartSend"},
        "ResponseSendInit, None": {"LedgerGetPending": f"RemoteResponded: ChannelsEffectfulAnswerSend, {_SERVE_NEXT}"},
        "PartNextSend": dict.fromkeys(_SENT, "PartReady: ChannelsStreamingRpcResponsePartSend"),
        "PartSend": {
            "BaseSent, then PartReady": "ScanStateBaseSent: ChannelsEffectfulAnswerSend",
            "ScanStateBaseSent, then PartReady": "UpdatesSent: ChannelsEffectfulAnswerSend",
            "UpdatesSent, then PartReady": "TreesSending: ChannelsEffectfulAnswerSend",
            "TreesSending, then PartReady": f"RemoteResponded: ChannelsEffectfulAnswerSend, {_SERVE_NEXT}",
        },
        "ResponseCancel": dict.fromkeys(_BUSY, f"RemoteResponded: ChannelsEffectfulStreamReset, {_SERVE_NEXT}"),
        "RequestEnded": {
            "WaitingForRequest": "WaitingForRequest",
            "TreesSending, then PartReady": "PartReady",
            "RemoteResponded": "RemoteResponded",
        },
        "RequestEnded, elsewhere": {state: _name(state) for state in _SERVING_STATES if state != "no channel"},
        "RequestCancelled": dict.fromkeys(_BUSY, f"RemoteResponded: {_SERVE_NEXT}"),
        "ServeTimeout, late": {
            state: f"RemoteResponded: {'ChannelsEffectfulAnswerSend' if 'LedgerGet' in state else 'ChannelsEffectfulStreamReset'}, {_SERVE_NEXT}"
            for state in _BUSY
        },
    },
)
