"""Where push and pull meet, and the only place: gossip becomes what is pulled, what is pulled becomes gossip.

| what happens | what follows |
|---|---|
| a message that can not be read, or whose proofs are of another statement | REJECT |
| a block | the node software is told of a best tip, with a verdict to give |
| that block is our best tip already | ACCEPT |
| `RelayVerdict`, or `BestTipSet` of that very block | the gossip's verdict |
| transactions, a snark work | candidates of their pools, as if they had been fetched |
| all of a message's items are in their pools, over, or not better | IGNORE |
| one of its items is found invalid | REJECT |
| all of its new items are found valid | ACCEPT |
| no verdict in time, or too many messages wait | IGNORE |
| an item enters its pool, a best tip is set | gossiped, unless its bytes have been heard or sent by gossip before |

What is accepted is passed on by GossipSub itself and never gossiped anew here; what is gossiped here is remembered, so
that it does not come back. `PeerAsk` and `PeerAnswer` are the same for questions: `mina_p2p.relay.asking`.

A pool stays the judge of duplicates: an item that is being judged because one world brought it is not asked about again
when the other brings the same bytes, and its verdict is for both.
"""
