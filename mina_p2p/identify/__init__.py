"""Who is at the other end: identify and its push (spec: libp2p 7).

Both sides ask as soon as a connection is up. The answer says what the peer speaks, so nothing else is opened
before it, and where it can be dialled; the remote address of the connection is never taken for that.

====================================  =============================================================
a connection opened                   a stream of ours; the peer sends messages and ends it
`NetworkIdentifyPartReceived`         kept, at most `PARTS_MAX`: what comes in parts is one message
`NetworkIdentifyEnded`                decoded: `Identity`, and the other slices hear of it
`NetworkIdentifyLost`                 nothing is known; look-ups no longer wait for this peer
`NetworkIdentifyRequestReceived`      we answer, and end the stream
`NetworkIdentifyPush`                 our addresses have changed: the peer is told unasked
====================================  =============================================================
"""
