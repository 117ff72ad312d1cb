"""What is drawn, read out of a log in one replay: numbers over time.

Times are nanoseconds since the Unix epoch, as in the log. Bytes are frames with their headers,
without what the transport adds; for libp2p messages, by the name of their protocol. Stretches that damage hides are missing; `LogSeries.problems` says so.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any, Final, TypeAlias

from mina_p2p.best_tip.actions import BestTipSet
from mina_p2p.channels.propagation.state import RemoteRequested, Requested, Responding
from mina_p2p.disconnection.actions import DisconnectionFinish
from mina_p2p.ids import ChannelId
from mina_p2p.libp2p.transport import (
    Libp2pConnectionClosed,
    Libp2pConnectionOpened,
    Libp2pEffectfulDisconnect,
    Libp2pEffectfulSend,
    Libp2pEffectfulStreamOpen,
    Libp2pStreamMessageReceived,
    Libp2pStreamOpened,
)
from mina_p2p.notifications import ItemReceived
from mina_p2p.peer.actions import PeerReady
from mina_p2p.pool.actions import PoolInsert
from mina_p2p.record import Record, record
from mina_p2p.state import P2pState
from mina_p2p.trace.errors import LogError
from mina_p2p.transport import (
    ChannelsEffectfulAnswerSend,
    ChannelsEffectfulRequestContinue,
    ChannelsEffectfulRequestSend,
    ChannelsMessageReceived,
    ConnectionEffectfulHelloSend,
    ConnectionHelloReceived,
)
from mina_p2p_effects.logs import LogSession

FRAME_HEADER_BYTES: Final = 4
SAMPLES: Final = 240
"""How many times the state is looked at."""
BUCKETS: Final = 120
"""Into how many stretches of time bytes are counted."""

CONTROL: Final = "control"
"""Name of what is no channel: the hello."""

PROPAGATION: Final = (ChannelId.BEST_TIP, ChannelId.TRANSACTION, ChannelId.SNARK, ChannelId.SNARK_JOB_COMMITMENT)

ItemKey: TypeAlias = tuple[ChannelId, bytes]
"""Channel, and key in its pool; of a best tip the state hash."""


@record
class Arrival(Record):
    """When an item came to a node."""

    received: int | None
    """When a peer's copy was there, to be checked; ``None`` where it was the node's own."""
    held: int
    """When it was in the pool; of a best tip, when the node followed it."""


@record
class LogSeries(Record):
    """One node's."""

    name: str
    start: int
    end: int
    peers: tuple[tuple[int, int], ...]
    """Time, and ready connections from then on."""
    granted: dict[str, tuple[tuple[int, int], ...]]
    """By channel: time, and permissions of ours that peers can use."""
    held: dict[str, tuple[tuple[int, int], ...]]
    """By channel: time, and permissions of peers that we can use."""
    bytes_in: dict[str, tuple[int, ...]]
    """By channel, or protocol of libp2p: bytes per bucket of time between `start` and `end`."""
    bytes_out: dict[str, tuple[int, ...]]
    arrivals: dict[ItemKey, Arrival]
    problems: tuple[str, ...]


def read_series(session: LogSession, span: tuple[int, int] | None = None) -> LogSeries:
    """Replay a log of this library's machine and count.

    :param span: times that buckets and samples are made for; by default those of the log. Several logs of one network want one span.
    """
    start, end = span or time_span([session])
    collector = _Collector(start, end)
    for number, block, found in session.blocks():
        contents = session.contents(number, block)
        if contents.problem is not None:
            collector.problems.append(str(contents.problem))
        for i, time in enumerate(found.records.times):
            for action in contents.actions[found.starts[i] : found.starts[i + 1]]:
                collector.take(action, time)
    granted, held = _permissions(session, start, end)
    peers = tuple(collector.peers) or ((start, 0),)
    bytes_in, bytes_out = _frozen(collector.bytes_in), _frozen(collector.bytes_out)
    return LogSeries(_name(session), start, end, peers, granted, held, bytes_in, bytes_out, collector.arrivals, tuple(collector.problems))


def time_span(sessions: Iterable[LogSession]) -> tuple[int, int]:
    """Times of the first and the last action of some logs; twice 0 where there are none."""
    known = [session for session in sessions if session.count]
    if not known:
        return 0, 0
    return min(session.action(0).time for session in known), max(session.action(session.count - 1).time for session in known)


def _name(session: LogSession) -> str:
    return session.paths[0].stem


def _frozen(counts: dict[str, list[int]]) -> dict[str, tuple[int, ...]]:
    return {channel: tuple(counts[channel]) for channel in sorted(counts)}


class _Collector:
    """Counts, action by action."""

    def __init__(self, start: int, end: int) -> None:
        self._start = start
        self._width = max(1, end - start)
        self._channels: dict[tuple[int, int], str] = {}
        """By connection and stream: the channel of an answer that we owe."""
        self._protocols: dict[tuple[int, int], str] = {}
        """By connection and stream of libp2p."""
        self._received: dict[ItemKey, int] = {}
        self._ready: set[tuple[bool, int]] = set()
        """Whether it is one of libp2p, and the connection."""
        self.peers: list[tuple[int, int]] = []
        self.bytes_in: dict[str, list[int]] = defaultdict(lambda: [0] * BUCKETS)
        self.bytes_out: dict[str, list[int]] = defaultdict(lambda: [0] * BUCKETS)
        self.arrivals: dict[ItemKey, Arrival] = {}
        self.problems: list[str] = []

    def take(self, action: Any, time: int) -> None:
        """Count an action."""
        handler = _HANDLERS.get(action.__class__)
        if handler is not None:
            handler(self, action, time)

    def _count(self, counts: dict[str, list[int]], channel: str, time: int, frames: Iterable[bytes]) -> None:
        bucket = min(BUCKETS - 1, max(0, (time - self._start) * BUCKETS // self._width))
        counts[channel][bucket] += sum(FRAME_HEADER_BYTES + len(frame) for frame in frames)

    def message(self, action: ChannelsMessageReceived, time: int) -> None:
        self._channels[action.connection_id, action.stream] = action.channel.name
        self._count(self.bytes_in, action.channel.name, time, (action.frame,))

    def hello(self, action: ConnectionHelloReceived, time: int) -> None:
        self._count(self.bytes_in, CONTROL, time, (action.frame,))

    def hello_sent(self, action: ConnectionEffectfulHelloSend, time: int) -> None:
        self._count(self.bytes_out, CONTROL, time, (action.frame,))

    def request(self, action: ChannelsEffectfulRequestSend, time: int) -> None:
        self._channels[action.connection_id, action.stream] = action.channel.name
        self._count(self.bytes_out, action.channel.name, time, (action.frame,))

    def request_continued(self, action: ChannelsEffectfulRequestContinue, time: int) -> None:
        self._count(self.bytes_out, self._channels.get((action.connection_id, action.stream), CONTROL), time, (action.frame,))

    def answer(self, action: ChannelsEffectfulAnswerSend, time: int) -> None:
        self._count(self.bytes_out, self._channels.get((action.connection_id, action.stream), CONTROL), time, action.frames)

    def ready(self, action: PeerReady, time: int) -> None:
        self._ready.add((False, action.connection_id))
        self.peers.append((time, len(self._ready)))

    def finished(self, action: DisconnectionFinish, time: int) -> None:
        self._ready.discard((False, action.connection_id))
        self._channels = {key: channel for key, channel in self._channels.items() if key[0] != action.connection_id}
        self.peers.append((time, len(self._ready)))

    def opened(self, action: Libp2pConnectionOpened, time: int) -> None:
        self._ready.add((True, action.connection_id))
        self.peers.append((time, len(self._ready)))

    def gone(self, action: Libp2pConnectionClosed | Libp2pEffectfulDisconnect, time: int) -> None:
        self._ready.discard((True, action.connection_id))
        self._protocols = {key: protocol for key, protocol in self._protocols.items() if key[0] != action.connection_id}
        self.peers.append((time, len(self._ready)))

    def stream_opened(self, action: Libp2pStreamOpened, _time: int) -> None:
        self._protocols[action.connection_id, action.stream] = protocol_name(action.protocol)

    def stream_wanted(self, action: Libp2pEffectfulStreamOpen, _time: int) -> None:
        self._protocols[action.connection_id, action.stream] = protocol_name(action.protocols[0])

    def data(self, action: Libp2pStreamMessageReceived, time: int) -> None:
        self._count(self.bytes_in, self._protocols.get((action.connection_id, action.stream), CONTROL), time, (action.data,))

    def data_sent(self, action: Libp2pEffectfulSend, time: int) -> None:
        self._count(self.bytes_out, self._protocols.get((action.connection_id, action.stream), CONTROL), time, (action.data,))

    def item(self, action: ItemReceived, time: int) -> None:
        self._received.setdefault((action.channel, action.key), time)

    def pooled(self, action: PoolInsert, time: int) -> None:
        key = action.channel, action.key
        self.arrivals.setdefault(key, Arrival(self._received.get(key), time))

    def followed(self, action: BestTipSet, time: int) -> None:
        self.arrivals.setdefault((ChannelId.BEST_TIP, action.state_hash), Arrival(None, time))


_HANDLERS: Final[dict[type[Any], Callable[[_Collector, Any, int], None]]] = {
    ChannelsMessageReceived: _Collector.message,
    ConnectionHelloReceived: _Collector.hello,
    ConnectionEffectfulHelloSend: _Collector.hello_sent,
    ChannelsEffectfulRequestSend: _Collector.request,
    ChannelsEffectfulRequestContinue: _Collector.request_continued,
    ChannelsEffectfulAnswerSend: _Collector.answer,
    PeerReady: _Collector.ready,
    DisconnectionFinish: _Collector.finished,
    Libp2pConnectionOpened: _Collector.opened,
    Libp2pConnectionClosed: _Collector.gone,
    Libp2pEffectfulDisconnect: _Collector.gone,
    Libp2pStreamOpened: _Collector.stream_opened,
    Libp2pEffectfulStreamOpen: _Collector.stream_wanted,
    Libp2pStreamMessageReceived: _Collector.data,
    Libp2pEffectfulSend: _Collector.data_sent,
    ItemReceived: _Collector.item,
    PoolInsert: _Collector.pooled,
    BestTipSet: _Collector.followed,
}


def protocol_name(protocol: str) -> str:
    """What a protocol of libp2p is called without its version: ``ipfs id`` for ``/ipfs/id/1.0.0``."""
    words = [word for word in protocol.split("/") if word]
    return " ".join(words[:-1] or words)


_Steps: TypeAlias = dict[str, tuple[tuple[int, int], ...]]


def _permissions(session: LogSession, start: int, end: int) -> tuple[_Steps, _Steps]:
    """Permissions in use by channel, granted by us and held by us, at even intervals."""
    granted: dict[str, list[tuple[int, int]]] = {channel.name: [] for channel in PROPAGATION}
    held: dict[str, list[tuple[int, int]]] = {channel.name: [] for channel in PROPAGATION}
    for sample in range(SAMPLES + 1):
        time = start + (end - start) * sample // SAMPLES
        try:
            state = session.state_at(session.position_at(time + 1) - 1)
        except LogError:
            continue
        for channel in PROPAGATION:
            ours, theirs = permissions_in_use(state, channel)
            granted[channel.name].append((time, ours))
            held[channel.name].append((time, theirs))
    return {name: tuple(points) for name, points in granted.items()}, {name: tuple(points) for name, points in held.items()}


def permissions_in_use(state: P2pState, channel: ChannelId) -> tuple[int, int]:
    """How many connections have a permission of ours that is open, and on how many we have one."""
    ours = theirs = 0
    for channels in state.channels.table.values():
        machine = channels.propagation(channel)
        if machine is not None:
            ours += isinstance(machine.local, Requested | Responding)
            theirs += isinstance(machine.remote, RemoteRequested)
    return ours, theirs


def most_spread(series: Iterable[LogSeries]) -> ItemKey | None:
    """The item that came to the most nodes; of several the first that was there."""
    nodes: dict[ItemKey, int] = defaultdict(int)
    first: dict[ItemKey, int] = {}
    for one in series:
        for key, arrival in one.arrivals.items():
            nodes[key] += 1
            first[key] = min(first.get(key, arrival.held), arrival.held)
    return min(nodes, key=lambda key: (-nodes[key], first[key], key), default=None)
