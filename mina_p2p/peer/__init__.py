"""The peer table: what is known of other nodes.

| status | event | next | what follows |
|---|---|---|---|
| (none) | `PeerDiscovered`, from a source that has not named too many | Disconnected | |
| Disconnected | `ConnectionOutgoingInit`, or its own arrival | Attached | |
| Attached | `PeerReady` | Attached, failures forgotten | its address counts as proven |
| Attached | `PeerReady` after a dial of ours | Attached, and in the table of tried peers | |
| Attached | `PeerDetached` after a violation of ours to judge | Banned | |
| Attached | `PeerDetached` otherwise | BackingOff, longer with each failure | |
| BackingOff, Banned | `PeerWoken` at its time | Disconnected | |
| any | `PeerBan` | Banned | its connection ends |
| BackingOff, Banned | `PeerUnban` | Disconnected | |
| Banned | `BansReset` | Disconnected | networks are no longer banned either |

More things are of many peers at once:

* Tables (`mina_p2p.peer.buckets`): what was heard of and what was reached, in buckets by a keyed hash, so that no owner of many
  addresses fills them; whom to dial is drawn from both (`mina_p2p.peer.choice`). `ConnectionFeelerInit` sees from time to time whether
  somebody can be reached, `PeersRotate` lets one of our dials make way for another. What outlives a restart: `mina_p2p.peer.memory`.
  All ways of discovery feed them (`mina_p2p.peer.network_peers` has those of other slices), and `mina_p2p.peer.account` tells
  people what is known, from whom, and why somebody is or is not dialled.

* Networks (`mina_p2p.peer.bans`): `PeerGroupBan` ends connections with one and refuses it until a time, `PeerGroupUnban` lifts that.
  `P2pState.why_banned` explains any ban. Records and connections per network are bounded, so that one owner of many ids fills neither
  the table nor the places; what a person named is exempt.
* Room (`mina_p2p.peer.churn`): above ``limits.peers_stable`` ready connections `PeersChurn` gives up one from time to time, drawn
  by lot, but never one of those that have been useful for longest (`PeerUseful`).
* Referrals (`mina_p2p.peer.referrals`): a refusal for want of room names others, which the refused peer takes as hearsay.
"""
