"""Blocks by header, outline and missing items: design 7, specified in docs/explanation/block-propagation.md.

* `mina_p2p.blocks.split`: a block taken apart by its exact bytes and put together again;
* `mina_p2p.blocks.items`: what the node has seen, for blocks to come;
* ``state``, ``actions``, ``reducer``: the slice; ``pursuit`` is about blocks that are fetched, ``asking`` about whom to ask for them, ``serving`` about those
  that are held, ``turn`` is what they are written with.

A block that peers announced (a `Candidate`):

| body | event | next | what follows |
|---|---|---|---|
| (none) | announced by its hash | NoOutline | one announcer is asked for the header |
| (none) | announced by the hash of what is being checked | NoOutline | the same; whoever says that it holds the block is asked too |
| (none) | its header, which loses | (none) | remembered; nobody is blamed |
| (none), NoOutline | its header, which wins | NoOutline | the node software is asked; one announcer for the outline, or the body by a cold node |
| NoOutline | outline | Assembling | items are looked for here, the others are asked of several announcers |
| Assembling | items that are what the outline says | Assembling | put together when none is missing |
| Assembling, put together | the header promises it | Complete | the liars among those who said otherwise are left |
| Assembling, put together | it does not, by salted ids | NoOutline | full digests are asked for; nobody is blamed |
| Assembling, put together | it does not, by full digests | NoOutline | who gave the outline is left |
| Assembling | an item against its sender's own outline | (same) | its sender is left |
| Assembling | an item against another's outline | WholeWanted | one announcer is asked for the body |
| NoOutline, WholeWanted | body that the header promises | Complete | as above |
| any | another body | (same) | its sender is left |
| any | a question is not answered for ``hedge`` | (same) | the next announcer is asked too |
| any | nor for ``answer`` | (same) | who was asked is left |
| any | the header is found invalid | (same) | senders of these very bytes are left; others are asked for theirs |
| Complete | the header is found valid | (none) | held, offered to peers if it is the best, told to the node software |
| (none), decided meanwhile | one of its headers is found invalid | (none) | the same: senders of these very bytes are left |
| any | nobody is left to ask, or ``candidate`` is over | (none) | the node software is told |

What we permit a peer (its ``local`` half):

| state | event | next |
|---|---|---|
| Asked | a hash or header of a block that is wanted | Unsettled |
| Asked | of one that is held or has lost | Paused |
| Asked | reset, or parked too long | Paused |
| Asked, for a header | a peer that announced the last blocks earlier may send one instead | Paused |
| Unsettled | the block is taken | Asked, a header while fewer than three others may send one |
| Unsettled | the block is given up | Paused |
| Paused | deadline | Asked |
| any | an answer of another kind, a second one, an end without one | (left) |

What a peer permits us (its ``remote`` half):

| state | event | next |
|---|---|---|
| NotAsked | GetNext, and the best block is one that the peer does not have | NotAsked, the block is announced |
| NotAsked | GetNext otherwise, or the peer was sent the best block four times | Permitted |
| Permitted | a better block is taken that the peer does not have | NotAsked, the block is announced |
| Permitted, for a hash | the header of such a block wins | NotAsked, its hash is announced; a question waits |
| Permitted | withdrawn | NotAsked |
| NotAsked, just used | withdrawn before it was read | NotAsked, and announced again with the next permission |
| Permitted | GetNext | (left) |

A question about a block that is being checked, by a peer that was told so (one of its ``waiting``):

| event | what follows |
|---|---|
| the block is held | the answer |
| its header is found invalid, or it is given up | NotHeld; told again, should it be held one day |
| ``question_waiting`` is over | NotHeld |
| withdrawn | nothing |
"""
