"""Questions and answers: channel 7.

Questions of ours, at most ``limits.rpc_requests_max`` at a time:

| state | message or event | next | what follows |
|---|---|---|---|
| (none) | `ChannelsRpcRequestSend` | Requested | a stream with the question, credit for its kind's longest answer |
| Requested | answer of its kind on its stream, or ``None`` | Responded | whoever asked is told |
| Responded | end of stream | (none) | |
| either | reset by the peer | (none) | whoever asked is told, unless answered |
| either | deadline | (disconnected) | `RPC_TIMEOUT` |
| Requested | answer of another kind | (disconnected) | `RESPONSE_KIND_MISMATCH` (defect C4) |
| Requested | end of stream | (disconnected) | `ANSWER_TRUNCATED` |
| (none), Responded | answer | (disconnected) | `CHANNEL_MSG_UNEXPECTED` |

The peer's questions, at most ``limits.rpc_pending_max`` at a time:

| state | message or event | next | what follows |
|---|---|---|---|
| (none) | question, its id and stream not in use | Serving | answered from the state, or the node software is asked |
| Serving | `ChannelsRpcResponseSend` | (none) | the answer, end of stream; ``None`` where it would be too large (defect C9) |
| Serving | deadline | (none) | ``None`` (defect C5) |
| Serving | reset by the peer | (none) | |
| full, or id in use | question | (disconnected) | `CHANNEL_MSG_OVER_PERMISSION`, `CHANNEL_MSG_UNEXPECTED` |

Mirrors o1-labs/mina-rust@6fc3f265 p2p/src/channels/rpc.
"""
