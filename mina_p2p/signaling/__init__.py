"""Relay signaling: two peers make a connection with the help of a third (spec: pull-protocol 4).

Three nodes: a dialer A, a relay R that both are connected to, a listener B. Channel 1
(`mina_p2p.channels.signaling_discovery`) runs between A and R, channel 2
(`mina_p2p.channels.signaling_exchange`) between R and B. A permission is a stream, so each ``GetNext``
opens one, which carries the whole introduction that comes of it, in turns:

| stream | opened by R, to A, with ``GetNext`` | opened by B, to R, with ``GetNext`` |
|---|---|---|
| the other side's half | ``Discover`` | |
| the opener's half | ``Discovered`` B | |
| the other side's half | ``DiscoveredAccept`` with an offer, or ``DiscoveredReject`` and the end | ``OfferToYou`` |
| the opener's half | ``Answer`` and the end | ``Answer`` and the end |
| the other side's half | the end, once the answer is read | the end |

Either side may reset a stream at any time; that is how a wait that took too long ends, and it tells the
other side at once. What each state waits for, and for how long, stands in the two slices.

Here are the parts that are of no one connection:

* `mina_p2p.signaling.objects`: offers and answers, which A and B encrypt for each other;
* `mina_p2p.signaling.effects`: what is asked of the runtime (encryption) and of whoever makes WebRTC
  connections (offers and answers); their replies are actions of the two slices, named there;
* `mina_p2p.signaling.questions`: whether A may dial B, whether B takes A's offer;
* the matcher (state, actions, reducer): who is introduced to whom.

The matcher proposes a target to one requester at a time: the target's permission is *promised* until that
requester has decided (R1). A requester gets one target, the one that asked first is served
first (R2); a requester's target is drawn by the state's generator. A pair is not introduced again
for a while, whatever came of it (R8), in either order. `SignalingMatch` runs when a peer asks, when one becomes
available and when a pair may be tried again, and looks at that peer's chances only; so after every
dispatch nobody waits who could be served.

| event or action | when | what follows |
|---|---|---|
| `SignalingMatch` of a peer that asked | somebody available fits | the pair is remembered, `…DiscoveredSend` |
| `SignalingMatch` of a peer that is available | somebody in the queue fits | the same |
| `SignalingPairRemember` | | a longer memory of a pair |
| `SignalingPairForget` | its time has come | `SignalingMatch` of both |

Mirrors ``webrtc_discovery_respond_with_availble_peers`` of o1-labs/mina-rust@6fc3f265
p2p/src/channels/signaling/discovery, with the defects R1 to R8 of spec pull-protocol 10.3 designed out.
"""
