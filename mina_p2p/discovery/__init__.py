"""Discovery by gossip of addresses: a node tells where it is, signed and dated, and others pass it on.

The rules of the proposal (CEP-0010), in the order of its first text, and where they are; `tests/gossip/test_rules.py` names them so:

1. A node connects to the peers it was configured with when it starts: `P2pConfig.initial_peers`.
2. A dial that failed and a connection that was lost are not repeated; the entry is deleted.
3. Every connection that succeeds enters the map by node id: `mina_p2p.peer`. One connection per node, of either direction, each with a
   number of its own, so that the end of an old one can not end a newer one.
4. Incoming connections are accepted from every valid id: `mina_p2p.connection.incoming`.
5. Every ``interval`` a node gossips its own address: `AddressGossipIssue`.
6. An address that is received is dialled once: `PeerAnnounced`. Each newer record of a node is one more attempt.

`AddressGossipConfig.is_strict` allows nothing more. What it does not heal (spec: address-gossip 3) heals by

* ``are_configured_redialled`` (AG-1): configured peers that are not connected are dialled again at each tick, by who has enough connections too;
* ``are_failures_retried``: a node that was heard of is dialled again after a pause that grows, as is known of it from any source.
  With a program that keeps addresses over restarts (`P2pConfig.initial_peers`), this is the persisted book of spec 3.6.

Records are dated, newer ones replace older ones, and each is believed for ``ttl`` at most, so no address outlives its node for
long (AG-7); a date never goes back, even where the clock does (AG-6), unless it was days ahead. `mina_p2p.discovery.admission` lists what is
checked of a record; who is told what, and when, is the gossiper's (`mina_p2p.gossiper`) and channel 9's
(`mina_p2p.channels.address_gossip`).
"""
