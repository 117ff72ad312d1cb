"""`/mina/node-status`: a text about a node that others may read, in practice JSON (spec: libp2p 11).

Whoever opens a stream only reads: the other side writes its status and ends. The text is the node software's, as
it is in the OCaml node, which refreshes it every minute; this library looks into neither its own nor others'.

====================================  ==========================================================
`NetworkStatusSet`                    a command: what others read from now on
`NetworkStatusRequestReceived`        somebody reads
`NetworkStatusAsk`                    a command: read a peer's
`NetworkStatusPartReceived`           a piece of it, at most `STATUS_BYTES_MAX` in all, within `WAIT`
`NetworkStatusEnded`                  it is complete: `NetworkStatusReceived`
`NetworkStatusLost`                   it will not be: `NetworkStatusFailed`
====================================  ==========================================================
"""
