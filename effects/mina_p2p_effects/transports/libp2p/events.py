"""What one upgraded connection tells whoever drives it.

Streams are named by a handle: for those that we opened the number that came with the order, for the
peer's a number from `FIRST_PEER_HANDLE` on. A handle is used once in the life of its
connection, unlike Yamux's ids.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from mina_p2p.disconnection.reasons import Reason
from mina_p2p.identity import PeerId
from mina_p2p.record import Record, record
from mina_p2p.transport import SocketAddress
from mina_p2p_effects.transports.libp2p.faults import Fault

FIRST_PEER_HANDLE: Final = 1 << 32
"""Handles below it are the owner's to give."""


@record
class Upgraded(Record):
    """The peer has proved who it is, and streams can be opened."""

    peer_id: PeerId
    is_dialer: bool
    """Whether we dialled."""
    remote: SocketAddress


@record
class StreamOpened(Record):
    """Both sides agreed about a stream's protocol. ``is_ours`` where we opened it."""

    handle: int
    protocol: str
    is_ours: bool


@record
class StreamMessage(Record):
    """One whole message, without what frames it; on a raw protocol, bytes as they came."""

    handle: int
    data: bytes


@record
class StreamEnded(Record):
    """The peer sends no more on the stream; all messages were whole."""

    handle: int


@record
class StreamLost(Record):
    """The stream is gone: reset by the peer (``fault`` is ``None``), or by us because of ``fault``."""

    handle: int
    fault: Fault | None
    detail: str = ""


@record
class WentAway(Record):
    """The peer takes no new streams; those that are open go on."""


@record
class Closed(Record):
    """The connection is over. Nothing follows."""

    fault: Fault
    reason: Reason
    by_peer: bool


Event: TypeAlias = Upgraded | StreamOpened | StreamMessage | StreamEnded | StreamLost | WentAway | Closed
