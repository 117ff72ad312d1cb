"""Best tips: reducer."""

from __future__ import annotations

from typing import assert_never

from mina_p2p.best_tip.actions import BestTipAction, BestTipSend, BestTipSet, PeerBestTipKnown, PeerBestTipReceived
from mina_p2p.best_tip.state import BestTips, OwnTip, PeerTip
from mina_p2p.blocks.actions import BlocksTipSet
from mina_p2p.blocks.split import split_block
from mina_p2p.channels.propagation.actions import ChannelsPropagationResponseSend
from mina_p2p.channels.propagation.kinds import BEST_TIP
from mina_p2p.disconnection.actions import DisconnectionInit
from mina_p2p.disconnection.reasons import DETAIL_CHARS_MAX, Reason, ReasonCode
from mina_p2p.errors import CallerError, DecodeError
from mina_p2p.ids import ChannelId, ConnectionId, Timestamp
from mina_p2p.mina.hashes import block_summary
from mina_p2p.mina.raw import RawBlock
from mina_p2p.notifications import BestTipReceived
from mina_p2p.peer.actions import PeerUseful
from mina_p2p.pool.actions import PoolSend, PoolSettle
from mina_p2p.pool.state import POOL_CHANNELS
from mina_p2p.relay.actions import RelayTipOffer
from mina_p2p.relay.state import item_digest
from mina_p2p.state import P2pState
from mina_p2p.store import FollowUps, expect

TAG_BYTES = 1


def reduce(state: BestTips, action: BestTipAction, now: Timestamp, root: P2pState) -> tuple[BestTips, FollowUps]:
    """Reduce one action of this slice."""
    match action:
        case BestTipSet(block=block, state_hash=state_hash, is_produced=is_produced):
            if TAG_BYTES + len(block) > BEST_TIP.item_bytes_max:
                raise CallerError(f"a block of {len(block)} bytes can not be sent; {BEST_TIP.item_bytes_max - TAG_BYTES} are the most")
            send = tuple(BestTipSend(connection_id) for connection_id in root.channels.waiting_for(ChannelId.BEST_TIP))
            said_so = (cid for cid, tip in state.of_peers.items() if tip.state_hash == state_hash)
            useful = tuple(PeerUseful(root.connections.table[connection_id].peer_id) for connection_id in said_so)
            behind = (cid for cid in state.of_peers if not root.is_in_step(cid))
            freed = tuple(action for connection_id in behind for action in _announce(connection_id, root))
            own_tip = OwnTip(block, state_hash, _height(block))
            return state.replace(own=own_tip, version=state.version + 1), (
                *useful,
                *((RelayTipOffer(block),) if root.network is not None else ()),
                *_header_first(block, state_hash, is_produced, root),
                PoolSettle(),
                *send,
                *freed,
            )

        case BestTipSend(connection_id=connection_id):
            own = expect(state.own, OwnTip, action)
            version = state.version
            return state, (ChannelsPropagationResponseSend(connection_id, ChannelId.BEST_TIP, (own.block,), version, version),)

        case PeerBestTipReceived(connection_id=connection_id, block=block):
            try:
                summary = block_summary(block)
            except DecodeError as error:
                reason = Reason(ReasonCode.CHANNEL_MSG_UNDECODABLE, ChannelId.BEST_TIP, str(error)[:DETAIL_CHARS_MAX])
                return state, (DisconnectionInit(connection_id, reason),)
            tip = PeerTip(summary.state_hash, summary.previous_state_hash, summary.height)
            peer_id = root.connections.table[connection_id].peer_id
            told = BestTipReceived(connection_id, peer_id, block, summary.state_hash)
            known, freed = _known(state, connection_id, tip, root)
            # Where the same block was gossiped, the node software is thinking about it already.
            is_told = len(root.relay.messages) > 0 and root.relay.waits_for_block(item_digest(block))
            return known, freed if is_told else (told, *freed)

        case PeerBestTipKnown(connection_id=connection_id, tip=tip):
            return _known(state, connection_id, tip, root)

        case _:
            assert_never(action)


def _known(state: BestTips, connection_id: ConnectionId, tip: PeerTip, root: P2pState) -> tuple[BestTips, tuple[PoolSend, ...]]:
    """With a peer's tip; what it permits is used if it had been too far behind for that."""
    freed = () if root.is_in_step(connection_id) else _announce(connection_id, root)
    return state.replace(of_peers=state.of_peers.set(connection_id, tip)), freed


def _header_first(block: RawBlock, state_hash: bytes, is_produced: bool, root: P2pState) -> tuple[BlocksTipSet, ...]:
    """Offer the tip by channel 10 too, where this node speaks it and has not heard of it by that channel already."""
    tip = root.blocks.tip
    if ChannelId.BLOCK not in root.config.channels or (tip is not None and tip.state_hash == state_hash):
        return ()
    if (held := root.blocks.holding(state_hash)) is not None:
        return (BlocksTipSet(held.header, held.body),)
    try:
        return (BlocksTipSet(*split_block(block), is_produced),)
    except DecodeError:
        return ()


def _height(block: RawBlock) -> int | None:
    try:
        return block_summary(block).height
    except DecodeError:
        return None


def _announce(connection_id: ConnectionId, root: P2pState) -> tuple[PoolSend, ...]:
    """Use what a peer permits, now that it may have caught up."""
    return tuple(PoolSend(connection_id, channel) for channel in POOL_CHANNELS if connection_id in root.channels.waiting_for(channel))
