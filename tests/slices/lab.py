"""One pure node whose peers are played by the test: forged frames in, effects and notifications out."""

from __future__ import annotations

from typing import Any, TypeVar

from mina_p2p.address import DialAddress, Ipv4, QuicAddress
from mina_p2p.channels.propagation.kinds import KINDS
from mina_p2p.channels.rpc.messages import RPC_MESSAGE, RpcRequest, RpcRequestMessage, RpcResponse, RpcResponseMessage
from mina_p2p.config import PROTOCOL_VERSION, P2pConfig
from mina_p2p.connection.hello import HELLO, Hello
from mina_p2p.connection.outgoing.actions import ConnectionOutgoingInit
from mina_p2p.disconnection.reasons import Reason, ReasonCode, StreamResetCode
from mina_p2p.identity import MAINNET_CHAIN_ID, PeerId
from mina_p2p.ids import SECOND, ChannelId, ConnectionId, RequestId, StreamId, Timestamp, stream_id
from mina_p2p.notifications import ConnectionFailed, PeerDisconnected
from mina_p2p.peer.state import Peer
from mina_p2p.reducer import p2p_machine
from mina_p2p.state import P2pState, initial_state
from mina_p2p.store import Machine, Steps
from mina_p2p.testing.invariants import check_invariants
from mina_p2p.timeouts import CheckTimeouts
from mina_p2p.transport import (
    ChannelsEffectfulAnswerSend,
    ChannelsEffectfulRequestSend,
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

T = TypeVar("T")

START = Timestamp(1_700_000_000 * SECOND)
ME = 100
"""Number of the node under test; peers have others, lesser and greater."""


def peer_id(n: int) -> PeerId:
    """The id of a peer; ids compare as the numbers do."""
    return PeerId(n.to_bytes(32, "big"))


def address(n: int, *, port: int = 8302) -> QuicAddress:
    """Where that peer listens."""
    return QuicAddress(peer_id(n), Ipv4.of(1, 0, n >> 8, n & 255), port)


def remote(n: int) -> SocketAddress:
    """Where its packets come from."""
    return SocketAddress(f"1.0.{n >> 8}.{n & 255}", 8302)


def hello(**changes: Any) -> bytes:
    """A peer's introduction, good where nothing is changed."""
    good = Hello(PROTOCOL_VERSION, PROTOCOL_VERSION, MAINNET_CHAIN_ID, (3, 4, 5, 6, 7), ("quic-address",), "lab")
    return HELLO.encode(good.replace(**changes))


def config(**settings: Any) -> P2pConfig:
    """The configuration of the node under test."""
    return P2pConfig(peer_id(ME), MAINNET_CHAIN_ID, **{"is_discovery_enabled": False, "seed": 7, **settings})


class Lab:
    """A node, its clock, and what came of the last input."""

    def __init__(self, machine: Machine[P2pState] | None = None, **settings: Any) -> None:
        self.machine = machine or p2p_machine()
        self.now = START
        self.state = initial_state(config(**settings), self.now)
        self.effects: list[Any] = []
        """Effects and notifications of the last input."""
        self.all: list[Any] = []
        """Those of all inputs."""
        self.steps: Steps = Steps(1, [], [])
        self._peer_streams: dict[ConnectionId, int] = {}
        self._handles = 0

    @classmethod
    def of_state(cls, other: Lab) -> Lab:
        """A second lab that goes on from where another is."""
        lab = cls(other.machine)
        lab.now, lab.state, lab.all = other.now, other.state, [*other.all]
        lab._peer_streams, lab._handles = {**other._peer_streams}, other._handles
        return lab

    # --- input ----------------------------------------------------------------------------

    def feed(self, action: Any) -> Lab:
        """Dispatch one input; the state must be good after it."""
        self.state, self.effects, self.steps = self.machine.dispatch(self.state, action, self.now)
        self.all += self.effects
        check_invariants(self.state)
        return self

    def wait(self, duration: int) -> Lab:
        """Let time pass, and let the node look at its deadlines; effects are those of that look."""
        self.now = Timestamp(self.now + duration)
        return self.feed(CheckTimeouts())

    # --- connections ----------------------------------------------------------------------

    def arrive(self, n: int) -> ConnectionId | None:
        """A peer dials us.

        :returns: the connection, if it was accepted.
        """
        self._handles += 1
        self.feed(ConnectionIncomingReceived(TransportKind.QUIC, self._handles, remote(n), peer_id(n)))
        return self.state.connections.last_id if not self.of(ConnectionEffectfulReject) else None

    def accept(self, n: int, **changes: Any) -> ConnectionId:
        """A peer dials us, and becomes ready."""
        connection_id = self.arrive(n)
        assert connection_id is not None
        self.feed(ConnectionHelloReceived(connection_id, hello(**changes)))
        return connection_id

    def dial(self, n: int, *, request_id: int = 1, to: DialAddress | None = None) -> ConnectionId:
        """We dial a peer, as the node software wishes."""
        self.feed(ConnectionOutgoingInit(to or address(n), RequestId(request_id)))
        return self.state.connections.last_id

    def establish(self, connection_id: ConnectionId, n: int) -> Lab:
        """Our dial has reached the peer."""
        return self.feed(ConnectionEstablished(connection_id, peer_id(n), remote(n)))

    def connect(self, n: int, **changes: Any) -> ConnectionId:
        """We dial a peer, and it becomes ready."""
        connection_id = self.dial(n)
        self.establish(connection_id, n)
        self.feed(ConnectionHelloReceived(connection_id, hello(**changes)))
        return connection_id

    def close(self, connection_id: ConnectionId, code: ReasonCode = ReasonCode.TRANSPORT_ERROR, *, by_peer: bool = False) -> Lab:
        """The transport reports an end."""
        return self.feed(ConnectionClosed(connection_id, Reason(code), by_peer))

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
        return self.feed(ChannelsMessageReceived(connection_id, channel, stream, frame))

    def get_next(self, connection_id: ConnectionId, channel: ChannelId, limit: int = 8, stream: StreamId | None = None) -> StreamId:
        """The peer gives a permission."""
        stream = self.peer_stream(connection_id) if stream is None else stream
        self.frame(connection_id, channel, stream, KINDS[channel].encode_get_next(limit))
        return stream

    def promise(self, connection_id: ConnectionId, channel: ChannelId, count: int, stream: StreamId | None = None) -> Lab:
        """The peer promises items for our permission."""
        make = KINDS[channel].will_send
        assert make is not None
        stream = self.stream(connection_id, channel) if stream is None else stream
        return self.frame(connection_id, channel, stream, KINDS[channel].codec.encode(make(count)))

    def item(self, connection_id: ConnectionId, channel: ChannelId, item: Any, stream: StreamId | None = None) -> Lab:
        """The peer sends an item."""
        stream = self.stream(connection_id, channel) if stream is None else stream
        return self.frame(connection_id, channel, stream, KINDS[channel].codec.encode(KINDS[channel].item(item)))

    def end(self, connection_id: ConnectionId, channel: ChannelId, stream: StreamId | None = None) -> Lab:
        """The peer ends its half of a stream."""
        return self.feed(ChannelsStreamEnded(connection_id, channel, self.stream(connection_id, channel) if stream is None else stream))

    def reset(
        self,
        connection_id: ConnectionId,
        channel: ChannelId,
        stream: StreamId | None = None,
        code: StreamResetCode = StreamResetCode.REFUSED,
    ) -> Lab:
        """The peer gives a stream up."""
        stream = self.stream(connection_id, channel) if stream is None else stream
        return self.feed(ChannelsStreamReset(connection_id, channel, stream, code))

    def announce(self, connection_id: ConnectionId, channel: ChannelId, *items: Any) -> list[Any]:
        """The peer uses our permission for items, properly.

        :returns: effects of all of it.
        """
        before, stream = len(self.all), self.stream(connection_id, channel)
        if channel != ChannelId.BEST_TIP:
            self.promise(connection_id, channel, len(items), stream)
        for item in items:
            self.item(connection_id, channel, item, stream)
        self.end(connection_id, channel, stream)
        return self.all[before:]

    def ask(self, connection_id: ConnectionId, number: int, request: RpcRequest, stream: StreamId | None = None) -> StreamId:
        """The peer asks a question."""
        stream = self.peer_stream(connection_id) if stream is None else stream
        self.frame(connection_id, ChannelId.RPC, stream, RPC_MESSAGE.encode(RpcRequestMessage(number, request)))
        return stream

    def answer(self, connection_id: ConnectionId, number: int, response: RpcResponse | None, stream: StreamId | None = None) -> Lab:
        """The peer answers a question of ours, the last one unless ``stream`` says another."""
        stream = self.stream(connection_id, ChannelId.RPC) if stream is None else stream
        return self.frame(connection_id, ChannelId.RPC, stream, RPC_MESSAGE.encode(RpcResponseMessage(number, response)))

    # --- what came of it ------------------------------------------------------------------

    def of(self, kind: type[T]) -> list[T]:
        """Effects and notifications of one class, of the last input."""
        return [effect for effect in self.effects if isinstance(effect, kind)]

    def goodbye(self, connection_id: ConnectionId) -> Reason | None:
        """What the last input made us say to a peer on leaving it."""
        said = [e.reason for e in self.of(DisconnectionEffectfulInit) if e.connection_id == connection_id]
        return said[0] if said else None

    def ended(self, connection_id: ConnectionId) -> Reason | None:
        """Why the node software was told that a connection or attempt is over, by the last input."""
        told = [e.reason for e in self.effects if isinstance(e, PeerDisconnected | ConnectionFailed) and e.connection_id == connection_id]
        return told[0] if told else None

    def answers(self) -> list[bytes]:
        """Frames of answers that the last input made us send."""
        return [frame for effect in self.of(ChannelsEffectfulAnswerSend) for frame in effect.frames]

    def peer(self, n: int) -> Peer:
        """The record of a peer."""
        found = self.state.peers.find(peer_id(n))
        assert found is not None
        return found[1]

    def names(self) -> list[str]:
        """The classes of the last input's steps, in order."""
        return [type(action).__name__ for action, _, _ in self.steps.raw]
