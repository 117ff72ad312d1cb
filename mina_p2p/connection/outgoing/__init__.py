"""Dialling a peer.

| state | event or action | next | what follows |
|---|---|---|---|
| (none) | `ConnectionOutgoingRequest` | (none) | `ConnectionOutgoingInit`, or why not |
| (none) | `ConnectionOutgoingInit` | OutgoingInit | the transport dials |
| OutgoingInit | `ConnectionEstablished` | OutgoingFinalizePending | our hello |
| OutgoingInit | `ConnectionEstablished` with another peer id | (none) | error `PEER_ID_AND_PUBLIC_KEY_MISMATCH` |
| OutgoingFinalizePending | `ConnectionHelloReceived`, good | Ready | `ConnectionOutgoingSuccess`, channels open |
| OutgoingFinalizePending | `ConnectionHelloReceived`, bad | (none) | error with the hello's fault |
| either | `ConnectionOutgoingTimeout` at its deadline or the attempt's | (none) | error `CONNECTION_TIMEOUT` |
| either | `ConnectionClosed` | (none) | error with the transport's or the peer's reason |

Every error is `ConnectionOutgoingError`; the peer backs off, and the node software learns of
it if it had asked. Mirrors o1-labs/mina-rust@6fc3f265 p2p/src/connection/outgoing without the
offer and answer states, which only signalled transports have.
"""
