"""Best tips: state."""

from __future__ import annotations

from mina_p2p.ids import ConnectionId
from mina_p2p.mina.raw import RawBlock
from mina_p2p.record import Record, record
from mina_p2p.table import Table, empty_table


@record
class PeerTip(Record):
    """What a peer last said its best tip is."""

    state_hash: bytes
    previous_state_hash: bytes
    height: int


@record
class OwnTip(Record):
    """The best tip the node software gave us."""

    block: RawBlock
    state_hash: bytes
    height: int | None
    """``None`` where the block can not be read."""


@record
class BestTips(Record):
    """The slice's state."""

    own: OwnTip | None = None
    version: int = 0
    """Counts the changes of ``own``; a channel's ``next_send_index`` says which of them a peer was sent."""
    of_peers: Table[ConnectionId, PeerTip] = empty_table()
