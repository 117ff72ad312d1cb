"""The boundary between the libp2p slices and the transport that carries them, as data.

One connection, as a transport must drive it:

1. *Dialling*: `Libp2pEffectfulDial`, with a connection id below `FIRST_INCOMING`. The transport resolves,
   connects, authenticates the peer that the address names and sets the muxer up; then `Libp2pConnectionOpened`, or
   `Libp2pConnectionClosed` with a typed reason. *Listening*: an arrival is told once its peer has proved who it is, by
   `Libp2pConnectionOpened` with an id of the transport's, from `FIRST_INCOMING` on.
2. *Streams*: `Libp2pEffectfulStreamOpen` with a stream id below `FIRST_PEER_STREAM` that is new in its connection;
   `Libp2pStreamOpened` or `Libp2pStreamLost` follows. Of a single protocol what is sent meanwhile travels at once. A
   stream of the peer's is told with an id from `FIRST_PEER_STREAM` on, once its protocol is agreed.
3. *Messages*: one event is one whole message without what frames it (see `mina_p2p.libp2p.protocols`); of a raw
   protocol, bytes as they came. Decoding is the reducers'.
4. After `Libp2pStreamLost`, `Libp2pEffectfulStreamReset`, or both `Libp2pStreamEnded` and `Libp2pEffectfulStreamEnd`, no
   event names that stream; after `Libp2pConnectionClosed` none names the connection. `Libp2pEffectfulDisconnect` leads to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from mina_p2p.address import Libp2pAddress
from mina_p2p.disconnection.reasons import Reason
from mina_p2p.identity import PeerId
from mina_p2p.ids import ConnectionId, StreamId, Timestamp
from mina_p2p.record import Record, record
from mina_p2p.transport import SocketAddress

if TYPE_CHECKING:
    from mina_p2p.libp2p.state import NetworkState

FIRST_INCOMING: Final = 1 << 32
"""Connection ids below it are the reducer's to give."""
FIRST_PEER_STREAM: Final = 1 << 32
"""Stream ids below it are the reducer's to give."""


# --- events


class OfLink(Record):
    """An event of one connection. Where that is gone the event is stale, and refused."""

    __slots__ = ()
    if TYPE_CHECKING:
        connection_id: ConnectionId

    def is_enabled(self, state: NetworkState, now: Timestamp) -> bool:
        """Whether the connection, or the dial, still lives."""
        return self.connection_id in state.links.table

    def why_refused(self, state: NetworkState, now: Timestamp) -> str:
        """For counters."""
        return "stale"


class OfStream(Record):
    """An event of one stream. Where that is gone the event is stale, and refused."""

    __slots__ = ()
    if TYPE_CHECKING:
        connection_id: ConnectionId
        stream: StreamId

    def is_enabled(self, state: NetworkState, now: Timestamp) -> bool:
        """Whether the stream still lives."""
        return state.links.stream(self.connection_id, self.stream) is not None

    def why_refused(self, state: NetworkState, now: Timestamp) -> str:
        """For counters."""
        return "stale"


@record
class Libp2pListening(Record):
    """Where others can dial this node, as far as the transport knows; replaces what was told before."""

    addresses: tuple[Libp2pAddress, ...]


@record
class Libp2pConnectionOpened(Record):
    """A connection is authenticated and multiplexed."""

    connection_id: ConnectionId
    peer_id: PeerId
    is_dialer: bool
    """Whether we dialled."""
    remote: SocketAddress

    def is_enabled(self, state: NetworkState, now: Timestamp) -> bool:
        """Whether it is new, or the dial still under way."""
        if self.connection_id < FIRST_INCOMING:
            return state.links.is_dialling(self.connection_id)
        return self.connection_id not in state.links.table


@record
class Libp2pConnectionClosed(OfLink):
    """A connection or a dial is over."""

    connection_id: ConnectionId
    reason: Reason
    by_peer: bool


@record
class Libp2pWentAway(OfLink):
    """The peer takes no new streams on this connection."""

    connection_id: ConnectionId


@record
class Libp2pStreamOpened(Record):
    """Both sides agreed about the protocol of a stream."""

    connection_id: ConnectionId
    stream: StreamId
    protocol: str
    is_ours: bool

    def is_enabled(self, state: NetworkState, now: Timestamp) -> bool:
        """Whether it is one of ours that still lives, or a new one of the peer's."""
        link = state.links.linked(self.connection_id)
        return link is not None and (self.stream in link.streams) == self.is_ours


@record
class Libp2pStreamMessageReceived(OfStream):
    """One whole message."""

    connection_id: ConnectionId
    stream: StreamId
    data: bytes


@record
class Libp2pStreamEnded(OfStream):
    """The peer sends no more on a stream."""

    connection_id: ConnectionId
    stream: StreamId


@record
class Libp2pStreamLost(OfStream):
    """A stream is gone, by the peer's reset or because the peer broke its rules."""

    connection_id: ConnectionId
    stream: StreamId
    by_peer: bool
    """Whether the peer reset it."""
    detail: str = ""


Libp2pEvent: TypeAlias = (
    Libp2pListening
    | Libp2pConnectionOpened
    | Libp2pConnectionClosed
    | Libp2pWentAway
    | Libp2pStreamOpened
    | Libp2pStreamMessageReceived
    | Libp2pStreamEnded
    | Libp2pStreamLost
)


# --- effects


@record
class Libp2pEffectfulDial(Record):
    """Connect to an address and authenticate the peer that it names."""

    connection_id: ConnectionId
    address: Libp2pAddress


@record
class Libp2pEffectfulDisconnect(Record):
    """End a connection or a dial."""

    connection_id: ConnectionId
    reason: Reason


@record
class Libp2pEffectfulStreamOpen(Record):
    """Open a stream for the first of ``protocols`` that the peer speaks."""

    connection_id: ConnectionId
    stream: StreamId
    protocols: tuple[str, ...]


@record
class Libp2pEffectfulSend(Record):
    """Send one message on a stream; the transport frames it."""

    connection_id: ConnectionId
    stream: StreamId
    data: bytes


@record
class Libp2pEffectfulStreamEnd(Record):
    """Send no more on a stream than what was sent."""

    connection_id: ConnectionId
    stream: StreamId


@record
class Libp2pEffectfulStreamReset(Record):
    """Give up a stream."""

    connection_id: ConnectionId
    stream: StreamId


Libp2pEffect: TypeAlias = (
    Libp2pEffectfulDial
    | Libp2pEffectfulDisconnect
    | Libp2pEffectfulStreamOpen
    | Libp2pEffectfulSend
    | Libp2pEffectfulStreamEnd
    | Libp2pEffectfulStreamReset
)
