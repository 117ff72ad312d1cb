"""Every constant of the QUIC transport, in one record.

Durations end in ``_s`` and are seconds of the event loop's clock; sizes end in
``_bytes``; what ends in ``_max`` is a count. Where a default has a reason that is
not obvious, the field says it.
"""

from __future__ import annotations

from pathlib import Path

from attrs import field
from attrs.validators import ge, gt, in_, le

from mina_p2p.record import Record, record


@record
class QuicConfig(Record):
    """Limits and time-outs of one `QuicTransport`."""

    # --- permission is credit
    answer_window_bytes: int = field(default=256 * 1024, validator=ge(1024))
    """Most credit open at once for one answer, at first; the rest follows as bytes are consumed."""
    answer_window_bytes_max: int = field(default=2 * 1024 * 1024, validator=ge(1024))
    """What that grows to on a path whose round trip is long for its rate; no less than ``answer_window_bytes``."""
    connection_credit_bytes: int = field(default=8 * 1024 * 1024, validator=ge(1024))
    """Most credit open at once over all answers of one connection. An answer that finds none left waits for its turn."""
    request_bytes_max: int = field(default=16 * 1024, validator=ge(64))
    """Longest payload of a request (the signaling channels' limit is the largest). With its headers it is the credit of every peer-opened stream."""
    hello_bytes_max: int = field(default=4096, validator=in_(range(64, 16 * 1024)))
    """Longest hello."""
    gaps_max: int = field(default=1024, validator=ge(16))
    """Separate pieces that one stream may hold ahead of a gap; a window of lost datagrams needs about 220."""
    handshake_bytes_max: int = field(default=32 * 1024, validator=ge(4096))
    """TLS bytes taken from a peer in each encryption level; a handshake of this mapping needs about 1 KB."""

    # --- memory for what was not asked to end
    receive_bytes_max: int = field(default=384 * 1024 * 1024, validator=gt(0))
    """Hard cap of what one connection holds of messages that are not whole: room for the largest answer (256 MiB) and a few others."""
    receive_total_bytes_max: int = field(default=1024 * 1024 * 1024, validator=gt(0))
    """The same over all connections; the one that holds most gives way. The state machines permit no more than this by RPC."""

    # --- back-pressure
    send_high_bytes: int = field(default=1024 * 1024, validator=gt(0))
    """Unacknowledged answer bytes above which `ChannelsSendBlocked` is reported."""
    send_low_bytes: int = field(default=256 * 1024, validator=gt(0))
    """Below this, `ChannelsSendUnblocked` follows."""
    send_total_bytes_max: int = field(default=256 * 1024 * 1024, validator=gt(0))
    """Hard cap of all send buffers of the node; the connection that holds most gives way."""
    send_bytes_max: int = field(default=64 * 1024 * 1024, validator=gt(0))
    """Hard cap of one connection's send buffer: an answer that would exceed it ends the connection. The largest item of the propagation channels has 32 MiB."""

    # --- who may connect
    connections_max: int = field(default=1000, validator=gt(0))
    """Live connections and handshakes, both directions."""
    handshakes_pending_max: int = field(default=256, validator=gt(0))
    """Incoming connections whose peer has proved its address by a Retry, and not its identity yet."""
    handshakes_pending_per_group_max: int = field(default=32, validator=gt(0))
    """The same, of one network group of the source address."""
    retry_above: int = field(default=32, validator=ge(0))
    """From this many pending handshakes of unproved addresses on, a source must prove its own (Retry) before it costs any state."""
    retry_per_group_above: int = field(default=8, validator=ge(0))
    """The same, of one network group."""
    handshakes_per_second_max: int = field(default=20, validator=gt(0))
    """Handshakes a second that one network group may begin; beyond, its addresses must be proved, and then beyond that again it is
    refused. Loopback is not counted: nobody else can send from there, and a test network lives on one machine."""
    handshake_patience_s: float = field(default=1.0, validator=gt(0))
    """Where all places are taken, a handshake that is pending for longer ends for a new one. An honest one needs three round trips."""
    handshakes_burst_max: int = field(default=64, validator=gt(0))
    """Handshakes that one network group may begin at once, after a pause."""
    resets_per_second_max: int = field(default=64, validator=ge(0))
    """Stateless resets sent for packets of connections that this node does not know, as after its restart."""
    dials_max: int = field(default=64, validator=gt(0))
    """Dials in progress, name resolution included."""
    names_resolving_max: int = field(default=8, validator=gt(0))
    """Concurrent name look-ups; each occupies a thread of the loop's executor."""
    dial_addresses_max: int = field(default=4, validator=gt(0))
    """Addresses of one name that are tried."""
    dial_stagger_s: float = field(default=0.25, validator=gt(0))
    """When the next address of a name is tried while the handshake with the one before goes on (RFC 8305 5: 250 ms)."""
    are_private_addresses_dialled: bool = False
    """Whether a *name* may lead to addresses that are not global: private, loopback, link-local. A name that was learned from
    peers could aim dials at this node's own network. Numeric addresses are dialled as given, whoever gives them has decided."""
    group_ipv4_bits: int = field(default=24, validator=in_(range(33)))
    """How many leading bits IPv4 addresses of one network share, for the limits above."""
    group_ipv6_bits: int = field(default=48, validator=in_(range(129)))
    """The same for IPv6."""

    # --- resumption
    are_sessions_resumed: bool = False
    """Whether peers that were authenticated once may come again without certificates, by a ticket that works once; and send their
    hello with the first flight (0-RTT). Saves the signatures of a handshake. Both sides must have it on, else it is not used."""
    ticket_lifetime_s: float = field(default=3600.0, validator=[gt(0), le(7 * 86_400)])
    """How long after its connection a ticket can be used."""
    tickets_max: int = field(default=1024, validator=gt(0))
    """Tickets kept in memory in each direction."""
    tickets_per_peer_max: int = field(default=4, validator=gt(0))
    """Tickets that one peer may hold of ours."""
    early_bytes_max: int = field(default=4096, validator=ge(0))
    """Early data taken from a peer, repetitions included. Ours is at most a quarter of it."""

    # --- time
    dial_timeout_s: float = field(default=10.0, validator=gt(0))
    """From the dial effect to the end of the handshake."""
    handshake_timeout_s: float = field(default=5.0, validator=gt(0))
    """From an incoming connection's first datagram to its proof of identity, and from there to our accept or reject."""
    idle_timeout_s: float = field(default=30.0, validator=gt(0))
    """A connection that heard nothing for so long is gone."""
    keep_alive_s: float = field(default=10.0, validator=gt(0))
    """A connection that heard nothing for so long sends a PING."""
    farewell_s: float = field(default=2.0, validator=ge(0))
    """For so long a goodbye is repeated to a peer that has not understood it."""
    stop_timeout_s: float = field(default=1.0, validator=gt(0))
    """Longest that `stop` waits for the operating system to take the goodbyes."""

    # --- datagrams
    datagram_bytes: int = field(default=1200, validator=in_(range(1200, 1453)))
    """What every path carries (RFC 9000 14)."""
    datagram_probe_bytes: int = field(default=1452, validator=in_(range(1200, 1473)))
    """What a path of 1500-byte packets carries, IPv6 included. Used after an acknowledged probe; set to ``datagram_bytes`` to probe nothing."""
    datagram_probes_max: int = field(default=3, validator=gt(0))
    """Lost probes after which a path keeps ``datagram_bytes``."""
    black_hole_timeouts: int = field(default=3, validator=gt(0))
    """Consecutive probe time-outs that send a path back to ``datagram_bytes``."""
    datagram_probe_again_s: float = field(default=600.0, validator=gt(0))
    """When a path that failed is probed again (RFC 8899 PMTU_RAISE_TIMER)."""
    batch_max: int = field(default=64, validator=gt(0))
    """Datagrams taken from the socket before the next transmit pass."""
    are_datagrams_offloaded: bool = True
    """Whether runs of datagrams pass each system call as one piece, where the kernel can do that."""
    outbox_max: int = field(default=4096, validator=gt(0))
    """Datagrams that wait for the operating system's buffer; more are dropped, and recovered as any loss is."""
    socket_buffer_bytes: int = field(default=2 * 1024 * 1024, validator=gt(0))
    """Requested for each direction of the socket; small default buffers lose datagrams in bursts."""
    initial_rtt_s: float = field(default=0.1, validator=gt(0))
    """The round trip that is assumed before one was measured; it times the first retransmissions."""
    congestion_control: str = field(default="reno", validator=in_(("reno", "cubic")))
    """How the rate follows losses: as RFC 9002 describes it (`reno`), or RFC 9438 (`cubic`)."""
    pacing_burst_s: float = field(default=0.002, validator=gt(0))
    """What the path carries in this time may leave at once. The loop's timer knows milliseconds; a finer pace would cost more than it smooths."""
    ack_delay_s: float = field(default=0.001, validator=[gt(0), le(0.02)])
    """How long an acknowledgement may wait for company; at most the 25 ms we announce, less scheduling."""

    # --- debugging
    qlog_dir: Path | None = None
    """Where to write a qlog file for each connection; nothing by default. It takes about four tenths as much time again as a connection itself."""
    qlog_file_bytes_max: int = field(default=16 * 1024 * 1024, validator=ge(4096))
    """A connection's file ends here, and says so."""
    qlog_files_max: int = field(default=64, validator=gt(0))
    """Files of one run that are kept; the oldest finished one goes first."""
