"""Best tips, and what pools do with announcements."""

from __future__ import annotations

from typing import Any

from mina_p2p import transport
from mina_p2p.best_tip.actions import BestTipSend, BestTipSet, PeerBestTipKnown, PeerBestTipReceived
from mina_p2p.best_tip.state import PeerTip
from mina_p2p.channels.rpc.messages import (
    TransactionResponse,
)
from mina_p2p.config import Limits
from mina_p2p.ids import ChannelId, ConnectionId, RequestId
from mina_p2p.mina.hashes import state_hash_of_block
from mina_p2p.mina.raw import RawBlock
from mina_p2p.pool import actions as pool
from mina_p2p.pool.kinds import identity
from mina_p2p.state import P2pState
from slices.items import block, chain, commitment, insert_payment, payment, payment_info, state_hash
from slices.lab import Lab
from slices.transitions import CID, LATE, Case, Table

TX = ChannelId.TRANSACTION
TIP = ChannelId.BEST_TIP


def _best_tip_states() -> dict[str, P2pState]:
    lab = Lab()
    states = {"no channel": lab.state}
    lab.accept(1)
    states["no tip"] = lab.state
    lab.get_next(CID, TIP)
    states["no tip, permitted"] = lab.state
    lab.feed(BestTipSet(block(1), state_hash(1)))
    states["tip sent"] = lab.state
    lab.get_next(CID, TIP)
    states["tip sent, permitted again"] = lab.state
    lab = Lab()
    lab.accept(1)
    lab.feed(BestTipSet(block(1), state_hash(1)))
    states["tip"] = lab.state
    lab.feed(transport.ChannelsSendBlocked(CID))
    lab.get_next(CID, TIP)
    states["tip, permitted, blocked"] = lab.state
    states["tip, permitted"] = lab.state.replace(
        channels=lab.state.channels.replace(
            table=lab.state.channels.table.set(CID, lab.state.channels.table[CID].replace(is_send_blocked=False))
        )
    )
    return states


BEST_TIPS = Table(
    _best_tip_states(),
    {
        "BestTipSet": Case(BestTipSet(block(2), state_hash(2))),
        "BestTipSet, the same": Case(BestTipSet(block(1), state_hash(1))),
        "BestTipSend": Case(BestTipSend(CID)),
        "PeerBestTipReceived": Case(PeerBestTipReceived(CID, block(2))),
        "PeerBestTipReceived, garbage": Case(PeerBestTipReceived(CID, RawBlock(b"?"))),
        "PeerBestTipKnown": Case(PeerBestTipKnown(CID, PeerTip(state_hash(2), state_hash(1), 2))),
    },
    lambda state: state.best_tips.own,
    {
        "BestTipSet": {
            "no channel": "OwnTip: PoolSettle",
            "no tip": "OwnTip: PoolSettle",
            "no tip, permitted": "OwnTip: PoolSettle, BestTipSend",
            "tip sent": "OwnTip: PoolSettle",
            "tip sent, permitted again": "OwnTip: PoolSettle, BestTipSend",
            "tip": "OwnTip: PoolSettle",
            "tip, permitted, blocked": "OwnTip: PoolSettle, BestTipSend",
            "tip, permitted": "OwnTip: PoolSettle, BestTipSend",
        },
        "BestTipSet, the same": {
            "no channel": "OwnTip: PoolSettle",
            "no tip": "OwnTip: PoolSettle",
            "no tip, permitted": "OwnTip: PoolSettle, BestTipSend",
        },
        "BestTipSend": {
            "tip, permitted": "OwnTip: ChannelsPropagationResponseSend",
        },
        "PeerBestTipReceived": {
            "no tip": "nothing: BestTipReceived",
            "no tip, permitted": "nothing: BestTipReceived",
            "tip sent": "OwnTip: BestTipReceived",
            "tip sent, permitted again": "OwnTip: BestTipReceived",
            "tip": "OwnTip: BestTipReceived",
            "tip, permitted, blocked": "OwnTip: BestTipReceived",
            "tip, permitted": "OwnTip: BestTipReceived",
        },
        "PeerBestTipReceived, garbage": {
            "no tip": "nothing: DisconnectionInit",
            "no tip, permitted": "nothing: DisconnectionInit",
            "tip sent": "OwnTip: DisconnectionInit",
            "tip sent, permitted again": "OwnTip: DisconnectionInit",
            "tip": "OwnTip: DisconnectionInit",
            "tip, permitted, blocked": "OwnTip: DisconnectionInit",
            "tip, permitted": "OwnTip: DisconnectionInit",
        },
        "PeerBestTipKnown": {
            "no tip": "nothing",
            "no tip, permitted": "nothing",
            "tip sent": "OwnTip",
            "tip sent, permitted again": "OwnTip",
            "tip": "OwnTip",
            "tip, permitted, blocked": "OwnTip",
            "tip, permitted": "OwnTip",
        },
    },
)


def _pool_states() -> dict[str, P2pState]:
    lab = Lab(limits=Limits(rpc_requests_max=1, pool_items_max=1))
    states = {"no channel": lab.state}
    lab.accept(1)
    lab.accept(2)
    states["none"] = lab.state
    full = Lab.of_state(lab).feed(insert_payment(9))
    states["none, pool full"] = full.state
    full.get_next(CID, TX)
    states["in the pool, offered"] = full.state
    full.feed(transport.ChannelsSendBlocked(CID))
    full.feed(pool.PoolRemove(TX, payment_info(9).hash)).feed(insert_payment(1))
    full.get_next(CID, TX)
    states["in the pool, permitted, blocked"] = full.state
    lab.announce(CID, TX, payment_info(2), payment_info(1))
    states["Announced"] = lab.state
    free = lab.state.config.replace(limits=lab.state.config.limits.replace(rpc_requests_max=2))
    states["Announced, a question free"] = lab.state.replace(config=free)
    lab.answer(CID, 0, None).end(CID, ChannelId.RPC)
    states["Fetching"] = lab.state
    states["Fetching, two sources"] = Lab.of_state(lab).feed(pool.PoolCandidateReceived(ConnectionId(2), TX, payment_info(1))).state
    lab.answer(CID, 1, TransactionResponse(payment(1)))
    states["VerifyPending"] = lab.state
    states["VerifyPending, a tip"] = Lab.of_state(lab).feed(BestTipSet(block(1), state_hash(1))).state
    behind = Lab(limits=Limits(tip_lag_max=1))
    behind.accept(1)
    behind.announce(CID, TIP, chain(4)[0])
    behind.get_next(CID, TX)
    behind.feed(BestTipSet(chain(4)[3], state_hash_of_block(chain(4)[3]))).feed(insert_payment(1))
    states["in the pool, permitted, the peer is behind"] = behind.state
    states["a tip, and settling is not ours"] = Lab(are_settled_items_dropped=False).feed(BestTipSet(block(1), state_hash(1))).state
    lab = Lab(limits=Limits(answer_bytes_granted_max=3 << 20))
    lab.accept(1)
    lab.accept(2)
    lab.announce(ConnectionId(2), TX, payment_info(2))
    lab.announce(CID, TX, payment_info(1), payment_info(3))
    states["Announced, held back"] = lab.state
    return states


def _candidate(state: P2pState) -> Any:
    found = state.pools.transaction.find(identity(TX, payment_info(1)))
    return None if found is None else found[1].status


POOLS = Table(
    _pool_states(),
    {
        "CandidateReceived": Case(pool.PoolCandidateReceived(CID, TX, payment_info(1))),
        "CandidateReceived, of another peer": Case(pool.PoolCandidateReceived(ConnectionId(2), TX, payment_info(1))),
        "CandidateReceived, a commitment": Case(pool.PoolCandidateReceived(CID, ChannelId.SNARK_JOB_COMMITMENT, commitment(1))),
        "FetchNext": Case(pool.PoolFetchNext(CID)),
        "Fetched": Case(pool.PoolFetched(CID, TX, 2, TransactionResponse(payment(1)))),
        "Fetched, None": Case(pool.PoolFetched(CID, TX, 2, None)),
        "Fetched, a lie": Case(pool.PoolFetched(CID, TX, 2, TransactionResponse(payment(3)))),
        "Fetched, from another": Case(pool.PoolFetched(ConnectionId(2), TX, 2, TransactionResponse(payment(1)))),
        "Verdict, valid": Case(pool.PoolVerdict(RequestId(1), True)),
        "Verdict, invalid": Case(pool.PoolVerdict(RequestId(1), False)),
        "VerdictTimeout, early": Case(pool.PoolVerdictTimeout(TX, 2)),
        "VerdictTimeout, late": Case(pool.PoolVerdictTimeout(TX, 2), LATE),
        "CandidateTimeout, early": Case(pool.PoolCandidateTimeout(TX, 2)),
        "CandidateTimeout, late": Case(pool.PoolCandidateTimeout(TX, 2), LATE),
        "FetchHeldBack": Case(pool.PoolFetchHeldBack()),
        "Settle": Case(pool.PoolSettle()),
        "Expire, early": Case(pool.PoolExpire(TX)),
        "Expire, late": Case(pool.PoolExpire(TX), 10 * LATE),
        "Insert": Case(insert_payment(1)),
        "Remove": Case(pool.PoolRemove(TX, payment_info(1).hash)),
        "Send": Case(pool.PoolSend(CID, TX)),
        "Forget": Case(pool.PoolForget(CID)),
    },
    _candidate,
    {
        "CandidateReceived": {
            "none": "Announced: PoolFetchNext",
            "none, pool full": "nothing",
            "in the pool, offered": "nothing",
            "in the pool, permitted, blocked": "nothing",
            "Announced": "Announced",
            "Announced, a question free": "Announced",
            "Fetching": "Fetching",
            "Fetching, two sources": "Fetching",
            "VerifyPending": "VerifyPending",
            "VerifyPending, a tip": "VerifyPending",
            "in the pool, permitted, the peer is behind": "nothing",
            "Announced, held back": "Announced",
        },
        "CandidateReceived, of another peer": {
            "none": "Announced: PoolFetchNext",
            "none, pool full": "nothing",
            "in the pool, offered": "nothing",
            "in the pool, permitted, blocked": "nothing",
            "Announced": "Announced: PoolFetchNext",
            "Announced, a question free": "Announced: PoolFetchNext",
            "Fetching": "Fetching: PoolFetchNext",
            "Fetching, two sources": "Fetching",
            "VerifyPending": "VerifyPending: PoolFetchNext",
            "VerifyPending, a tip": "VerifyPending: PoolFetchNext",
            "Announced, held back": "Announced: PoolFetchNext",
        },
        "CandidateReceived, a commitment": {
            "none": "nothing: ItemReceived",
            "none, pool full": "nothing: ItemReceived",
            "in the pool, offered": "nothing: ItemReceived",
            "in the pool, permitted, blocked": "nothing: ItemReceived",
            "Announced": "Announced: ItemReceived",
            "Announced, a question free": "Announced: ItemReceived",
            "Fetching": "Fetching: ItemReceived",
            "Fetching, two sources": "Fetching: ItemReceived",
            "VerifyPending": "VerifyPending: ItemReceived",
            "VerifyPending, a tip": "VerifyPending: ItemReceived",
            "in the pool, permitted, the peer is behind": "nothing: ItemReceived",
            "Announced, held back": "Announced: ItemReceived",
        },
        "FetchNext": {
            "none": "nothing",
            "none, pool full": "nothing",
            "in the pool, offered": "nothing",
            "in the pool, permitted, blocked": "nothing",
            "Announced, a question free": "Fetching: ChannelsRpcRequestSend, PoolFetchNext",
            "in the pool, permitted, the peer is behind": "nothing",
            "Announced, held back": "Announced",
        },
        "Fetched": {
            "Fetching": "VerifyPending: ItemReceived",
            "Fetching, two sources": "VerifyPending: ItemReceived",
        },
        "Fetched, None": {
            "Fetching": "nothing: ChannelsPropagationRequestSend",
            "Fetching, two sources": "Announced: PoolFetchNext, ChannelsPropagationRequestSend",
        },
        "Fetched, a lie": {
            "Fetching": "Fetching: DisconnectionInit",
            "Fetching, two sources": "Fetching: DisconnectionInit",
        },
        "Verdict, valid": {
            "VerifyPending": "nothing: PoolInsert, PeerUseful, ChannelsPropagationRequestSend",
            "VerifyPending, a tip": "nothing: PoolInsert, PeerUseful, ChannelsPropagationRequestSend",
        },
        "Verdict, invalid": {
            "VerifyPending": "nothing: DisconnectionInit | PeerBan, ChannelsPropagationRequestSend",
            "VerifyPending, a tip": "nothing: DisconnectionInit | PeerBan, ChannelsPropagationRequestSend",
        },
        "VerdictTimeout, late": {
            "VerifyPending": "nothing: ChannelsPropagationRequestSend",
            "VerifyPending, a tip": "nothing: ChannelsPropagationRequestSend",
        },
        "CandidateTimeout, late": {
            "Announced": "nothing: ChannelsPropagationRequestSend",
            "Announced, a question free": "nothing: ChannelsPropagationRequestSend",
            "Announced, held back": "nothing: ChannelsPropagationRequestSend",
        },
        "FetchHeldBack": {
            "Announced, held back": "Announced: PoolFetchNext",
        },
        "Settle": {
            "VerifyPending, a tip": "VerifyPending",
            "in the pool, permitted, the peer is behind": "nothing",
        },
        "Expire, late": {
            "none, pool full": "nothing: PoolItemsDropped",
            "in the pool, offered": "nothing: PoolItemsDropped",
            "in the pool, permitted, blocked": "nothing: PoolItemsDropped",
            "in the pool, permitted, the peer is behind": "nothing: PoolItemsDropped",
        },
        "Insert": {
            "no channel": "nothing",
            "none": "nothing",
            "Announced": "Announced",
            "Announced, a question free": "Announced",
            "Fetching": "Fetching",
            "Fetching, two sources": "Fetching",
            "VerifyPending": "VerifyPending",
            "VerifyPending, a tip": "VerifyPending",
            "a tip, and settling is not ours": "nothing",
            "Announced, held back": "Announced",
        },
        "Remove": {
            "in the pool, permitted, blocked": "nothing",
            "in the pool, permitted, the peer is behind": "nothing",
        },
        "Forget": {
            "no channel": "nothing",
            "none": "nothing",
            "none, pool full": "nothing",
            "in the pool, offered": "nothing",
            "in the pool, permitted, blocked": "nothing",
            "Announced": "nothing",
            "Announced, a question free": "nothing",
            "Fetching": "nothing",
            "Fetching, two sources": "Announced: PoolFetchNext",
            "VerifyPending": "VerifyPending",
            "VerifyPending, a tip": "VerifyPending",
            "in the pool, permitted, the peer is behind": "nothing",
            "a tip, and settling is not ours": "nothing",
            "Announced, held back": "nothing",
        },
    },
)
