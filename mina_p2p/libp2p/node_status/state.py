"""Our own status, and those of others that are being read."""

from __future__ import annotations

from typing import Final

from mina_p2p.identity import PeerId
from mina_p2p.ids import SECOND, RequestId, Timestamp
from mina_p2p.record import Record, record
from mina_p2p.table import Table, empty_table

STATUS_BYTES_MAX: Final = 1 << 20
"""Longest status, ours and others'."""
WAIT: Final = 10 * SECOND
"""A peer's status has to be complete by then."""
ASKS_MAX: Final = 64
"""Statuses that are being read."""
NO_PARTS: Final[Table[int, bytes]] = empty_table()


@record
class Ask(Record):
    """A status that is being read."""

    peer_id: PeerId
    deadline: Timestamp
    parts: Table[int, bytes] = NO_PARTS
    """By their number, as they came."""
    size: int = 0


@record
class NodeStatus(Record):
    """The slice."""

    own: bytes = b""
    asks: Table[RequestId, Ask] = empty_table()
