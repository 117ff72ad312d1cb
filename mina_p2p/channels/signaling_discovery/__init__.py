"""Asking a relay for peers, and being that relay: channel 1. `mina_p2p.signaling` draws the whole.

The relay's ``GetNext`` opens a stream, which carries one introduction in turns; so no two messages of
it can cross, and whoever speaks out of turn has broken the protocol. Either side may reset it.

We are the relay (`mina_p2p.channels.signaling_discovery.relay`); *release* is
`ChannelsSignalingExchangeRequesterLost` for the target, which is available again or has its stream reset:

| state | message, event or action | next | what follows |
|---|---|---|---|
| Resting | deadline | Requested | a stream with ``GetNext``, credit for one word |
| Requested | ``Discover`` | DiscoveryRequested | `SignalingMatch` |
| DiscoveryRequested | `…DiscoveredSend` of the matcher | Discovered | ``Discovered``, credit for one offer; the target is promised |
| Discovered | ``DiscoveredReject`` | DiscoveredRejected | the pair is remembered, release |
| Discovered | ``DiscoveredAccept`` | DiscoveredAccepted | the offer goes to the target; if it is too long for that (C9), ``Answer`` none |
| Discovered | `…TargetLost` (R5) | TargetLost | |
| TargetLost | ``DiscoveredAccept`` | Answered | ``Answer`` none, at once (R5) |
| TargetLost | ``DiscoveredReject`` | DiscoveredRejected | the pair is remembered |
| DiscoveredAccepted | `…AnswerSend` with the target's answer | Answered | ``Answer``, end; the pair is remembered |
| DiscoveredAccepted | `…TargetLost`, deadline (R4, R5) | Answered | ``Answer`` none, end; release |
| DiscoveredRejected, Answered | end of stream | Resting, `signaling_pause` | |
| any but Resting | reset by the peer | Resting, `signaling_pause` | release, if there is a target |
| Requested, DiscoveryRequested | deadline (`parked_permission`) | Resting, `stream_settle` | reset |
| Discovered, TargetLost, DiscoveredRejected, Answered | deadline (`signaling_relay`) | Resting, `signaling_pause` | reset; release |
| any other | message | (disconnected) | `CHANNEL_MSG_UNEXPECTED` |
| any but DiscoveredRejected, Answered | end of stream | (disconnected) | `ANSWER_TRUNCATED` |

The peer is the relay (`mina_p2p.channels.signaling_discovery.dialer`); *failed* tells whoever makes
connections, by `SignalingFailed`:

| state | message, event or action | next | what follows |
|---|---|---|---|
| WaitingForRequest, RemoteDiscoveredRejected, RemoteAnswered | ``GetNext`` | RemoteRequested | |
| RemoteRequested | too few connections, looked at now and every `signaling_recheck` | RemoteDiscoveryRequested | ``Discover`` |
| RemoteDiscoveryRequested | ``Discovered``, somebody we want | OfferPending | `SignalingOfferWanted` |
| RemoteDiscoveryRequested | ``Discovered``, somebody else | RemoteDiscoveredRejected | ``DiscoveredReject``, end |
| OfferPending | `…OfferReady` | OfferEncryptPending | `SignalingEffectfulOfferEncrypt` |
| OfferPending | `…OfferError` (R6) | RemoteDiscoveredRejected | ``DiscoveredReject``, end |
| OfferEncryptPending | `…OfferEncrypted` | RemoteDiscoveredAccepted | ``DiscoveredAccept`` |
| OfferEncryptPending | `…OfferEncrypted` with nothing, or too long (R6, C9) | RemoteDiscoveredRejected | failed; ``DiscoveredReject``, end |
| OfferPending, OfferEncryptPending | deadline (`signaling_make`, R6) | RemoteDiscoveredRejected | failed; ``DiscoveredReject``, end |
| RemoteDiscoveredAccepted | ``Answer`` none (R7) | RemoteAnswered | end; `SignalingAnswerReceived` |
| RemoteDiscoveredAccepted | ``Answer`` | AnswerDecryptPending | `SignalingEffectfulAnswerDecrypt` |
| AnswerDecryptPending | `…AnswerDecrypted`, or its deadline | RemoteAnswered | end; `SignalingAnswerReceived`, or failed (S2) |
| RemoteDiscoveryRequested, RemoteDiscoveredAccepted | deadline | WaitingForRequest | reset; failed |
| any with a stream | reset by the relay | WaitingForRequest | failed, if anything was begun |
| any with a stream | ``GetNext`` on a later stream | RemoteRequested | what a reset by the relay would have done, and ours (`mina_p2p.channels.overtaking`) |
| any with a stream | ``GetNext`` on an earlier stream | the same | that stream is reset |
| any other | message | (disconnected) | `CHANNEL_MSG_UNEXPECTED`; a second ``GetNext`` on a stream `CHANNEL_MSG_OVER_PERMISSION` |
| any that awaits a word of the relay | end of the relay's half | (disconnected) | `STREAM_MISUSE` |

Mirrors o1-labs/mina-rust@6fc3f265 p2p/src/channels/signaling/discovery, whose ``WaitingForRequest`` of the
local half is Resting here, because it knows when it ends. A reference relay rests 60 s; a reference dialer takes
a ``GetNext`` after ``Answer`` none for a violation (R7): that matters to the transport that carries such peers, not here.
"""
