"""Every constant of the libp2p transport, in one record.

Durations end in ``_s`` and are seconds of the event loop's clock; sizes end in
``_bytes``; what ends in ``_max`` is a count. The defaults are those of OCaml nodes
where they have any (spec: libp2p 4 to 6).
"""

from __future__ import annotations

from attrs import field
from attrs.validators import ge, gt, in_, le

from mina_p2p.record import Record, record

YAMUX = "/coda/yamux/1.0.0"
"""The only muxer of Mina's nodes."""


@record
class Libp2pConfig(Record):
    """Limits and time-outs of one libp2p transport."""

    # --- who may connect
    connections_max: int = field(default=1000, validator=gt(0))
    """Live connections and those being set up, both directions."""
    incoming_pending_max: int = field(default=256, validator=gt(0))
    """Incoming connections whose peer has not proved its identity yet; more are closed at once."""
    dials_max: int = field(default=64, validator=gt(0))
    """Dials in progress, name resolution included."""
    dial_addresses_max: int = field(default=4, validator=gt(0))
    """Addresses of one name that are tried, one after the other."""
    are_private_addresses_dialled: bool = False
    """Whether a *name* may lead to addresses that are not global; numeric addresses are dialled as given."""

    # --- setting up
    dial_timeout_s: float = field(default=15.0, validator=gt(0))
    """From the dial to the authenticated, multiplexed connection."""
    upgrade_timeout_s: float = field(default=15.0, validator=gt(0))
    """The same from an incoming connection's accept."""
    has_early_muxer: bool = True
    """Whether the muxer is offered inside the Noise handshake, which saves a round trip; both sides must offer it."""
    is_simultaneous_connect_announced: bool = False
    """Whether dials announce ``simultaneous-connect``, as Go's do. It is needed only where both ends dial from the ports on which they listen."""
    muxers: tuple[str, ...] = (YAMUX,)
    """Muxer ids, best first; all of them are Yamux under some name."""

    # --- streams
    stream_negotiation_timeout_s: float = field(default=10.0, validator=gt(0))
    """From the opening of a stream by either side to the agreement about its protocol."""
    incoming_streams_max: int = field(default=512, validator=ge(64))
    """Live streams that the peer opened on one connection; more are reset. OCaml opens one for each RPC and leaves it open."""
    outgoing_streams_max: int = field(default=256, validator=gt(0))
    """The same for those that we opened."""
    window_bytes: int = field(default=256 * 1024, validator=in_((256 * 1024,)))
    """Credit of a new stream in each direction: what Yamux lays down."""
    window_bytes_max: int = field(default=4 * 1024 * 1024, validator=[ge(256 * 1024), le(16 * 1024 * 1024)])
    """To which a stream's window grows while its data arrives faster than the round trip lets credit follow."""

    # --- memory
    held_bytes_max: int = field(default=64 * 1024 * 1024, validator=gt(0))
    """Bytes of unfinished incoming messages that one connection may hold; the stream that exceeds it is reset."""
    held_bytes_total_max: int = field(default=512 * 1024 * 1024, validator=gt(0))
    """The same over all connections of the node, so that many peers together can not do what one may not."""
    send_bytes_max: int = field(default=256 * 1024 * 1024, validator=gt(0))
    """Bytes waiting to be sent on one connection; the stream that exceeds it is reset. The largest known RPC answer has 59 MB."""
    control_bytes_max: int = field(default=64 * 1024, validator=ge(4096))
    """Answers that a peer's frames call for (pongs, acknowledgements, credit) and that it does not read; beyond, the connection ends."""
    socket_high_bytes: int = field(default=256 * 1024, validator=ge(64 * 1024))
    """Enciphered bytes that may wait in the socket's buffer before streams' data is held back."""

    # --- time
    ping_every_s: float = field(default=30.0, validator=gt(0))
    """How often the round trip is measured; the first time at once. It keeps the connection alive, too."""
    ping_timeout_s: float = field(default=10.0, validator=gt(0))
    """A peer that has not answered a ping by then is gone."""
    stop_timeout_s: float = field(default=1.0, validator=gt(0))
    """Longest that stopping waits for goodbyes to leave."""
