"""Pools: reducer."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any, assert_never

from mina_p2p.best_tip.state import OwnTip
from mina_p2p.blocks.actions import BlocksItemKnown
from mina_p2p.channels.propagation.actions import ChannelsPropagationRequestSend, ChannelsPropagationResponseSend
from mina_p2p.channels.propagation.kinds import PropagationItem
from mina_p2p.channels.propagation.state import RemoteRequested
from mina_p2p.channels.rpc.actions import ChannelsRpcRequestSend
from mina_p2p.channels.rpc.state import ForPool
from mina_p2p.disconnection.actions import DisconnectionInit
from mina_p2p.disconnection.reasons import DETAIL_CHARS_MAX, Reason, ReasonCode
from mina_p2p.errors import DecodeError, InvariantViolationError
from mina_p2p.identity import PeerId
from mina_p2p.ids import ChannelId, ConnectionId, RequestId, Timestamp
from mina_p2p.notifications import ItemReceived
from mina_p2p.peer.actions import PeerBan, PeerUseful
from mina_p2p.pool.actions import (
    PoolAction,
    PoolCandidateReceived,
    PoolCandidateTimeout,
    PoolExpire,
    PoolFetched,
    PoolFetchHeldBack,
    PoolFetchNext,
    PoolForget,
    PoolInsert,
    PoolItemPushed,
    PoolRemove,
    PoolSend,
    PoolSettle,
    PoolVerdict,
    PoolVerdictTimeout,
)
from mina_p2p.pool.kinds import KINDS, identity, item_of
from mina_p2p.pool.settling import expire, max_age, settle
from mina_p2p.pool.state import POOL_CHANNELS, Announced, Candidate, Fetching, PoolItem, Pools, VerifyPending, split_candidate_key
from mina_p2p.relay.actions import RelayItemJudged, RelayItemOffer, RelayItemOpen, RelayItemUnwanted
from mina_p2p.relay.state import BY_LIBP2P
from mina_p2p.state import P2pState
from mina_p2p.store import Attempt, FollowUps, expect


def reduce(state: Pools, action: PoolAction, now: Timestamp, root: P2pState) -> tuple[Pools, FollowUps]:
    """Reduce one action of this slice."""
    match action:
        case PoolCandidateReceived():
            return _announced(state, action, now, root)

        case PoolFetchNext(connection_id=connection_id):
            return _fetch_next(state, connection_id, now, root)

        case PoolFetched():
            return _fetched(state, action, now, root)

        case PoolItemPushed():
            return _pushed(state, action, now, root)

        case PoolVerdict(verdict_id=verdict_id, is_valid=is_valid):
            channel, number = split_candidate_key(state.verdicts[verdict_id])
            candidate = state.of(channel).candidates[number]
            status = expect(candidate.status, VerifyPending, action)
            room = _room_for(candidate.announcers, channel)
            dropped = state.drop(channel, number)
            judged = (RelayItemJudged(verdict_id, is_valid),) if verdict_id in root.relay.by_item else ()
            if is_valid:
                useful = () if status.connection_id == BY_LIBP2P else (PeerUseful(status.peer_id),)
                return dropped, (PoolInsert(channel, candidate.key, candidate.info, status.body), *useful, *judged, *room)
            if status.connection_id == BY_LIBP2P:
                if not candidate.announcers:
                    return dropped, judged
                # What was pushed may be a bad copy of a good item, which its announcers can still give.
                left = state.put(channel, number, candidate.replace(status=Announced()))
                return left, (*judged, *(PoolFetchNext(connection_id) for connection_id in candidate.announcers))
            reason = Reason(ReasonCode.INVALID_MESSAGE, channel, "the node software found an item invalid")
            ban = PeerBan(status.peer_id, Timestamp(now + root.config.timeouts.ban), reason)
            return dropped, (Attempt(DisconnectionInit(status.connection_id, reason), ban), *judged, *room)

        case PoolVerdictTimeout(channel=channel, candidate=number):
            room = _room_for(state.of(channel).candidates[number].announcers, channel)
            return state.drop(channel, number), room

        case PoolCandidateTimeout(channel=channel, candidate=number):
            room = _room_for(state.of(channel).candidates[number].announcers, channel)
            return state.drop(channel, number), room

        case PoolFetchHeldBack():
            return state.replace(held_back=()), tuple(PoolFetchNext(connection_id) for connection_id in state.held_back)

        case PoolSettle():
            return settle(state, expect(root.best_tips.own, OwnTip, action).block, now, root)

        case PoolExpire(channel=channel):
            return expire(state, channel, now, root)

        case PoolInsert(channel=channel, key=key, info=info, body=body):
            pool = state.of(channel)
            inserted = state.with_pool(channel, pool.replace(items=pool.items.insert(key, PoolItem(key, info, body, now))))
            if pool.expires_at is None:
                inserted = inserted.with_expiry(channel, Timestamp(now + max_age(root.config.timeouts, channel)))
            kept = (BlocksItemKnown(item_of(channel, body)),) if body and ChannelId.BLOCK in root.config.channels else ()
            offer = (RelayItemOffer(channel, key, body),) if root.network is not None else ()
            return inserted, (*kept, *offer, *(PoolSend(connection_id, channel) for connection_id in root.channels.waiting_for(channel)))

        case PoolRemove(channel=channel, key=key):
            pool = state.of(channel)
            return state.with_pool(channel, pool.replace(items=pool.items.remove(key))), ()

        case PoolSend(connection_id=connection_id, channel=channel):
            return state, _send(state, connection_id, channel, root)

        case PoolForget(connection_id=connection_id):
            return _forget(state, connection_id)

        case _:
            assert_never(action)


def _announced(state: Pools, action: PoolCandidateReceived, now: Timestamp, root: P2pState) -> tuple[Pools, FollowUps]:
    channel, connection_id, info = action.channel, action.connection_id, action.info
    kind, pool = KINDS[channel], state.of(channel)
    key = kind.key(info)
    if not root.wants(channel, key, info) or pool.is_gone(key, now):
        return state, ()
    if pool.held_from(connection_id) >= root.config.limits.candidates_per_peer_max:
        # It was permitted no more than it had room for; what else came meanwhile is let go.
        return state, ()
    name = identity(channel, info)
    if (found := pool.find(name)) is not None:
        number, known = found
        if connection_id in known.announcers:
            return state, ()
        return state.put(channel, number, known.replace(announcers=(*known.announcers, connection_id))), (PoolFetchNext(connection_id),)
    number = pool.last_number + 1
    candidate = Candidate(key, name, info, (connection_id,), Announced(), Timestamp(now + root.config.timeouts.candidate))
    if kind.request is None:
        peer_id = root.connections.table[connection_id].peer_id
        return _ask_for_verdict(state, channel, number, candidate, (connection_id, peer_id), b"", now, root)
    return state.put(channel, number, candidate), (PoolFetchNext(connection_id),)


def _fetch_next(state: Pools, connection_id: ConnectionId, now: Timestamp, root: P2pState) -> tuple[Pools, FollowUps]:
    for channel in (ChannelId.TRANSACTION, ChannelId.SNARK):
        kind, pool = KINDS[channel], state.of(channel)
        numbers = pool.by_connection.get(connection_id, ())
        waiting = [number for number in numbers if isinstance(pool.candidates[number].status, Announced)]
        if not waiting or kind.request is None:
            continue
        number = max(waiting, key=lambda n: (kind.priority(pool.candidates[n].info), -n))
        candidate = pool.candidates[number]
        if not root.wants(channel, candidate.key, candidate.info) or pool.is_gone(candidate.key, now):
            # The pool has got it, or a better one, since it was announced; or it is over.
            return state.drop(channel, number), (PoolFetchNext(connection_id), *_room_for(candidate.announcers, channel))
        ask = ChannelsRpcRequestSend(connection_id, kind.request(candidate.info), ForPool(channel, number))
        if not ask.is_enabled(root, now):
            return _held_back(state, connection_id, root), ()
        fetching = state.put(channel, number, candidate.replace(status=Fetching(connection_id)))
        return fetching, (ask, PoolFetchNext(connection_id))
    return state, ()


def _fetched(state: Pools, action: PoolFetched, now: Timestamp, root: P2pState) -> tuple[Pools, FollowUps]:
    channel, number, connection_id = action.channel, action.candidate, action.connection_id
    candidate = state.of(channel).candidates[number]
    try:
        fetched = None if action.response is None else KINDS[channel].check(candidate.info, action.response)
    except DecodeError as error:
        reason = Reason(ReasonCode.RESPONSE_HASH_MISMATCH, channel, str(error)[:DETAIL_CHARS_MAX])
        return state, (DisconnectionInit(connection_id, reason),)
    if fetched is None:
        return _lose_source(state, channel, number, connection_id)
    info, body = fetched
    if state.of(channel).is_gone(candidate.key, now):
        # A best tip settled it while it was on its way; a verdict could only wrong who sent it.
        return state.drop(channel, number), _room_for(candidate.announcers, channel)
    sender = connection_id, root.connections.table[connection_id].peer_id
    return _ask_for_verdict(state, channel, number, candidate.replace(info=info), sender, body, now, root)


def _pushed(state: Pools, action: PoolItemPushed, now: Timestamp, root: P2pState) -> tuple[Pools, FollowUps]:
    """An item that need not be fetched; where peers announced it, their candidate is asked about instead of a new one."""
    channel, info, body = action.channel, action.info, action.body
    key, pool = KINDS[channel].key(info), state.of(channel)
    if not root.wants(channel, key, info) or pool.is_gone(key, now):
        return state, (RelayItemUnwanted(action.message),)
    name = identity(channel, info)
    found = pool.find(name)
    if found is not None and isinstance(found[1].status, VerifyPending) and found[1].status.body != body:
        # Other bytes of which the same is announced: the verdict on those says nothing of these.
        name = blake2b(name + body, digest_size=32).digest()
        found = pool.find(name)
    if found is None:
        candidate = Candidate(key, name, info, (), Announced(), Timestamp(now + root.config.timeouts.candidate))
        number = pool.last_number + 1
    else:
        number, candidate = found
        if isinstance(candidate.status, VerifyPending):
            return state, (RelayItemOpen(action.message, candidate.status.verdict_id),)
    state, question = _ask_for_verdict(state, channel, number, candidate, (BY_LIBP2P, action.peer_id), body, now, root)
    return state, (*question, RelayItemOpen(action.message, state.last_verdict_id))


def _ask_for_verdict(
    state: Pools,
    channel: ChannelId,
    number: int,
    candidate: Candidate,
    sender: tuple[ConnectionId, PeerId],
    body: bytes,
    now: Timestamp,
    root: P2pState,
) -> tuple[Pools, FollowUps]:
    verdict_id = RequestId(state.last_verdict_id + 1)
    connection_id, peer_id = sender
    pending = VerifyPending(verdict_id, connection_id, peer_id, body, Timestamp(now + root.config.timeouts.verdict))
    question = ItemReceived(verdict_id, channel, candidate.key, candidate.info, body, connection_id, peer_id)
    asked = state.replace(last_verdict_id=verdict_id).put(channel, number, candidate.replace(status=pending))
    return asked, (question,)


def _lose_source(state: Pools, channel: ChannelId, number: int, connection_id: ConnectionId) -> tuple[Pools, FollowUps]:
    """A candidate can not be had from one of its announcers: the others are next."""
    candidate = state.of(channel).candidates[number]
    others = tuple(other for other in candidate.announcers if other != connection_id)
    room = _room_for((connection_id,), channel)
    if not others:
        return state.drop(channel, number), room
    if candidate.status != Fetching(connection_id):
        return state.put(channel, number, candidate.replace(announcers=others)), room
    left = state.put(channel, number, candidate.replace(announcers=others, status=Announced()))
    return left, (*(PoolFetchNext(other) for other in others), *room)


def _send(state: Pools, connection_id: ConnectionId, channel: ChannelId, root: P2pState) -> FollowUps:
    machine = root.channels.propagation(connection_id, channel)
    if machine is None or not isinstance(machine.remote, RemoteRequested):
        raise InvariantViolationError("PoolSend was not refused without a permission")
    log = state.of(channel).items
    served: tuple[tuple[PropagationItem, ...], int, int] = log.next_to_send(machine.next_send_index, machine.remote.limit, _announcement)
    items, first, last = served
    return (ChannelsPropagationResponseSend(connection_id, channel, items, first, last),) if items else ()


def _announcement(item: PoolItem) -> PropagationItem | None:
    return item.info


def _held_back(state: Pools, connection_id: ConnectionId, root: P2pState) -> Pools:
    """With that peer waiting for other answers to come, unless it is its own questions that are too many.

    Where no answer is owed, and a single one is more than may be, nothing would wake it: its items wait for their deadline only.
    """
    rpc = root.channels.rpc(connection_id)
    is_busy = rpc is None or len(rpc.requests) >= root.config.limits.rpc_requests_max
    if is_busy or root.channels.answer_bytes_granted == 0 or connection_id in state.held_back:
        return state
    return state.replace(held_back=(*state.held_back, connection_id))


def _forget(state: Pools, connection_id: ConnectionId) -> tuple[Pools, FollowUps]:
    follow_ups: list[Any] = []
    if connection_id in state.held_back:
        state = state.replace(held_back=tuple(other for other in state.held_back if other != connection_id))
    for channel in POOL_CHANNELS:
        for number in state.of(channel).by_connection.get(connection_id, ()):
            candidate = state.of(channel).candidates[number]
            if isinstance(candidate.status, VerifyPending):
                # What has been received is judged all the same; it only has one source less.
                others = tuple(other for other in candidate.announcers if other != connection_id)
                state = state.put(channel, number, candidate.replace(announcers=others))
                continue
            state, more = _lose_source(state, channel, number, connection_id)
            follow_ups += [action for action in more if action.connection_id != connection_id]
    return state, follow_ups


def _room_for(announcers: tuple[ConnectionId, ...], channel: ChannelId) -> FollowUps:
    """Peers that may announce more, now that a candidate of theirs is gone."""
    return tuple(ChannelsPropagationRequestSend(connection_id, channel) for connection_id in announcers)
