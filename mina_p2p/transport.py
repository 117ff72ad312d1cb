"""The boundary between reducer and transports, as data.

A transport (QUIC, in memory, later WebRTC and libp2p) performs the effects below
and feeds back the events below; it decides nothing. Reducers do not know which
transport carries a peer. One connection, as a transport must drive it:

1. *Dialling*: `ConnectionEffectfulDial`. The transport resolves the host, connects and
   authenticates; the certified peer id must equal the dialled one. Then
   `ConnectionEstablished`, or `ConnectionClosed` with a typed reason.
   *Listening*: after the whole handshake, with the peer authenticated,
   `ConnectionIncomingReceived` names the arrival by a ``handle`` of the transport's own.
   The answer is `ConnectionEffectfulAccept`, which gives it its `ConnectionId`, or
   `ConnectionEffectfulReject`, which says goodbye with a code.
2. The dialer opens the control stream (stream 0) with its hello
   (`ConnectionEffectfulHelloSend`); the listener answers with its own. Each hello that
   arrives is one `ConnectionHelloReceived`. No other stream is accepted from the peer
   before `ConnectionEffectfulOpen`, which follows the peer's hello.
3. *Requests*: whoever asks opens a stream: `ChannelsEffectfulRequestSend` with the id that the
   reducer chose. The answer's frames arrive as `ChannelsMessageReceived` on that id, its
   end as `ChannelsStreamEnded`, a reset as `ChannelsStreamReset`. The transport grants credit
   for ``answer_bytes_max`` and not one byte more, and refuses a frame
   longer than ``frame_bytes_max`` before buffering it.
   A stream the peer opened shows as `ChannelsMessageReceived` with the request's frame; the answer
   leaves by `ChannelsEffectfulAnswerSend`. It carries one request: a further frame on it is a
   `ConnectionClosed` with `STREAM_MISUSE`.
   *Conversations*: on `CONVERSATION_CHANNELS` whoever asked goes on speaking on the same stream,
   by `ChannelsEffectfulRequestContinue`, which also says how much may be answered from then on.
   There every further frame of the peer's half shows as `ChannelsMessageReceived` too, and the
   end of its half as `ChannelsStreamEnded`; its credit is one largest frame ahead of what was
   delivered. The end of the answer is the end of the stream: the asker's half ends with it where it
   had not yet, and what still comes on that half is dropped.
   After `ChannelsEffectfulStreamReset` no event names that stream, not even one that had come and
   was not delivered yet.
4. `DisconnectionEffectfulInit` says goodbye and forgets the connection. After it, or after
   `ConnectionClosed`, no further event names this connection.

A frame in an event or effect is the payload without its length header.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final, TypeAlias

from mina_p2p.address import DialAddress
from mina_p2p.disconnection.reasons import Reason, StreamResetCode
from mina_p2p.identity import PeerId
from mina_p2p.ids import ChannelId, ConnectionId, StreamId, Timestamp
from mina_p2p.record import Record, record

if TYPE_CHECKING:
    from mina_p2p.state import P2pState


CONVERSATION_CHANNELS: Final = frozenset({ChannelId.SIGNALING_DISCOVERY, ChannelId.SIGNALING_EXCHANGE, ChannelId.STREAMING_RPC})
"""Channels on whose streams both sides speak in turns, where others carry one request and its answer."""


class TransportKind(enum.IntEnum):
    """Which transport carries a connection."""

    MEMORY = 0
    QUIC = 1
    LIBP2P = 2
    """TCP as OCaml nodes speak it; its connections have events and effects of their own (`mina_p2p.libp2p.transport`)."""


@record
class SocketAddress(Record):
    """Where a datagram or connection came from, as the operating system shows it."""

    host: str
    """Numeric IPv4 or IPv6 address."""
    port: int


# --- events: what happened, fed by a transport -------------------------------------------------


class OfConnection(Record):
    """An event of one connection. Where that is gone the event is stale, and refused (defect N1)."""

    __slots__ = ()
    if TYPE_CHECKING:
        connection_id: ConnectionId

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        """Whether the connection still lives."""
        return self.connection_id in state.connections.table

    def why_refused(self, state: P2pState, now: Timestamp) -> str:
        """For counters."""
        return "stale"


@record
class TransportListening(Record):
    """A transport accepts connections at ``address``."""

    transport: TransportKind
    address: SocketAddress


@record
class TransportListenError(Record):
    """A transport can not listen; ``detail`` says why and is for people."""

    transport: TransportKind
    detail: str


@record
class ConnectionIncomingReceived(Record):
    """An authenticated peer connected to us and waits for accept or reject."""

    transport: TransportKind
    handle: int
    """The transport's own name of the arrival; unique in its life."""
    remote: SocketAddress
    peer_id: PeerId


@record
class ConnectionEstablished(Record):
    """A dial succeeded: the handshake is complete and ``peer_id`` is authenticated."""

    connection_id: ConnectionId
    peer_id: PeerId
    remote: SocketAddress

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        """Whether that dial is still under way."""
        return state.connections.is_dialling(self.connection_id)


@record
class ConnectionHelloReceived(OfConnection):
    """The peer's hello arrived on the control stream."""

    connection_id: ConnectionId
    frame: bytes


@record
class ConnectionClosed(OfConnection):
    """The connection or the attempt is over, by the peer or by the transport."""

    connection_id: ConnectionId
    reason: Reason
    by_peer: bool
    """Whether the peer said goodbye with this reason; else the transport found it."""


@record
class ChannelsMessageReceived(OfConnection):
    """One whole frame arrived; decoding it is the reducer's."""

    connection_id: ConnectionId
    channel: ChannelId
    stream: StreamId
    frame: bytes


@record
class ChannelsStreamEnded(OfConnection):
    """The peer's half of a stream ended: of ours, that is the end of the answer; of its own, it has asked all it will."""

    connection_id: ConnectionId
    channel: ChannelId
    stream: StreamId


@record
class ChannelsStreamReset(OfConnection):
    """The peer reset its half of a stream, or asked us to stop sending on ours."""

    connection_id: ConnectionId
    channel: ChannelId
    stream: StreamId
    code: StreamResetCode


@record
class ChannelsSendBlocked(OfConnection):
    """More than the high watermark of answer bytes waits to be sent to this peer."""

    connection_id: ConnectionId


@record
class ChannelsSendUnblocked(OfConnection):
    """The bytes that wait have fallen below the low watermark."""

    connection_id: ConnectionId


TransportEvent: TypeAlias = (
    TransportListening
    | TransportListenError
    | ConnectionIncomingReceived
    | ConnectionEstablished
    | ConnectionHelloReceived
    | ConnectionClosed
    | ChannelsMessageReceived
    | ChannelsStreamEnded
    | ChannelsStreamReset
    | ChannelsSendBlocked
    | ChannelsSendUnblocked
)


# --- effects: what a transport shall do --------------------------------------------------------


@record
class ConnectionEffectfulDial(Record):
    """Connect to ``address`` and authenticate the peer it names."""

    connection_id: ConnectionId
    address: DialAddress


@record
class ConnectionEffectfulAccept(Record):
    """Take the arrival ``handle`` as ``connection_id``."""

    transport: TransportKind
    handle: int
    connection_id: ConnectionId


@record
class ConnectionEffectfulReject(Record):
    """Refuse the arrival ``handle`` and tell it why."""

    transport: TransportKind
    handle: int
    reason: Reason


@record
class ConnectionEffectfulHelloSend(Record):
    """Send our hello on the control stream, which the dialer opens."""

    connection_id: ConnectionId
    frame: bytes


@record
class ConnectionEffectfulOpen(Record):
    """Both hellos are good: from now on the peer may open ``peer_streams_max`` streams at a time."""

    connection_id: ConnectionId
    peer_streams_max: int


@record
class ChannelsEffectfulRequestSend(Record):
    """Open ``stream`` on ``channel``, send the request, and grant credit for the answer."""

    connection_id: ConnectionId
    channel: ChannelId
    stream: StreamId
    frame: bytes
    answer_bytes_max: int
    """Bytes of answer permitted in all, length headers included."""
    frame_bytes_max: int
    """Longest payload of one frame of the answer."""
    ends: bool = True
    """Whether our half ends with the request; else `ChannelsEffectfulRequestContinue` goes on with it."""


@record
class ChannelsEffectfulRequestContinue(Record):
    """Send a further frame on our half of a stream that we opened, and grant credit for what may be answered to it."""

    connection_id: ConnectionId
    stream: StreamId
    frame: bytes
    answer_bytes_max: int
    """Bytes of answer permitted from now on, length headers included; what was left of an earlier permission lapses."""
    frame_bytes_max: int
    """Longest payload of one frame of the answer from now on."""
    ends: bool
    """Whether our half ends with this frame."""


@record
class ChannelsEffectfulAnswerSend(Record):
    """Send frames, or none, on our half of a stream that the peer opened."""

    connection_id: ConnectionId
    stream: StreamId
    frames: tuple[bytes, ...]
    ends: bool
    """Whether the answer is complete and our half ends."""


@record
class ChannelsEffectfulStreamReset(Record):
    """Give up a stream: cancel a request of ours, or refuse the peer's."""

    connection_id: ConnectionId
    stream: StreamId
    code: StreamResetCode


@record
class DisconnectionEffectfulInit(Record):
    """Say goodbye with ``reason`` and drop the connection."""

    connection_id: ConnectionId
    reason: Reason


TransportEffect: TypeAlias = (
    ConnectionEffectfulDial
    | ConnectionEffectfulAccept
    | ConnectionEffectfulReject
    | ConnectionEffectfulHelloSend
    | ConnectionEffectfulOpen
    | ChannelsEffectfulRequestSend
    | ChannelsEffectfulRequestContinue
    | ChannelsEffectfulAnswerSend
    | ChannelsEffectfulStreamReset
    | DisconnectionEffectfulInit
)
