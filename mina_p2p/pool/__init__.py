"""Pools: what the node has of each kind, and what it could fetch.

A candidate is an announcement of an item that is not in the pool; announcements that say different
things of one item are different candidates, so that no liar stands in the way of what others announced:

| state | event | next | what follows |
|---|---|---|---|
| (none) | announced by a peer that has room, and wanted | Announced | fetched when an announcer has a free question |
| (none) | the same, of a kind that is announced whole | VerifyPending | the node software is asked |
| Announced, Fetching | announced by another | (same) | that peer is another source |
| Announced | `PoolFetchNext` at an announcer | Fetching | asked by RPC, highest fee first |
| Announced | `PoolFetchNext`, but the pool has it or a better one by now | (none) | |
| Fetching | the item | VerifyPending | the node software is asked |
| Fetching | ``None``, or the peer is gone | Announced, (none) | the next announcer, if there is one |
| Fetching | something else than was asked | (same, by another) | the liar is disconnected, `RESPONSE_HASH_MISMATCH` |
| VerifyPending | `PoolVerdict` valid | (none) | in the pool, and offered to every peer that waits |
| VerifyPending | `PoolVerdict` invalid | (none) | the sender is disconnected, `INVALID_MESSAGE`, or banned if it has left |
| VerifyPending | deadline | (none) | |
| Announced | deadline: nobody could be asked for it | (none) | |
| Announced, VerifyPending | a best tip contains it | (none) | |

Where one more answer would be over what a node permits to all peers together (``limits.answer_bytes_granted_max``), a peer is
*held back*: it is the first to be asked when an answer has come (`PoolFetchHeldBack`).

Items leave a pool by command (`PoolRemove`), or by themselves (`mina_p2p.pool.settling`): because a new best tip contains them or
has used up their nonce (`PoolSettle`), or because of their age (`PoolExpire`). The node software is told, and for a while nobody
is asked for them again.

After o1-labs/mina-rust@6fc3f265 node/src/{transaction_pool,snark_pool}/candidate, with the
fixes P1, P2, P5 and P7 of spec: pull-protocol 10.3.
"""
