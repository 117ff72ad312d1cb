"""Answers too large for one message, part by part: channel 8.

Whoever asks opens one stream and keeps its half of it open: the question permits the first
part, each ``Next`` one further part and the credit for it, the last ``Next`` ends the half.
The answer's end is the end of the stream. There is one question of ours at a time and
one of the peer's; ids come from the numbering that channel 7 uses too.

A part is handed to the node software when it comes and kept nowhere here: at most one
frame of an answer is ever in the state's hands, and what the node software is given in all
is bounded by ``limits.streaming_answer_bytes_max``. The other way the node software gives all
parts at once; the state holds those that are not sent, of at most ``limits.streaming_serving_max``
peers at a time, the longest not served being next.

Our question (*pending* are BasePending, ScanStateBasePending, UpdatesPending, TreesPending n;
*received* are BaseReceived, ScanStateBaseReceived, UpdatesReceived, TreesReceived n):

| state | message, event or action | next | what follows |
|---|---|---|---|
| WaitingForRequest | `StreamingRpcRequestSend` | Requested, BasePending | a stream with the question, credit for one part |
| Requested, pending | the part that is due | Requested, received | the node software gets it |
| Requested, received | `…ResponseNextPartGet` | Requested, next pending | ``Next``, credit for one part, a new deadline |
| Requested, TreesReceived, all | `…ResponseReceived` | Responded | |
| Requested, pending | response ``None`` | Responded | |
| Requested | reset by the peer | WaitingForRequest | the node software is told |
| Requested | `StreamingRpcCancel` | GivenUp | reset |
| Requested | deadline of the whole answer | GivenUp | reset, the node software is told |
| Requested | deadline of a part | (disconnected) | `STREAMING_RPC_TIMEOUT` |
| Requested | a part of another kind, trees 0 or too many (C6) | (disconnected) | `RESPONSE_KIND_MISMATCH` |
| Requested | a part over the bytes of an answer | (disconnected) | `CHANNEL_MSG_OVER_PERMISSION` |
| Requested | end of stream | (disconnected) | `ANSWER_TRUNCATED` |
| Responded | end of stream, or reset by the peer | WaitingForRequest | the node software is told that it has all, or that there is none |
| Responded | deadline | (disconnected) | the same, and `STREAMING_RPC_TIMEOUT` |
| GivenUp | deadline | WaitingForRequest | |
| any other | response, end of stream | (disconnected) | `CHANNEL_MSG_UNEXPECTED` |

The peer's question (*sent* are BaseSent, ScanStateBaseSent, UpdatesSent, TreesSending n):

| state | message, event or action | next | what follows |
|---|---|---|---|
| WaitingForRequest, RemoteResponded | question, on a later stream | LedgerGetIdle | |
| LedgerGetIdle | `…ServeNext`, when it is its turn | LedgerGetPending | the node software is asked |
| LedgerGetPending | `…ResponseSendInit` with parts | PartReady | |
| LedgerGetPending | `…ResponseSendInit` without, or with too many bytes (C9) | RemoteResponded | ``None``, end of stream; of the latter the node software is told |
| LedgerGetIdle, LedgerGetPending | deadline (C5) | RemoteResponded | ``None``, end of stream |
| PartReady | `…ResponsePartSend`, unless the transport has a backlog | sent, or RemoteResponded after the last | the part; end of stream after the last |
| sent | ``Next`` | PartReady | |
| PartReady, sent | deadline | RemoteResponded | reset |
| any of these | `…ResponseCancel` | RemoteResponded | reset |
| any of these | reset by the peer | RemoteResponded | |
| any of these | question, on a later stream | LedgerGetIdle | what a reset by the peer would have done, and ours (`mina_p2p.channels.overtaking`) |
| any of these, RemoteResponded | question, on an earlier stream | the same | that stream is reset |
| any of these | question, on the same stream | (disconnected) | `CHANNEL_MSG_OVER_PERMISSION` |
| any but sent | ``Next`` | (disconnected) | `CHANNEL_MSG_UNEXPECTED` |
| any but PartReady with the last part | end of the peer's half | (disconnected) | `STREAM_MISUSE` |

The reference ignores a ``Next`` that comes before there is data; nobody sends one.

Mirrors o1-labs/mina-rust@6fc3f265 p2p/src/channels/streaming_rpc.
"""
