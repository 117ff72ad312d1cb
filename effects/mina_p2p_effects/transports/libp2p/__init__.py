"""libp2p over TCP as Mina's OCaml nodes speak it: everything up to streams of messages.

==============  ==============================================================
`config`        `Libp2pConfig`: every limit and time-out
`faults`        why a connection or a stream ended
`pnet`          the cipher of private networks
`multistream`   which protocol both sides speak
`noise`         who the peer is; encryption
`yamux`         many streams over one connection
`protocols`     what streams carry, cut into messages
`events`        what a connection tells
`profile`       what all connections of a node share
`upgrade`       from a fresh connection to an authenticated one with a muxer
`connection`    the layers joined: one connection, without I/O
`endpoint`      `Libp2pEndpoint`: sockets, dials and timers on the event loop
`transport`     `Libp2pTransport`: the same in the words of the slices' port
==============  ==============================================================

What the messages mean (identify, Kademlia, GossipSub, Mina's RPC) is decided in the pure
state. Source: spec libp2p.
"""

from __future__ import annotations

from mina_p2p_effects.transports.libp2p.config import Libp2pConfig
from mina_p2p_effects.transports.libp2p.endpoint import Libp2pEndpoint
from mina_p2p_effects.transports.libp2p.protocols import Framing, StreamProtocol

__all__ = ["Framing", "Libp2pConfig", "Libp2pEndpoint", "StreamProtocol"]
