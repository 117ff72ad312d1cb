"""The gossiper: spreads items by telling a few peers their ids, until the neighbourhood knows them.

Generic in the item, of which it knows an id of bytes. An item is *partial* where the id only names it, so that whoever hears of
it has to fetch it and its owner judges it before it is told on; or *complete* where the id is all of it.

| entry | action | next | what follows |
|---|---|---|---|
| (none) | `GossipBegin` | Held | announced to as many as may be told now |
| (none) | `GossipHeard`, partial | Missing | `GossipFetch` from who said it |
| (none) | `GossipHeard`, complete | Held | `GossipNew`; announced |
| (none) | `GossipHeard`, its owner has it | (none) | `GossipKnown` |
| Missing | `GossipHeard` | Missing | one more to fetch it from |
| Missing | `GossipBodyReceived` from who was asked | Missing, being judged | `GossipValidate` |
| Missing | `GossipFetchFailed`, its time-out, `GossipPeerGone` | Missing | the next holder is asked; without one it was never heard of |
| Missing | `GossipAccepted`, `GossipBegin` | Held | announced |
| Missing | `GossipRejected`, no verdict in time | Finished | `GossipBlamed` for a verdict |
| Held | `GossipAnswered`, no answer in time, `GossipPeerGone`, `GossipHeard` | Held | others in the place of those who knew |
| Held | enough were new, or enough were told | Finished | `GossipFinished` |
| Held | `GossipPeerReady`, `GossipEligible` while short of peers to tell | Held | announced to that peer |
| Missing, Held | `GossipFinish`, twice the time of Finished | Finished | `GossipFinished` |
| Finished | its time-out | (none) | |

Who may be told is the carrier's to say: a peer has a *credit* of ids. Where everybody may be told always that is
`UNLIMITED`; where a peer has to permit it, as on Mina's pull connections, it is what it permitted and has not been used.

Whom an item is for is its owner's to say: all peers, a set of them only, or the set and others in turn (`mina_p2p.gossiper.targets`).

The gossiper is stepped in two ways: inside another slice (`step`: the discovery by addresses does that), or as a slice of a machine
with its root's field ``gossip`` (`reduce` or `aimed`, with the orders as effects): see "Gossip items of your own" in the explanation of
address gossip.

Behaves as casper-network/casper-node@cb932c5 node/src/components/gossiper, but for the defects that
spec address-gossip 1.8 names.
"""

from __future__ import annotations

from mina_p2p.gossiper.parameters import GossipParameters
from mina_p2p.gossiper.state import UNLIMITED, Gossiper, empty_gossiper

__all__ = ["UNLIMITED", "GossipParameters", "Gossiper", "empty_gossiper"]
