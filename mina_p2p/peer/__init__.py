"""The peer table: what is known of other nodes.

| status | event | next | what follows |
|---|---|---|---|
| (none) | `PeerDiscovered`, from a source that has not named too many | Disconnected | |
| Disconnected | `ConnectionOutgoingInit`, or its own arrival | Attached | |
| Attached | `PeerReady` | Attached, failures forgotten | its address counts as proven |
| Attached | `PeerDetached` after a violation of ours to judge | Banned | |
| Attached | `PeerDetached` otherwise | BackingOff, longer with each failure | |
| BackingOff, Banned | `PeerWoken` at its time | Disconnected | |
| any | `PeerBan` | Banned | its connection ends |
| BackingOff, Banned | `PeerUnban` | Disconnected | |
"""
