"""Best tips: our own, sent to whoever permits one, and what peers say theirs is.

| event or command | when | what follows |
|---|---|---|
| `BestTipSet` | the block is another than before | sent to every peer that waits for one |
| `BestTipSend` | the peer permits one and has not been sent this one | the block |
| `PeerBestTipReceived` | its state hash can be computed | the node software is told |
| `PeerBestTipReceived` | it can not | disconnected with `CHANNEL_MSG_UNDECODABLE` |
"""
