"""Being handed offers by a relay, and being that relay: channel 2. `mina_p2p.signaling` draws the whole.

The listener's ``GetNext`` opens a stream, which carries one offer and its answer in turns. Either side
may reset it.

We are a listener (`mina_p2p.channels.signaling_exchange.listener`); one deadline, `signaling_make`, covers decryption,
the making of an answer and its encryption; *failed* tells whoever makes connections, by `SignalingFailed`, if it
was told of the offer:

| state | message, event or action | next | what follows |
|---|---|---|---|
| Resting | deadline, with room for a connection | Requested | a stream with ``GetNext``, credit for one offer |
| Resting | deadline, without (R3) | Resting, `signaling_recheck` | |
| Requested | ``OfferToYou`` | Offered | `SignalingEffectfulOfferDecrypt` |
| Offered | `…OfferDecrypted`, an offer that we take | AnswerPending | `SignalingOfferReceived` |
| Offered | `…OfferDecrypted`, another or nothing (S3, S4) | AnswerEncryptPending | the response that says why, to be encrypted |
| AnswerPending | `…AnswerReady`, `…AnswerError` | AnswerEncryptPending | acceptance or ``InternalError``, to be encrypted |
| AnswerEncryptPending | `…AnswerEncrypted` | Answered | ``Answer``, end; `SignalingAnswerSent` if it accepts |
| AnswerEncryptPending | `…AnswerEncrypted` with nothing, or too long (C9) | Answered | ``Answer`` none, end; failed |
| Offered, AnswerPending, AnswerEncryptPending | deadline (R4) | Answered | ``Answer`` none, end; failed |
| Answered | end of stream | Requested, if there is room (R3) | |
| any but Resting | reset by the relay | Resting, `signaling_recheck` | failed |
| Requested, Answered | deadline | Resting, `stream_settle` | reset |
| any other | message | (disconnected) | `CHANNEL_MSG_UNEXPECTED` |
| any but Answered | end of stream | (disconnected) | `ANSWER_TRUNCATED` |

The peer is a listener (`mina_p2p.channels.signaling_exchange.relay`); the deadline of Promised and RemoteOffered is that of the
requester's half, which they are bound to:

| state | message, event or action | next | what follows |
|---|---|---|---|
| WaitingForRequest, RemoteAnswered | ``GetNext`` | RemoteRequested | `SignalingMatch` |
| RemoteRequested | proposed to a requester by `ChannelsSignalingDiscoveryDiscoveredSend` | Promised (R1) | |
| Promised | `…OfferSend`, an offer that fits a frame | RemoteOffered | ``OfferToYou`` |
| Promised | `…RequesterLost`: it declined, is late or gone | RemoteRequested | `SignalingMatch` |
| RemoteOffered | ``Answer`` | RemoteAnswered | end; the answer goes to the requester |
| RemoteOffered | `…RequesterLost` | WaitingForRequest | reset |
| RemoteRequested | reset by the peer | WaitingForRequest | |
| Promised, RemoteOffered | reset by the peer | WaitingForRequest | `ChannelsSignalingDiscoveryTargetLost` (R5) |
| any with a stream | ``GetNext`` on a later stream | RemoteRequested | what a reset by the peer would have done, and ours (`mina_p2p.channels.overtaking`) |
| any with a stream | ``GetNext`` on an earlier stream | the same | that stream is reset |
| any other | message | (disconnected) | `CHANNEL_MSG_UNEXPECTED`; a second ``GetNext`` on a stream `CHANNEL_MSG_OVER_PERMISSION` |
| RemoteRequested, Promised, RemoteOffered | end of the peer's half | (disconnected) | `STREAM_MISUSE` |

Mirrors o1-labs/mina-rust@6fc3f265 p2p/src/channels/signaling/exchange; Promised is new, and makes defect R1 a state that
can not be.
"""
