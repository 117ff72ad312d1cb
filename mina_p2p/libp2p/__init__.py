"""What the libp2p slices share: the port to their transport, connections and streams, the machine that holds them.

===============  ================================================================
`transport`      events and effects: what a transport must do
`protocols`      what is spoken on streams, and the bounds of each
`config`         every limit, duration and choice
`links`          connections, streams, peers: state
`actions`        what happens to them
`reducer`        the same reduced; the way of a stream's events to its slice
`state`          `NetworkState`, the root
`machine`        `network_machine`, and `NetworkCheckTimeouts`, the input that time makes
`notifications`  what the node software is told
===============  ================================================================

The slices are `mina_p2p.identify`, `mina_p2p.kademlia`, `mina_p2p.gossipsub`, `mina_p2p.peer_exchange`, `mina_p2p.libp2p_rpc`
and `node_status`; `keeping` looks after how many connections there are, `gating` after with whom.
"""
