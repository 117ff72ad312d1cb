"""The QUIC transport: a permission is a stream, and permission is credit (design 6).

===============  ==============================================================
`config`         `QuicConfig`: every limit and time-out
`certificate`    the certificate that proves a peer id
`tickets`        what a session is resumed with
`reassembly`     stream data ahead of a gap, at its true size
`aioquic_hooks`  all that is needed of the QUIC library's inside
`credit`         how much each answer may send us
`budget`         what all connections may hold together
`backlog`        one connection's send buffer
`streams`        one stream's bytes cut into frames
`reasons`        close codes to `Reason` and back
`exchanges`      what happens on the streams of one connection
`proof`          who the peer of one connection is
`connection`     one peer connection, without I/O
`path_mtu`       how large a datagram the path carries
`gate`           how many handshakes of one network group
`admission`      who may begin a handshake
`counters`       what one connection has carried
`qlog`           a qlog file for each connection
`deadlines`      the earliest of many deadlines
`race`           one dial to several addresses
`dialling`       names, addresses, one outcome
`resets`         telling peers of a restart
`endpoint`       the UDP socket
`offload`        many datagrams in one system call
`transport`      `QuicTransport`, which joins them to the event loop
===============  ==============================================================

What travels is described in ``docs/explanation/quic-mapping.md``.
"""

from __future__ import annotations

from mina_p2p_effects.transports.quic.config import QuicConfig
from mina_p2p_effects.transports.quic.transport import QuicTransport

__all__ = ["QuicConfig", "QuicTransport"]
