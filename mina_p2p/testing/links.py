"""What carries things between the nodes of a memory network, and all that can go wrong on the way.

A link has two ends. What one end sends arrives at the other in the order of sending, after a
delay that depends on latency, bandwidth and weather. As with QUIC, loss below the transport is
delay, and silence for `IDLE_TIMEOUT` is the end: a blocked direction holds what is sent until it
opens again, and whoever has heard nothing for so long gives up without a word.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, TypeAlias

from mina_p2p.address import DialAddress, Libp2pAddress, QuicAddress, dial_host, parse_ip
from mina_p2p.disconnection.reasons import Reason, ReasonCode
from mina_p2p.errors import CallerError
from mina_p2p.identity import PeerId
from mina_p2p.ids import MILLISECOND, SECOND, ChannelId, ConnectionId, StreamId, Timestamp
from mina_p2p.libp2p.transport import Libp2pConnectionClosed
from mina_p2p.testing.agenda import Agenda
from mina_p2p.testing.dice import Dice
from mina_p2p.transport import ChannelsSendBlocked, ChannelsSendUnblocked, ConnectionClosed, SocketAddress

FRAME_HEADER_BYTES = 4
IDLE_TIMEOUT = 30 * SECOND
"""After this a node notices that the other end is dead without a goodbye."""
HANDSHAKE_TIMEOUT = 10 * SECOND
"""A dial whose packets are lost is given up after this."""
DUPLICATE_WITHIN = 200 * MILLISECOND
IDLE = Reason(ReasonCode.TRANSPORT_ERROR, detail="idle: nothing was heard of the peer")
LOST = Reason(ReasonCode.TRANSPORT_ERROR, detail="the connection was lost")

Feed: TypeAlias = Callable[[Any], None]
"""Takes the events of the transports that a node speaks."""
Deliver: TypeAlias = Callable[[Timestamp], None]
Direction: TypeAlias = tuple[PeerId, PeerId]
"""From whom to whom."""


class MemoryPort:
    """One node's attachment to the network, and the weather there."""

    def __init__(self, links: Links, peer_id: PeerId, address: SocketAddress, feed: Feed) -> None:
        self.links = links
        self.peer_id = peer_id
        self.address = address
        self.feed = feed
        self.is_alive = True
        self.ends: dict[ConnectionId, End] = {}
        """Of pull connections."""
        self.arrivals: dict[int, End] = {}
        self.libp2p_ends: dict[ConnectionId, End] = {}
        self.libp2p_arrivals = 0
        """How many there ever were."""
        self.bytes_sent = 0
        """Payload and frame headers of what this node sent."""
        self.latency = 0
        """Nanoseconds that everything to and from here takes longer."""
        self.jitter = 0
        """Up to so many nanoseconds more, drawn for each thing: what travels on different links is reordered."""
        self.stream_lag = 0
        """One stream may fall behind the others of its connection: what is sent on it takes up to so many nanoseconds, drawn for each thing."""
        self.write_rate = 0
        """Bytes per second that leave; 0 for no limit."""
        self.read_rate = 0
        """Bytes per second that are taken in; 0 for no limit."""
        self.can_resolve = True
        """Whether names are found."""
        self.write_free_at = Timestamp(0)
        self.read_free_at = Timestamp(0)

    @property
    def dial_address(self) -> QuicAddress:
        """What others dial to reach this node."""
        return QuicAddress(self.peer_id, parse_ip(self.address.host), self.address.port)

    @property
    def libp2p_address(self) -> Libp2pAddress:
        """The same of a node that speaks libp2p."""
        return Libp2pAddress(self.peer_id, parse_ip(self.address.host), self.address.port)

    def all_ends(self) -> list[End]:
        """Ends of connections that the node knows, of whatever kind."""
        return [*self.ends.values(), *self.libp2p_ends.values()]


class Stream:
    """Credit of one request, kept by the side that asked."""

    __slots__ = ("bytes_left", "channel", "frame_bytes_max")

    def __init__(self, channel: ChannelId, bytes_left: int, frame_bytes_max: int) -> None:
        self.channel = channel
        self.bytes_left = bytes_left
        self.frame_bytes_max = frame_bytes_max


class Half:
    """One end of a libp2p stream that lives."""

    __slots__ = ("is_ended_here", "is_ended_there", "protocol")

    def __init__(self, protocol: str) -> None:
        self.protocol = protocol
        self.is_ended_here = False
        self.is_ended_there = False


class End:
    """One end of a link."""

    def __init__(self, port: MemoryPort, connection_id: ConnectionId | None, *, is_libp2p: bool = False) -> None:
        self.port = port
        self.connection_id = connection_id
        self.is_libp2p = is_libp2p
        """Else it carries pull channels."""
        self.halves: dict[StreamId, Half] = {}
        """Streams of a libp2p connection, by what this end calls them."""
        self.other: End = self
        self.asked: dict[StreamId, Stream] = {}
        """Streams this end opened."""
        self.served: dict[StreamId, ChannelId] = {}
        """Streams the other end opened and this one has not answered to the end."""
        self.answered: dict[StreamId, ChannelId] = {}
        """Streams whose answer is complete and on its way: the other end can still give them up."""
        self.is_open = False
        self.is_gone = False
        self.free_at = Timestamp(0)
        """Nothing arrives before what was sent earlier ..."""
        self.streams_free_at: dict[StreamId, Timestamp] = {}
        """... on its stream, where streams overtake each other."""
        self.bytes_waiting = 0
        """Sent by this end and not yet taken in by the other."""
        self.is_blocked = False
        """Whether this end's node was told that too much waits."""


class Links:
    """What is on its way, and when it arrives."""

    def __init__(self, seed: int, latency: int, jitter_percent: int) -> None:
        self.dice = Dice(seed, "network")
        self.latency = latency
        self.jitter_percent = jitter_percent
        self.duplicates_per_mille = 0
        """How many of a thousand events are fed twice."""
        self.send_high_bytes = 1 << 20
        """More than this waiting at one end is reported as `ChannelsSendBlocked`, less than a quarter as the opposite."""
        self._ports: dict[tuple[str, int], MemoryPort] = {}
        self._agenda: Agenda[Deliver] = Agenda()
        self.now = Timestamp(0)
        """The latest time that this network has heard of."""
        self.names: dict[str, str] = {}
        """Host names and the numeric addresses they stand for."""
        self.unreachable: set[PeerId] = set()
        """Nodes behind a router that lets nothing in but answers: they reach others, and nobody reaches them."""
        self._blocked: dict[Direction, Timestamp] = {}
        self._held: dict[Direction, list[Deliver]] = {}

    def ports(self) -> Iterator[MemoryPort]:
        """The nodes that are attached, in the order in which they came."""
        return iter(list(self._ports.values()))

    # --- who is there ---------------------------------------------------------------------

    def attach(self, peer_id: PeerId, address: SocketAddress, feed: Feed) -> MemoryPort:
        """Connect a node.

        :raises CallerError: where the address is taken.
        """
        key = address.host, address.port
        if key in self._ports:
            raise CallerError(f"{address.host}:{address.port} is taken in this network")
        port = self._ports[key] = MemoryPort(self, peer_id, address, feed)
        return port

    def detach(self, port: MemoryPort, now: Timestamp) -> None:
        """The node is gone without a word, as in a crash; its peers notice by silence."""
        port.is_alive = False
        self._ports.pop((port.address.host, port.address.port), None)
        for end in [*port.all_ends(), *port.arrivals.values()]:
            self.vanish(end, now)

    # --- time -----------------------------------------------------------------------------

    def next_at(self) -> Timestamp | None:
        """When the next delivery is due."""
        return self._agenda.next_at()

    def deliver_next(self) -> Timestamp:
        """Deliver the next thing.

        :returns: its time.
        """
        at, deliver = self._agenda.pop()
        self.now = at
        deliver(at)
        return at

    def at(self, at: Timestamp, deliver: Deliver) -> None:
        """Have something done at a time."""
        self._agenda.add(at, deliver)

    def delay(self, source: MemoryPort, target: MemoryPort) -> int:
        """Nanoseconds from one port to another, drawn anew for each thing."""
        spread = self.latency * self.jitter_percent // 100
        delay = self.latency + source.latency + target.latency
        if spread:
            delay += self.dice.between(-spread, spread)
        if jitter := source.jitter + target.jitter:
            delay += self.dice.below(jitter)
        return delay

    # --- sending --------------------------------------------------------------------------

    def send(
        self, end: End, now: Timestamp, size: int, arrive: Callable[[End, ConnectionId], None], stream: StreamId | None = None
    ) -> None:
        """Let something arrive at the other end, after all that was sent before it, while there is such an end.

        :param size: bytes of payload; 0 for what is no frame.
        :param stream: that may fall behind others, in such weather.
        """
        other = end.other
        if size:
            size += FRAME_HEADER_BYTES
            end.port.bytes_sent += size
            end.bytes_waiting += size

        def deliver(at: Timestamp) -> None:
            if size:
                self._taken(end, size)
            if not other.is_gone and other.port.is_alive and other.connection_id is not None:
                arrive(other, other.connection_id)

        self.carry(end, now, size, deliver, stream)
        if end.bytes_waiting > self.send_high_bytes and not end.is_blocked and end.connection_id is not None:
            end.is_blocked = True
            self.feed(end.port, ChannelsSendBlocked(end.connection_id))

    def _taken(self, end: End, size: int) -> None:
        end.bytes_waiting -= size
        if end.is_blocked and end.bytes_waiting < self.send_high_bytes // 4:
            end.is_blocked = False
            if end.connection_id is not None and not end.is_gone:
                self.feed(end.port, ChannelsSendUnblocked(end.connection_id))

    def carry(
        self, end: End, now: Timestamp, size: int, deliver: Deliver, stream: StreamId | None = None, sent_at: Timestamp | None = None
    ) -> None:
        """Bring something to the other end's place, whether anybody is there or not.

        :param sent_at: when it was sent, where it was held since.
        """
        sent_at = now if sent_at is None else sent_at
        source, other = end.port, end.other
        target = other.port
        if self._blocked and (direction := (source.peer_id, target.peer_id)) in self._blocked:
            self._held.setdefault(direction, []).append(lambda at: self.carry(end, at, size, deliver, stream, sent_at))
            return
        at: int = now
        if source.write_rate:
            at = max(at, source.write_free_at) + size * SECOND // source.write_rate
            source.write_free_at = Timestamp(at)
        at += self.delay(source, target)
        if target.read_rate:
            at = max(at, target.read_free_at) + size * SECOND // target.read_rate
            target.read_free_at = Timestamp(at)
        arrival = other.free_at = Timestamp(max(at, other.free_at))
        if stream is not None and (other.streams_free_at or source.stream_lag or target.stream_lag):
            arrival = self._on_stream(other, stream, sent_at, source.stream_lag + target.stream_lag)
        self.at(arrival, deliver)

    def _on_stream(self, other: End, stream: StreamId, sent_at: Timestamp, lag: int) -> Timestamp:
        """When something arrives whose stream is behind the others.

        It falls behind by loss, which is repaired in a time that does not depend on what else waits:
        so nothing overtakes what was sent longer ago than the greatest lag.
        """
        streams = other.streams_free_at
        arrival = max(other.free_at, streams.get(stream, Timestamp(0)))
        if lag:
            arrival = streams[stream] = Timestamp(max(arrival, sent_at + self.dice.below(lag)))
        elif stream in streams and arrival == other.free_at:
            del streams[stream]
        return arrival

    def feed(self, port: MemoryPort, event: Any) -> None:
        """Give a node an event; twice, where that is the weather."""
        if not port.is_alive:
            return
        port.feed(event)
        if self.duplicates_per_mille and self.dice.below(1_000) < self.duplicates_per_mille:
            again = Timestamp(self.now + self.dice.below(DUPLICATE_WITHIN))
            self.at(again, lambda _at: port.feed(event) if port.is_alive else None)

    # --- dials ----------------------------------------------------------------------------

    def reach(self, end: End, address: DialAddress, now: Timestamp, met: Callable[[End, MemoryPort], None], arrived: Deliver) -> None:
        """Make the other end of a dial, or end it with the reason why there is none.

        :param met: called with the dialer's end and the listener's port once the dialer knows who answers.
        :param arrived: called once the listener knows as much of the dialer; its end is then the other one of ``end``.
        """
        port, host = end.port, None if not isinstance(address, QuicAddress | Libp2pAddress) else dial_host(address)
        name = "" if host is None else host.plain
        if name in self.names and not port.can_resolve:
            self._refuse(end, now, ReasonCode.ADDRESS_UNRESOLVED, f"{name} has no address")
            return
        where = self.names.get(name, name), _port_number(address)

        def arrive(at: Timestamp) -> None:
            listener = self._ports.get(where)
            if end.is_gone or not port.is_alive:
                return
            if listener is None:
                self._refuse(end, at, ReasonCode.TRANSPORT_ERROR, "nobody listens there")
            elif listener.peer_id in self.unreachable or self.is_blocked(port, listener):
                self._refuse(end, Timestamp(at + HANDSHAKE_TIMEOUT), ReasonCode.TRANSPORT_ERROR, "the handshake timed out")
            elif listener.peer_id != address.peer_id:
                self._refuse(end, at, ReasonCode.PEER_ID_AND_PUBLIC_KEY_MISMATCH, "another peer answers there")
            else:
                self._connect(end, listener, at, met, arrived)

        self.at(Timestamp(now + self.delay(port, port)), arrive)

    def _refuse(self, end: End, now: Timestamp, code: ReasonCode, detail: str) -> None:
        """A dial comes to nothing."""
        reason = Reason(code, detail=detail)
        self.at(Timestamp(now + self.delay(end.port, end.port)), lambda _at: self.closed(end, reason, by_peer=False))

    def _connect(self, end: End, listener: MemoryPort, at: Timestamp, met: Callable[[End, MemoryPort], None], arrived: Deliver) -> None:
        other = End(listener, None, is_libp2p=end.is_libp2p)
        end.other, other.other = other, end

        def finish(at: Timestamp) -> None:
            if not other.port.is_alive:
                # It is gone since; the dialer, who is content already, notices by the silence.
                self.vanish(other, at)
            elif not other.is_gone:
                arrived(at)

        def finished(dialer: End, _connection_id: ConnectionId) -> None:
            # The dialer's last handshake message is on its way, and all it says from now on behind it.
            self.carry(dialer, self.now, 0, finish)
            met(dialer, listener)

        self.send(other, at, 0, finished)

    # --- ends of links --------------------------------------------------------------------

    def goodbye(self, end: End, reason: Reason, now: Timestamp) -> None:
        """One side leaves and says why; the other hears it if the way is free, else the silence."""
        other = end.other
        self.drop(end)
        if other is end:
            return
        if (end.port.peer_id, other.port.peer_id) in self._blocked:
            self.at(Timestamp(now + IDLE_TIMEOUT), lambda _at: self.closed(other, IDLE, by_peer=False))
        else:
            self.carry(end, now, 0, lambda _at: self.closed(other, reason, by_peer=True))

    def vanish(self, end: End, now: Timestamp, reason: Reason | None = None) -> None:
        """One side is gone without a word; the other notices by the silence.

        :param reason: what the node of the end that is gone is told; nothing by default.
        """
        other = end.other
        if end.is_gone:
            return
        if reason is not None:
            self.closed(end, reason, by_peer=False)
        self.drop(end)
        self.at(Timestamp(now + IDLE_TIMEOUT), lambda _at: self.closed(other, IDLE, by_peer=False))

    def violated(self, end: End, reason: Reason) -> None:
        """A transport found that the other side broke its rules."""
        self.closed(end, reason, by_peer=False)
        self.closed(end.other, reason, by_peer=True)

    def closed(self, end: End, reason: Reason, *, by_peer: bool) -> None:
        """Tell the node at an end that its connection is over."""
        if end.is_gone:
            return
        connection_id = end.connection_id
        self.drop(end)
        if connection_id is not None:
            kind = Libp2pConnectionClosed if end.is_libp2p else ConnectionClosed
            self.feed(end.port, kind(connection_id, reason, by_peer))

    def drop(self, end: End) -> None:
        """Forget an end; what still arrives there is ignored."""
        end.is_gone = True
        if end.connection_id is not None:
            (end.port.libp2p_ends if end.is_libp2p else end.port.ends).pop(end.connection_id, None)

    def lose(self, end: End) -> None:
        """A connection breaks, and both sides know it at once."""
        self.closed(end, LOST, by_peer=False)
        self.closed(end.other, LOST, by_peer=False)

    # --- partitions -----------------------------------------------------------------------

    def is_blocked(self, one: MemoryPort, other: MemoryPort) -> bool:
        """Whether nothing comes through from one to the other, or back: no handshake can succeed."""
        return (one.peer_id, other.peer_id) in self._blocked or (other.peer_id, one.peer_id) in self._blocked

    def block(self, source: PeerId, target: PeerId, now: Timestamp) -> None:
        """Let nothing through in one direction; whoever hears nothing for `IDLE_TIMEOUT` gives up."""
        direction = source, target
        self._blocked[direction] = now
        ends = [e for port in self._ports.values() if port.peer_id == target for e in port.all_ends()]

        def give_up(end: End, at: Timestamp) -> None:
            if self._blocked.get(direction) == now:
                self.vanish(end, at, IDLE)

        for end in ends:
            if end.other.port.peer_id == source:
                self.at(Timestamp(now + IDLE_TIMEOUT), partial(give_up, end))

    def unblock(self, source: PeerId, target: PeerId, now: Timestamp) -> None:
        """Undo a `block`; what was held travels now."""
        self._blocked.pop((source, target), None)
        for again in self._held.pop((source, target), ()):
            again(now)

    def cut(self, one: PeerId, other: PeerId, now: Timestamp) -> None:
        """Separate two nodes, in both directions: links between them die, new ones can not be made."""
        self.block(one, other, now)
        self.block(other, one, now)

    def heal(self) -> None:
        """Undo every `cut` and `block`."""
        for source, target in list(self._blocked):
            self.unblock(source, target, self.now)


def _port_number(address: DialAddress) -> int:
    return address.port if isinstance(address, QuicAddress | Libp2pAddress) else 0
