"""One pull-permission machine for every channel that spreads items.

Best tips, transactions, snark works and snark job commitments travel alike: whoever
wants items permits a number of them, the other side uses the permission when it has
some. `mina_p2p.channels.propagation.kinds` says what is special to each.

Local half (what we asked for):

| state | message or event | next | what follows |
|---|---|---|---|
| WaitingForRequest, Responded | `ChannelsPropagationRequestSend` | Requested | a stream with GetNext, credit for exactly that many items |
| Requested | WillSend n, 0 < n ≤ limit | Responding n, 0 | |
| Requested | item, on a channel without promises | Responding 1, 1 | the item's owner is told |
| Responding, current < promised | item | Responding, current + 1 | the item's owner is told |
| Responding, current = promised | end of stream | Responded | asks again, for as many as there is room for |
| the same, on the best-tip channel | end of stream | Paused | |
| Requested, Responding | reset by the peer | Paused | |
| Requested | deadline | Paused | the stream is withdrawn |
| Responding | deadline | (disconnected) | `CHANNEL_TIMEOUT` |
| Paused | deadline | WaitingForRequest | asks again |
| any other | WillSend, item, end of stream | (disconnected) | the violation's reason |

Remote half (what the peer asked for):

| state | message or event | next | what follows |
|---|---|---|---|
| WaitingForRequest, RemoteResponded | GetNext n, n > 0, on a later stream | RemoteRequested | the owner sends if it has something |
| RemoteRequested | `ChannelsPropagationResponseSend` | RemoteResponded | promise, items, end of stream |
| RemoteRequested | reset by the peer | WaitingForRequest | |
| RemoteResponded | reset by the peer | RemoteResponded | what it has not read is sent again later |
| RemoteRequested | GetNext n, n > 0, on a later stream | RemoteRequested | what a reset by the peer would have done, and ours |
| RemoteRequested, RemoteResponded | GetNext on an earlier stream | the same | that stream is reset |
| any other | GetNext | (disconnected) | the violation's reason |

The last but two are `mina_p2p.channels.overtaking`'s: the permission before, or that one, was withdrawn.

Mirrors o1-labs/mina-rust@6fc3f265 p2p/src/channels/{best_tip,transaction,snark,snark_job_commitment}.
"""
