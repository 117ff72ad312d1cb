"""Being dialled.

| state | event or action | next | what follows |
|---|---|---|---|
| (none) | `ConnectionIncomingReceived`, acceptable | IncomingFinalizePending | accepted; the dialer's hello is awaited |
| (none) | the same, not acceptable | (none) | rejected with the first reason of `P2pState.incoming_decision` |
| (none) | the same, instead of another connection | IncomingFinalizePending | that one ends with `DUPLICATE_CONNECTION` |
| IncomingFinalizePending | `ConnectionHelloReceived`, good | Ready | our hello, `ConnectionIncomingSuccess`, channels open |
| IncomingFinalizePending | `ConnectionHelloReceived`, bad | (none) | `ConnectionIncomingError` with the hello's fault |
| IncomingFinalizePending | `ConnectionIncomingTimeout` | (none) | error `CONNECTION_TIMEOUT` |
| IncomingFinalizePending | `ConnectionClosed` | (none) | error with its reason |

An arrival is authenticated before this machine hears of it, so that no offer can claim
another's identity (defect S3). Mirrors o1-labs/mina-rust@6fc3f265 p2p/src/connection/incoming.
"""
