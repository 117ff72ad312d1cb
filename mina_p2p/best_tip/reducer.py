"""Best tips: reducer."""

from __future__ import annotations

from typing import assert_never

from mina_p2p.best_tip.actions import BestTipAction, BestTipSend, BestTipSet, PeerBestTipReceived
from mina_p2p.best_tip.state import BestTips, OwnTip, PeerTip
from mina_p2p.channels.propagation.actions import ChannelsPropagationResponseSend
from mina_p2p.channels.propagation.kinds import BEST_TIP
from mina_p2p.disconnection.actions import DisconnectionInit
from mina_p2p.disconnection.reasons import DETAIL_CHARS_MAX, Reason, ReasonCode
from mina_p2p.errors import CallerError, DecodeError
from mina_p2p.ids import ChannelId, Timestamp
from mina_p2p.mina.hashes import block_summary
from mina_p2p.notifications import BestTipReceived
from mina_p2p.peer.actions import PeerUseful
from mina_p2p.pool.actions import PoolSettle
from mina_p2p.state import P2pState
from mina_p2p.store import FollowUps, expect

TAG_BYTES = 1


def reduce(state: BestTips, action: BestTipAction, now: Timestamp, root: P2pState) -> tuple[BestTips, FollowUps]:
    """Reduce one action of this slice."""
    match action:
        case BestTipSet(block=block, state_hash=state_hash):
            if TAG_BYTES + len(block) > BEST_TIP.item_bytes_max:
                raise CallerError(f"a block of {len(block)} bytes can not be sent; {BEST_TIP.item_bytes_max - TAG_BYTES} are the most")
            send = tuple(BestTipSend(connection_id) for connection_id in root.channels.waiting_for(ChannelId.BEST_TIP))
            said_so = (cid for cid, tip in state.of_peers.items() if tip.state_hash == state_hash)
            useful = tuple(PeerUseful(root.connections.table[connection_id].peer_id) for connection_id in said_so)
            return state.replace(own=OwnTip(block, state_hash), version=state.version + 1), (*useful, PoolSettle(), *send)

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
            return state.replace(of_peers=state.of_peers.set(connection_id, tip)), (told,)

        case _:
            assert_never(action)
