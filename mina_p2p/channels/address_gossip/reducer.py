"""Channel 9: reducer of its permissions. What is in the records is for `mina_p2p.discovery`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias, assert_never

from mina_p2p.channels.address_gossip.actions import (
    AddressGossipAdvertsReceived,
    AddressGossipAdvertsSend,
    AddressGossipFetchReceived,
    AddressGossipFetchSend,
    AddressGossipGrantEnded,
    AddressGossipGrantReceived,
    AddressGossipGrantSend,
    AddressGossipItemTimeout,
    AddressGossipPeerGone,
    AddressGossipRecordsReceived,
    AddressGossipStreamReset,
)
from mina_p2p.channels.address_gossip.gossiping import gossip
from mina_p2p.channels.address_gossip.messages import (
    ADDRESS_MESSAGE,
    FETCH_MAX,
    MESSAGE_BYTES_MAX,
    AddressAdverts,
    AddressGetNext,
    AddressGetRecords,
    AddressMessage,
    AddressRecords,
    key_of_item,
)
from mina_p2p.channels.address_gossip.state import (
    FETCHES_MAX,
    FETCHES_PER_MESSAGE,
    RING_MAX,
    AddressGossip,
    Fetching,
    Granted,
    Link,
    Permitted,
    Resting,
)
from mina_p2p.channels.propagation.kinds import FRAME_HEADER_BYTES
from mina_p2p.disconnection.reasons import StreamResetCode
from mina_p2p.discovery.admission import newer_of_its_own, received, wants, with_credit
from mina_p2p.gossiper.actions import (
    GossipAction,
    GossipAnswered,
    GossipEligible,
    GossipFetchFailed,
    GossipPeerGone,
    GossipTimeout,
)
from mina_p2p.gossiper.state import Fetching as ItemFetching
from mina_p2p.gossiper.state import Missing
from mina_p2p.identity import KEY_LENGTH
from mina_p2p.ids import ChannelId, ConnectionId, StreamId, Timestamp
from mina_p2p.state import P2pState
from mina_p2p.store import FollowUps, expect
from mina_p2p.transport import ChannelsEffectfulAnswerSend, ChannelsEffectfulRequestSend, ChannelsEffectfulStreamReset

ChannelAction: TypeAlias = (
    AddressGossipPeerGone
    | AddressGossipGrantSend
    | AddressGossipGrantReceived
    | AddressGossipGrantEnded
    | AddressGossipStreamReset
    | AddressGossipAdvertsSend
    | AddressGossipAdvertsReceived
    | AddressGossipFetchSend
    | AddressGossipFetchReceived
    | AddressGossipRecordsReceived
    | AddressGossipItemTimeout
)


def reduce(state: P2pState, action: ChannelAction, now: Timestamp) -> tuple[P2pState, FollowUps]:
    """Reduce one action of a link."""
    config = state.config.address_gossip
    if isinstance(action, AddressGossipItemTimeout):
        return stepped(state, (GossipTimeout(action.key),), now)
    connection_id = action.connection_id
    link = state.address_gossip.links[connection_id]
    match action:
        case AddressGossipPeerGone():
            checks = ((number, check) for number, check in state.address_gossip.verifications.items())
            lost = [(number, check.record.key.item_id) for number, check in checks if check.connection_id == connection_id]
            slice_ = state.address_gossip
            for number, _item in lost:
                slice_ = slice_.with_check(number, None)
            # Others may have what it sent; whoever goes at once must not keep that from us.
            failed = (GossipFetchFailed(item, connection_id) for _number, item in lost)
            state, follow_ups = stepped(state.replace(address_gossip=slice_), (*failed, GossipPeerGone(connection_id)), now)
            return state.replace(address_gossip=state.address_gossip.with_link(connection_id, None)), _of_others(follow_ups, connection_id)

        case AddressGossipGrantSend():
            request = AddressGetNext(config.advert_limit)
            state, stream, effect = _asked(state, connection_id, request)
            deadline = Timestamp(now + state.config.timeouts.parked_permission)
            grant = Granted(config.advert_limit, stream, deadline, link.fetches_allowed)
            return _put(state, connection_id, link.replace(grant=grant)), (effect,)

        case AddressGossipGrantReceived(stream=stream, limit=limit):
            return _permitted(state, connection_id, link, Permitted(limit, stream), now)

        case AddressGossipGrantEnded():
            return state, ()

        case AddressGossipStreamReset(stream=stream):
            return _reset(state, connection_id, link, stream, now)

        case AddressGossipAdvertsSend():
            return _named(state, connection_id, link, now)

        case AddressGossipAdvertsReceived(keys=keys):
            seen = (*link.seen, *(key.item_id for key in keys))[-RING_MAX:]
            # The peer may have counted this message, and reached its most, before the questions that we asked meanwhile.
            before = expect(link.grant, Granted, action).fetches_allowed
            allowed = min(FETCHES_MAX, before + FETCHES_PER_MESSAGE) - (before - link.fetches_allowed)
            rested = link.replace(grant=Resting(Timestamp(now + cooldown(state, link))), seen=seen, fetches_allowed=allowed)
            state = _put(state, connection_id, rested)
            own, heard = wants(state, connection_id, keys, now)
            if own:
                state = _put(state, connection_id, rested.replace(wanted=own))
            for item in newer_of_its_own(state, link.peer_id, keys):
                state = told_back(state, connection_id, item, now)
            state, follow_ups = stepped(state, heard, now)
            return state, (*follow_ups, AddressGossipFetchSend(connection_id))

        case AddressGossipFetchSend():
            still, askable = _still_wanted(state.address_gossip, connection_id, link, state.config.peer_id), set(link.askable)
            wanted = tuple(item for item in still if item in askable)
            forgotten = [GossipFetchFailed(item, connection_id) for item in still if item not in askable]
            if not wanted:
                state, follow_ups = stepped(_put(state, connection_id, link.replace(wanted=())), forgotten, now)
                return state, (*follow_ups, AddressGossipGrantSend(connection_id))
            now_items, later = wanted[:FETCH_MAX], wanted[FETCH_MAX:]
            state, stream, effect = _asked(state, connection_id, AddressGetRecords(tuple(map(key_of_item, now_items))))
            fetch = Fetching(now_items, stream, Timestamp(now + config.fetch_timeout))
            asked = link.replace(fetch=fetch, wanted=later, fetches_allowed=link.fetches_allowed - 1)
            state, follow_ups = stepped(_put(state, connection_id, asked), forgotten, now)
            return state, (effect, *follow_ups)

        case AddressGossipFetchReceived(stream=stream, keys=keys):
            items = [key.item_id for key in keys]
            records = tuple(state.address_gossip.held(item, now) for item in items)
            frame = ADDRESS_MESSAGE.encode(AddressRecords(records))
            state = _put(state, connection_id, link.replace(fetches_left=link.fetches_left - 1))
            state, follow_ups = stepped(state, (GossipAnswered(item, connection_id, is_held=False) for item in items), now)
            return state, (ChannelsEffectfulAnswerSend(connection_id, stream, (frame,), True), *follow_ups)

        case AddressGossipRecordsReceived(records=records):
            fetch = expect(link.fetch, Fetching, action)
            state = _put(state, connection_id, link.replace(fetch=None))
            state, stepped_by, effects = received(state, connection_id, tuple(zip(fetch.items, records, strict=True)), now)
            state, follow_ups = stepped(state, stepped_by, now)
            return state, (*effects, *follow_ups, AddressGossipFetchSend(connection_id), AddressGossipGrantSend(connection_id))

        case _:
            assert_never(action)


def stepped(state: P2pState, actions: Iterable[GossipAction], now: Timestamp) -> tuple[P2pState, list[Any]]:
    """Step the gossiper of the slice."""
    slice_, follow_ups = gossip(state.address_gossip, actions, now, state.config.address_gossip.coalescing)
    return (state if slice_ is state.address_gossip else state.replace(address_gossip=slice_)), list(follow_ups)


def told_back(state: P2pState, connection_id: ConnectionId, item_id: bytes, now: Timestamp) -> P2pState:
    """With a record in a peer's own name to be named to it, which else nobody does: it may not know of it (spec: address-gossip 5.4)."""
    link = state.address_gossip.links.get(connection_id)
    if link is None or item_id in link.due:
        return state
    # Only the newest one: a peer that permits nothing must not make this grow.
    others = (item for item in link.due if item[:KEY_LENGTH] != link.peer_id)
    flush_at = link.flush_at or Timestamp(now + state.config.address_gossip.coalescing)
    return _put(state, connection_id, link.replace(due=(item_id, *others), flush_at=flush_at))


def cooldown(state: P2pState, link: Link) -> int:
    """From a message of the peer to the next permission for one (spec: address-gossip 5.3)."""
    config = state.config.address_gossip
    if link.credit < 0 or len(state.address_gossip.book) >= config.book_max:
        return config.cooldown_bad
    return config.cooldown_few if len(state.connections) < state.config.limits.peers_min else config.cooldown


def fetch_timed_out(state: P2pState, connection_id: ConnectionId, now: Timestamp) -> tuple[P2pState, FollowUps]:
    """The peer does not send what it named: others are asked, and it is worth less."""
    link = state.address_gossip.links[connection_id]
    fetch = link.fetch
    if fetch is None:
        return state, ()
    withdrawal = ChannelsEffectfulStreamReset(connection_id, fetch.stream, StreamResetCode.CANCELLED)
    state, follow_ups = _fetch_lost(state, connection_id, link, fetch, now)
    return state, (withdrawal, *follow_ups)


def grant_timed_out(state: P2pState, connection_id: ConnectionId, now: Timestamp) -> tuple[P2pState, FollowUps]:
    """A pause is over, or a permission that nobody used."""
    link = state.address_gossip.links[connection_id]
    pause = Resting(Timestamp(now + cooldown(state, link)))
    if isinstance(link.grant, Granted):
        # Asked again after a while, so that the reset is not overtaken by a new permission.
        withdrawal = ChannelsEffectfulStreamReset(connection_id, link.grant.stream, StreamResetCode.CANCELLED)
        # What it may have named in this moment is lost to us, and takes room in its memory.
        seen = (*link.seen, *(b"",) * link.grant.limit)[-RING_MAX:]
        return _put(state, connection_id, link.replace(grant=pause, seen=seen)), (withdrawal,)
    wanted = _still_wanted(state.address_gossip, connection_id, link, state.config.peer_id)
    if link.fetch is None and (not wanted or not link.fetches_allowed):
        # What the peer will not be asked for any more must not keep it from naming more.
        state = _put(state, connection_id, link.replace(wanted=()))
        state, follow_ups = stepped(state, [GossipFetchFailed(item, connection_id) for item in wanted], now)
        return state, (*follow_ups, AddressGossipGrantSend(connection_id))
    return _put(state, connection_id, link.replace(grant=pause, wanted=wanted)), (AddressGossipFetchSend(connection_id),)


def _put(state: P2pState, connection_id: ConnectionId, link: Link) -> P2pState:
    return state.replace(address_gossip=state.address_gossip.with_link(connection_id, link))


def _asked(
    state: P2pState, connection_id: ConnectionId, message: AddressMessage
) -> tuple[P2pState, StreamId, ChannelsEffectfulRequestSend]:
    """With a stream opened for a question."""
    stream, channels = state.channels.table[connection_id].next_stream()
    state = state.replace(channels=state.channels.replace(table=state.channels.table.set(connection_id, channels)))
    frame = ADDRESS_MESSAGE.encode(message)
    most = FRAME_HEADER_BYTES + MESSAGE_BYTES_MAX
    return state, stream, ChannelsEffectfulRequestSend(connection_id, ChannelId.ADDRESS_GOSSIP, stream, frame, most, MESSAGE_BYTES_MAX)


def _permitted(
    state: P2pState, connection_id: ConnectionId, link: Link, permitted: Permitted, now: Timestamp
) -> tuple[P2pState, FollowUps]:
    """What was named before and not asked for is known there; then our own record goes first, once."""
    config, own = state.config.address_gossip, state.address_gossip.own.record
    due = link.due
    if own is not None and not link.has_our_record and own.key.item_id not in due:
        due = (own.key.item_id, *due)
    flush_at = Timestamp(now + config.coalescing) if due else None
    state = _put(state, connection_id, link.replace(permitted=permitted, due=due, flush_at=flush_at, unanswered=()))
    answers: list[GossipAction] = [GossipAnswered(item, connection_id, is_held=True) for item in link.unanswered]
    state, follow_ups = stepped(state, (*answers, GossipEligible(connection_id, permitted.limit - len(due))), now)
    return state, follow_ups


def _named(state: P2pState, connection_id: ConnectionId, link: Link, now: Timestamp) -> tuple[P2pState, FollowUps]:
    """Name what is collected and still true; the permission is used up by it."""
    permitted, slice_ = link.permitted, state.address_gossip
    if permitted is None:
        return state, ()
    good = [
        item for item in dict.fromkeys(link.due) if slice_.held(item, now) is not None and item not in link.seen and item not in link.sent
    ]
    items, stale = tuple(good[: permitted.limit]), tuple(item for item in link.due if item not in good)
    given_up: list[GossipAction] = [GossipAnswered(item, connection_id, is_held=True) for item in stale]
    if not items:
        state = _put(state, connection_id, link.replace(due=(), flush_at=None))
        return stepped(state, (*given_up, GossipEligible(connection_id, permitted.limit)), now)
    own = slice_.own.record
    named = link.replace(
        permitted=None,
        due=tuple(good[permitted.limit :]),
        flush_at=None,
        sent=(*link.sent, *items)[-RING_MAX:],
        unanswered=items,
        fetches_left=min(FETCHES_MAX, link.fetches_left + FETCHES_PER_MESSAGE),
        has_our_record=link.has_our_record or (own is not None and own.key.item_id in items),
    )
    frame = ADDRESS_MESSAGE.encode(AddressAdverts(tuple(map(key_of_item, items))))
    effect = ChannelsEffectfulAnswerSend(connection_id, permitted.stream, (frame,), True)
    state, follow_ups = stepped(_put(state, connection_id, named), (GossipEligible(connection_id, 0), *given_up), now)
    return state, (effect, *follow_ups)


def _reset(state: P2pState, connection_id: ConnectionId, link: Link, stream: StreamId, now: Timestamp) -> tuple[P2pState, FollowUps]:
    if link.permitted is not None and link.permitted.stream == stream:
        state = _put(state, connection_id, link.replace(permitted=None, due=(), flush_at=None))
        return stepped(state, (GossipEligible(connection_id, 0),), now)
    if link.fetch is not None and link.fetch.stream == stream:
        return _fetch_lost(state, connection_id, link, link.fetch, now)
    pause = Resting(Timestamp(now + state.config.timeouts.reconnect))
    return _put(state, connection_id, link.replace(grant=pause)), ()


def _fetch_lost(state: P2pState, connection_id: ConnectionId, link: Link, fetch: Fetching, now: Timestamp) -> tuple[P2pState, FollowUps]:
    state = _put(state, connection_id, link.replace(fetch=None))
    state = state.replace(address_gossip=with_credit(state.address_gossip, connection_id, -1))
    state, follow_ups = stepped(state, (GossipFetchFailed(item, connection_id) for item in fetch.items), now)
    return state, (*follow_ups, AddressGossipFetchSend(connection_id))


def _still_wanted(slice_: AddressGossip, connection_id: ConnectionId, link: Link, own_id: bytes) -> tuple[bytes, ...]:
    """What the gossiper still expects from this peer, and records in our own name."""

    def is_wanted(item: bytes) -> bool:
        entry = slice_.gossip.entry(item)
        if isinstance(entry, Missing):
            return entry.phase.peer == connection_id and isinstance(entry.phase, ItemFetching)
        return item[:KEY_LENGTH] == own_id

    return tuple(item for item in dict.fromkeys(link.wanted) if is_wanted(item))


def _of_others(follow_ups: Iterable[Any], connection_id: ConnectionId) -> tuple[Any, ...]:
    return tuple(action for action in follow_ups if action.connection_id != connection_id)
