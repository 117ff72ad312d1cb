"""One pure node with all eight channels, whose peers are played by the test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from channels.people import crypto_answer, key
from mina_p2p.address import Ipv4, QuicAddress
from mina_p2p.channels.signaling_discovery.messages import DISCOVERY_MESSAGE, DiscoveryMessage
from mina_p2p.channels.signaling_exchange.messages import EXCHANGE_MESSAGE, ExchangeMessage
from mina_p2p.channels.streaming_rpc.messages import (
    STREAMING_RPC_MESSAGE,
    StagedLedgerPart,
    StagedLedgerPartBase,
    StagedLedgerPartPreviousIncompleteZkappUpdates,
    StagedLedgerPartScanStateBase,
    StagedLedgerPartScanStateTree,
    StagedLedgerPartsRequest,
    StagedLedgerPartsResponse,
    StreamingRpcMessage,
    StreamingRpcNext,
    StreamingRpcRequestMessage,
    StreamingRpcResponseMessage,
)
from mina_p2p.config import ALL_CHANNELS, PROTOCOL_VERSION, Limits, P2pConfig, Timeouts
from mina_p2p.connection.hello import HELLO, Hello
from mina_p2p.connection.outgoing.actions import ConnectionOutgoingInit
from mina_p2p.disconnection.reasons import Reason, ReasonCode, StreamResetCode
from mina_p2p.identity import MAINNET_CHAIN_ID, PeerId, is_curve_point
from mina_p2p.ids import SECOND, ChannelId, ConnectionId, RequestId, StreamId, Timestamp, stream_id
from mina_p2p.reducer import p2p_machine
from mina_p2p.state import P2pState, initial_state
from mina_p2p.store import Steps
from mina_p2p.testing.invariants import check_invariants
from mina_p2p.timeouts import CheckTimeouts, is_due
from mina_p2p.transport import (
    ChannelsEffectfulAnswerSend,
    ChannelsEffectfulRequestContinue,
    ChannelsEffectfulRequestSend,
    ChannelsEffectfulStreamReset,
    ChannelsMessageReceived,
    ChannelsStreamEnded,
    ChannelsStreamReset,
    ConnectionClosed,
    ConnectionEffectfulReject,
    ConnectionEstablished,
    ConnectionHelloReceived,
    ConnectionIncomingReceived,
    DisconnectionEffectfulInit,
    SocketAddress,
    TransportKind,
)
from mina_p2p.wire import Codec

T = TypeVar("T")

START = Timestamp(1_700_000_000 * SECOND)
ME = 50
"""Number of the node under test; peers have others, lesser and greater."""

EIGHT = ALL_CHANNELS
DISCOVERY, EXCHANGE, STREAMING = ChannelId.SIGNALING_DISCOVERY, ChannelId.SIGNALING_EXCHANGE, ChannelId.STREAMING_RPC
TIMEOUTS, LIMITS = Timeouts(), Limits()

NO_KEY = next(PeerId(n.to_bytes(32, "big")) for n in range(256, 10_000, 256) if not is_curve_point(n.to_bytes(32, "big")))
"""An id that nobody can have."""

_CODECS: dict[ChannelId, Codec[Any]] = {DISCOVERY: DISCOVERY_MESSAGE, EXCHANGE: EXCHANGE_MESSAGE, STREAMING: STREAMING_RPC_MESSAGE}

QUESTION = StagedLedgerPartsRequest(bytes(range(32)))


def ledger(trees: int = 2) -> tuple[StagedLedgerPart, ...]:
    """The parts of a small staged ledger; nothing here looks into them."""
    return (
        StagedLedgerPartBase(b"base"),
        StagedLedgerPartScanStateBase(trees, b"scan state"),
        StagedLedgerPartPreviousIncompleteZkappUpdates(b"updates"),
        *(StagedLedgerPartScanStateTree(b"tree %d" % n) for n in range(trees)),
    )


class Lab:
    """A node, its clock, and what came of the last input."""

    def __init__(self, **settings: Any) -> None:
        chosen: dict[str, Any] = {"is_discovery_enabled": False, "are_introductions_taken": True, "seed": 7, **settings}
        self.now = START
        self.state: P2pState = initial_state(P2pConfig(key(ME), MAINNET_CHAIN_ID, **chosen), START)
        self.effects: list[Any] = []
        """Effects and notifications of the last input."""
        self.all: list[Any] = []
        self.steps: Steps = Steps(1, [], [])
        self._peer_streams: dict[ConnectionId, int] = {}
        self._channel_of: dict[tuple[ConnectionId, StreamId], ChannelId] = {}
        self._handles = 0

    # --- input ----------------------------------------------------------------------------

    def feed(self, action: Any) -> Lab:
        """Dispatch one input; the state must be good after it."""
        self.state, self.effects, self.steps = p2p_machine().dispatch(self.state, action, self.now)
        self.all += self.effects
        for effect in self.of(ChannelsEffectfulRequestSend):
            self._channel_of[effect.connection_id, effect.stream] = effect.channel
        check_invariants(self.state)
        return self

    def wait(self, duration: int) -> Lab:
        """Let time pass at once, then let the node look at its deadlines; effects are those of all looks."""
        self.now = Timestamp(self.now + duration)
        before = len(self.all)
        self.feed(CheckTimeouts())
        while is_due(self.state, self.now):
            self.feed(CheckTimeouts())
        self.effects = self.all[before:]
        return self

    def crypto(self) -> Lab:
        """Answer the encryption that the last input asked for."""
        (reply,) = [answer for effect in self.effects if (answer := crypto_answer(key(ME), effect)) is not None]
        return self.feed(reply)

    def arrive(self, n: int, channels: tuple[ChannelId, ...] = EIGHT) -> ConnectionId | None:
        """A peer dials us; the connection, ready, if we take it."""
        self._handles += 1
        self.feed(ConnectionIncomingReceived(TransportKind.QUIC, self._handles, SocketAddress(f"1.0.0.{n}", 8302), key(n)))
        if self.of(ConnectionEffectfulReject):
            return None
        connection_id = self.state.connections.last_id
        self.feed(ConnectionHelloReceived(connection_id, _hello(channels)))
        return connection_id

    def accept(self, n: int, channels: tuple[ChannelId, ...] = EIGHT) -> ConnectionId:
        """A peer dials us, and becomes ready."""
        connection_id = self.arrive(n, channels)
        assert connection_id is not None
        return connection_id

    def connect(self, n: int, channels: tuple[ChannelId, ...] = EIGHT) -> ConnectionId:
        """We dial a peer, and it becomes ready."""
        self.feed(ConnectionOutgoingInit(QuicAddress(key(n), Ipv4.of(1, 0, 0, n), 8302), RequestId(1)))
        connection_id = self.state.connections.last_id
        self.feed(ConnectionEstablished(connection_id, key(n), SocketAddress(f"1.0.0.{n}", 8302)))
        self.feed(ConnectionHelloReceived(connection_id, _hello(channels)))
        return connection_id

    def close(self, connection_id: ConnectionId) -> Lab:
        """The transport reports an end."""
        return self.feed(ConnectionClosed(connection_id, Reason(ReasonCode.TRANSPORT_ERROR), False))

    # --- frames ---------------------------------------------------------------------------

    def peer_stream(self, connection_id: ConnectionId) -> StreamId:
        """A stream that the peer opens now."""
        connection = self.state.connections.table[connection_id]
        number = self._peer_streams.setdefault(connection_id, 1)
        self._peer_streams[connection_id] = number + 1
        return stream_id(number, by_dialer=connection.is_incoming)

    def stream(self, connection_id: ConnectionId, channel: ChannelId) -> StreamId:
        """The stream of the last request that we sent on a channel."""
        requests = (e for e in reversed(self.all) if isinstance(e, ChannelsEffectfulRequestSend))
        return next(e.stream for e in requests if (e.connection_id, e.channel) == (connection_id, channel))

    def frame(self, connection_id: ConnectionId, channel: ChannelId, stream: StreamId, frame: bytes) -> Lab:
        """A frame arrives."""
        self._channel_of[connection_id, stream] = channel
        return self.feed(ChannelsMessageReceived(connection_id, channel, stream, frame))

    def discovery(self, connection_id: ConnectionId, stream: StreamId, message: DiscoveryMessage) -> Lab:
        """A message arrives on channel 1."""
        return self.frame(connection_id, DISCOVERY, stream, DISCOVERY_MESSAGE.encode(message))

    def exchange(self, connection_id: ConnectionId, stream: StreamId, message: ExchangeMessage) -> Lab:
        """A message arrives on channel 2."""
        return self.frame(connection_id, EXCHANGE, stream, EXCHANGE_MESSAGE.encode(message))

    def streaming(self, connection_id: ConnectionId, stream: StreamId, message: StreamingRpcMessage) -> Lab:
        """A message arrives on channel 8."""
        return self.frame(connection_id, STREAMING, stream, STREAMING_RPC_MESSAGE.encode(message))

    def part(self, connection_id: ConnectionId, number: int, part: StagedLedgerPart | None, stream: StreamId | None = None) -> Lab:
        """A part of the answer to our question arrives."""
        stream = self.stream(connection_id, STREAMING) if stream is None else stream
        response = None if part is None else StagedLedgerPartsResponse(part)
        return self.streaming(connection_id, stream, StreamingRpcResponseMessage(number, response))

    def ask(self, connection_id: ConnectionId, number: int = 0) -> StreamId:
        """The peer asks for a staged ledger."""
        stream = self.peer_stream(connection_id)
        self.streaming(connection_id, stream, StreamingRpcRequestMessage(number, QUESTION))
        return stream

    def next(self, connection_id: ConnectionId, stream: StreamId, number: int = 0) -> Lab:
        """The peer asks for the next part."""
        return self.streaming(connection_id, stream, StreamingRpcNext(number))

    def end(self, connection_id: ConnectionId, channel: ChannelId, stream: StreamId) -> Lab:
        """The peer ends its half of a stream."""
        return self.feed(ChannelsStreamEnded(connection_id, channel, stream))

    def reset(self, connection_id: ConnectionId, channel: ChannelId, stream: StreamId) -> Lab:
        """The peer gives a stream up."""
        return self.feed(ChannelsStreamReset(connection_id, channel, stream, StreamResetCode.CANCELLED))

    # --- what came of it ------------------------------------------------------------------

    def of(self, kind: type[T]) -> list[T]:
        """Effects and notifications of one class, of the last input."""
        return [effect for effect in self.effects if isinstance(effect, kind)]

    def said(self) -> list[Any]:
        """What the last input made us say on conversation streams, decoded, with ``end`` and ``reset``; in order."""
        made: list[Any] = []
        for effect in self.effects:
            if isinstance(effect, ChannelsEffectfulStreamReset):
                made.append("reset")
            elif isinstance(effect, ChannelsEffectfulRequestSend | ChannelsEffectfulRequestContinue | ChannelsEffectfulAnswerSend):
                codec = _CODECS.get(self._channel_of[effect.connection_id, effect.stream])
                if codec is not None:
                    frames = effect.frames if isinstance(effect, ChannelsEffectfulAnswerSend) else (effect.frame,)
                    made += [codec.decode(frame) for frame in frames] + (["end"] if effect.ends else [])
        return made

    def goodbye(self, connection_id: ConnectionId) -> Reason | None:
        """What the last input made us say to a peer on leaving it."""
        reasons = [e.reason for e in self.of(DisconnectionEffectfulInit) if e.connection_id == connection_id]
        return reasons[0] if reasons else None

    def violates(self, connection_id: ConnectionId, code: ReasonCode, channel: ChannelId) -> None:
        """The last input ended that connection for that reason, and no other."""
        assert [(e.connection_id, e.reason.code, e.reason.channel) for e in self.of(DisconnectionEffectfulInit)] == [
            (connection_id, code, channel)
        ]
        assert connection_id not in self.state.connections.table


def _hello(channels: tuple[ChannelId, ...]) -> bytes:
    numbers = tuple(int(channel) for channel in channels)
    return HELLO.encode(Hello(PROTOCOL_VERSION, PROTOCOL_VERSION, MAINNET_CHAIN_ID, numbers, ("quic-address",), "lab"))


LEAVES: list[Callable[[Lab, ConnectionId, ChannelId, StreamId], Lab]] = [
    lambda lab, cid, channel, stream: lab.close(cid),
    lambda lab, cid, channel, stream: lab.reset(cid, channel, stream),
]
"""How a peer can go in the middle of something: altogether, or from one stream."""


def discovery(lab: Lab, cid: ConnectionId) -> Any:
    """Channel 1 of a connection."""
    found = lab.state.channels.discovery(cid)
    assert found is not None
    return found


def exchange(lab: Lab, cid: ConnectionId) -> Any:
    """Channel 2 of a connection."""
    found = lab.state.channels.exchange(cid)
    assert found is not None
    return found
