"""What happens to best tips."""

from __future__ import annotations

from typing import TypeAlias

from mina_p2p.best_tip.state import PeerTip
from mina_p2p.channels.propagation.state import RemoteRequested
from mina_p2p.ids import ChannelId, ConnectionId, Timestamp
from mina_p2p.mina.raw import RawBlock
from mina_p2p.record import Record, record
from mina_p2p.state import P2pState


@record
class BestTipSet(Record):
    """The node software has a new best tip.

    Raises `CallerError` for one that is too large for a frame (defect C9).
    """

    block: RawBlock
    state_hash: bytes
    is_produced: bool = False
    """Whether this node made it: by channel 10 all peers are sent its header at once, and not only those who chose us for that."""

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        own = state.best_tips.own
        return own is None or own.state_hash != self.state_hash


@record
class BestTipSend(Record):
    """Send our best tip to a peer that permits it and has not been sent it."""

    connection_id: ConnectionId

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        machine = state.channels.propagation(self.connection_id, ChannelId.BEST_TIP)
        if machine is None or not isinstance(machine.remote, RemoteRequested) or state.channels.is_send_blocked(self.connection_id):
            return False
        return state.best_tips.own is not None and machine.next_send_index <= state.best_tips.version


@record
class PeerBestTipReceived(Record):
    """A peer sent its best tip."""

    connection_id: ConnectionId
    block: RawBlock

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        return self.connection_id in state.channels.table


@record
class PeerBestTipKnown(Record):
    """A peer said by channel 10 what its best tip is."""

    connection_id: ConnectionId
    tip: PeerTip

    def is_enabled(self, state: P2pState, now: Timestamp) -> bool:
        return self.connection_id in state.channels.table


BestTipAction: TypeAlias = BestTipSet | BestTipSend | PeerBestTipReceived | PeerBestTipKnown
