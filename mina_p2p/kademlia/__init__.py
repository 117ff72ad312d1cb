"""Kademlia as OCaml nodes speak it: a routing table, look-ups, provider records (spec: libp2p 8).

*Server*: whoever asks gets the nearest peers we know, about ourselves our own addresses (Go's look-up check, without
which it does not admit us), and the providers of a key.

*Client*: a look-up asks the nearest peers it knows for nearer ones, several at a time, until the nearest
have all answered. It dials whom it is not connected with and asks nobody before identify: a Rust node
ends the connection on requests other than FIND_NODE.

A request of a look-up:

=================  ========================================  ==================
state              what happens                              next
=================  ========================================  ==================
`Connecting`       the peer is identified                    `Asked`
`Connecting`       the dial failed                           `Connecting` with the next address, or over
`Asked`            an answer                                 over; its peers become candidates
either             stream lost, or `request_timeout`         over; the peer leaves the table
=================  ========================================  ==================
"""
