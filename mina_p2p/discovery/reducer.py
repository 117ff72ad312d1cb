"""The discovery by addresses: reducer of records and of what time asks for. The rules are listed in the package."""

from __future__ import annotations

from typing import Any, TypeAlias, assert_never

from mina_p2p.channels.address_gossip.actions import (
    AddressGossipAdvertsSend,
    AddressGossipEffectfulSign,
    AddressGossipGrantSend,
    AddressGossipIssue,
    AddressGossipOwnSet,
    AddressGossipPeerReady,
    AddressGossipSigned,
    AddressGossipTimeout,
    AddressGossipVerified,
)
from mina_p2p.channels.address_gossip.messages import RECORD_VERSION, AddressRecord, RecordBody, signed_bytes, to_place
from mina_p2p.channels.address_gossip.reducer import fetch_timed_out, grant_timed_out, stepped, told_back
from mina_p2p.channels.address_gossip.state import (
    AddressGossip,
    Link,
    Overtaken,
    Resting,
    Verification,
    WaitKind,
    seconds,
    split_wait_key,
)
from mina_p2p.disconnection.actions import DisconnectionInit
from mina_p2p.disconnection.reasons import Reason, ReasonCode
from mina_p2p.discovery.admission import believable, group_of, is_met, peer_of, relayer_of, to_dial, turn_of, with_credit
from mina_p2p.discovery.book import Allowance, Known
from mina_p2p.discovery.config import OWN_AHEAD_MAX, TTL_MAX, AddressGossipConfig
from mina_p2p.discovery.dials import led_by, of_waiting
from mina_p2p.errors import InvariantViolationError
from mina_p2p.gossiper.actions import (
    GossipAccepted,
    GossipAction,
    GossipBegin,
    GossipFetchFailed,
    GossipFinish,
    GossipPeerReady,
    GossipRejected,
)
from mina_p2p.identity import PeerId
from mina_p2p.ids import SECOND, ChannelId, ConnectionId, Timestamp
from mina_p2p.notifications import IdentityDuplicated
from mina_p2p.peer.actions import PeersRedialGiven
from mina_p2p.state import P2pState
from mina_p2p.store import FollowUps

DiscoveryAction: TypeAlias = (
    AddressGossipPeerReady | AddressGossipTimeout | AddressGossipOwnSet | AddressGossipIssue | AddressGossipSigned | AddressGossipVerified
)


def reduce(state: P2pState, action: DiscoveryAction, now: Timestamp) -> tuple[P2pState, FollowUps]:
    """Reduce one action of the discovery."""
    match action:
        case AddressGossipPeerReady(connection_id=connection_id, is_agreed=is_agreed):
            return _met(state, connection_id, now, is_agreed=is_agreed)
        case AddressGossipTimeout(key=key):
            return _timed_out(state, key, now)
        case AddressGossipOwnSet(addresses=addresses):
            own = state.address_gossip.own.replace(addresses=addresses)
            return _with(state, state.address_gossip.with_own(own)), (AddressGossipIssue(is_on_time=False),)
        case AddressGossipIssue(is_on_time=is_on_time):
            return _issued(state, now, is_on_time=is_on_time)
        case AddressGossipSigned(signature=signature):
            return _signed(state, signature, now)
        case AddressGossipVerified(number=number, is_valid=is_valid):
            check = state.address_gossip.verifications[number]
            state = _with(state, state.address_gossip.with_check(number, None))
            return _verified(state, check, now) if is_valid else _forged(state, check, now)
        case _:
            assert_never(action)


def _with(state: P2pState, slice_: AddressGossip) -> P2pState:
    return state.replace(address_gossip=slice_)


def _met(state: P2pState, connection_id: ConnectionId, now: Timestamp, *, is_agreed: bool) -> tuple[P2pState, FollowUps]:
    """A peer is there: what is known of it is true, and is told on; and it can be told."""
    peer_id = state.connections.table[connection_id].peer_id
    slice_, steps = state.address_gossip, list[GossipAction]()
    if (found := slice_.book.find(peer_id)) is not None:
        known = found[1]
        if known.learned_from is not None:
            slice_ = with_credit(slice_, known.learned_from, 1)
        slice_ = slice_.with_known(known.replace(learned_from=None))
        item_id = known.record.key.item_id
        steps.append(GossipBegin(item_id))
    follow_ups: list[Any] = []
    if is_agreed:
        is_first = not slice_.links
        slice_ = slice_.with_link(connection_id, Link(peer_id, Resting(now)))
        steps.append(GossipPeerReady(connection_id, 0))
        follow_ups.append(AddressGossipGrantSend(connection_id))
        if is_first:
            follow_ups.append(AddressGossipIssue(is_on_time=False))
    state, more = stepped(_with(state, slice_), steps, now)
    return state, (*more, *follow_ups)


def _timed_out(state: P2pState, key: int, now: Timestamp) -> tuple[P2pState, FollowUps]:
    kind, number = split_wait_key(key)
    slice_, config = state.address_gossip, state.config.address_gossip
    connection_id = ConnectionId(number)
    match kind:
        case WaitKind.GRANT:
            return grant_timed_out(state, connection_id, now)
        case WaitKind.FETCH:
            return fetch_timed_out(state, connection_id, now)
        case WaitKind.FLUSH:
            link = slice_.links[connection_id].replace(flush_at=None)
            return _with(state, slice_.with_link(connection_id, link)), (AddressGossipAdvertsSend(connection_id),)
        case WaitKind.EXPIRY:
            item_id = slice_.book.table[number].record.key.item_id
            return stepped(_with(state, slice_.without_known(number)), (GossipFinish(item_id),), now)
        case WaitKind.DIAL:
            return of_waiting(state, now)
        case WaitKind.CHECK:
            check = slice_.verifications[number]
            failed = GossipFetchFailed(check.record.key.item_id, check.connection_id)
            return stepped(_with(state, slice_.with_check(number, None)), (failed,), now)
        case WaitKind.TICK:
            missed = (now - slice_.own.next_tick) // config.interval
            next_tick = Timestamp(slice_.own.next_tick + (missed + 1) * config.interval)
            state = _with(state, slice_.with_own(slice_.own.replace(next_tick=next_tick)))
            redial = (PeersRedialGiven(),) if config.redials_configured else ()
            return state, (AddressGossipIssue(is_on_time=True), *redial)
        case _:
            assert_never(kind)


def _issued(state: P2pState, now: Timestamp, *, is_on_time: bool) -> tuple[P2pState, FollowUps]:
    """A record with a date that is later than that of any before, unless our clock has been far ahead then."""
    slice_, config = state.address_gossip, state.config.address_gossip
    own = slice_.own
    is_followed = own.last_issued_at <= seconds(now) + OWN_AHEAD_MAX // SECOND
    issued_at = max(seconds(now), own.last_issued_at + 1) if is_followed else seconds(now)
    body = RecordBody(RECORD_VERSION, state.config.peer_id, issued_at, config.ttl // SECOND, tuple(map(to_place, own.addresses)))
    taken = None if is_on_time else own.allowance.taken(config.issues_burst, config.issue_pause, now)
    own = own.replace(signing=body, last_issued_at=issued_at, allowance=taken or own.allowance)
    effect = AddressGossipEffectfulSign(issued_at, signed_bytes(body, state.config.chain_id))
    return _with(state, slice_.with_own(own)), (effect,)


def _signed(state: P2pState, signature: bytes, now: Timestamp) -> tuple[P2pState, FollowUps]:
    """Our new record takes the place of the last one; a peer that has had none gets it first."""
    slice_, coalescing = state.address_gossip, state.config.address_gossip.coalescing
    own, body = slice_.own, slice_.own.signing
    if body is None:
        raise InvariantViolationError("a signature that nobody asked for passed its guard")
    record = AddressRecord(body.version, body.public_key, body.issued_at, body.ttl, body.places, signature)
    item_id = record.key.item_id
    steps: list[GossipAction] = [] if own.record is None else [GossipFinish(own.record.key.item_id)]
    slice_ = slice_.with_own(own.replace(record=record, signing=None))
    for connection_id, link in slice_.links.items():
        if link.permitted is not None and not link.has_our_record:
            flush_at = link.flush_at or Timestamp(now + coalescing)
            slice_ = slice_.with_link(connection_id, link.replace(due=(item_id, *link.due), flush_at=flush_at))
    state, follow_ups = stepped(_with(state, slice_), (*steps, GossipBegin(item_id)), now)
    has_moved = body.places != tuple(map(to_place, own.addresses))
    return state, (*follow_ups, AddressGossipIssue(is_on_time=False)) if has_moved else follow_ups


def _forged(state: P2pState, check: Verification, now: Timestamp) -> tuple[P2pState, FollowUps]:
    """Who sent it had promised to have checked it. The record of that date may still be had from others."""
    reason = Reason(ReasonCode.INVALID_MESSAGE, ChannelId.ADDRESS_GOSSIP, "a record that its node did not sign")
    state, follow_ups = stepped(state, (GossipFetchFailed(check.record.key.item_id, check.connection_id),), now)
    return state, (DisconnectionInit(check.connection_id, reason), *follow_ups)


def _verified(state: P2pState, check: Verification, now: Timestamp) -> tuple[P2pState, FollowUps]:
    """Its node signed it: it enters the book, the node may be dialled once, and who has met it tells it on."""
    slice_, config, record = state.address_gossip, state.config.address_gossip, check.record
    item_id = record.key.item_id
    if record.public_key == state.config.peer_id:
        return _in_our_name(state, check, now)
    found = slice_.book.find(record.public_key)
    if found is not None and found[1].record.issued_at >= record.issued_at:
        return stepped(state, (GossipRejected(item_id),), now)
    full = Allowance(config.issues_burst, now)
    taken = (full if found is None else found[1].allowance).taken(config.issues_burst, config.issue_pause, now)
    steps: list[GossipAction] = [] if found is None else [GossipFinish(found[1].record.key.item_id)]
    addresses = believable(state, check.connection_id, record, now)
    learned_from = relayer_of(state, check.connection_id, record.public_key, now)
    # Whether there is room was asked before the signature was checked, and others may have entered since.
    turn = turn_of(state, record.public_key)
    where = to_dial(addresses, turn)
    group = group_of(state, where)
    room = _room(slice_, record.public_key, learned_from, group, config)
    if room is None:
        return stepped(state, (GossipRejected(item_id),), now)
    slice_, gone = room
    steps += gone
    allowance = taken or (full if found is None else found[1].allowance)
    state = _with(state, slice_.with_known(Known(record, learned_from, allowance, group, turn)))
    its_own = state.connection_of(PeerId(record.public_key))
    has_moved = found is not None and found[1].record.places != record.places
    if has_moved and its_own is not None and its_own != check.connection_id:
        # Another node with its key is somewhere else; who only re-issues need not be told by all.
        state = told_back(state, its_own, item_id, now)
    if taken is None:
        # So many records in so little time are believed, and neither told on nor dialled.
        return stepped(state, (*steps, GossipRejected(item_id)), now)
    if is_met(state, PeerId(record.public_key), now):
        steps.append(GossipAccepted(item_id))
    state, follow_ups = stepped(state, steps, now)
    number = state.address_gossip.book.numbers.get(record.public_key)
    if number is None:
        raise InvariantViolationError("a record that entered the book is not in it")
    state, dials = led_by(state, number, where, peer_of(state, check.connection_id), now)
    return state, (*dials, *follow_ups)


def _in_our_name(state: P2pState, check: Verification, now: Timestamp) -> tuple[P2pState, FollowUps]:
    """Our key signed a newer record: in an earlier run of ours, or at another node. Ours shall be newer (spec: address-gossip 5.4).

    An earlier run's records are overtaken at once. Where that has to be done again after a while, somebody still makes them.
    """
    slice_, pause = state.address_gossip, state.config.address_gossip.issue_pause
    own, before = slice_.own, slice_.own.overtaken
    told: tuple[IdentityDuplicated, ...] = ()
    if before is None or now - before.at > TTL_MAX:
        own = own.replace(overtaken=Overtaken(now, 1))
    elif now - before.at >= pause:
        own = own.replace(overtaken=Overtaken(now, before.times + 1))
        told = (IdentityDuplicated(check.connection_id, check.record.issued_at, before.times + 1),)
    own = own.replace(last_issued_at=max(own.last_issued_at, check.record.issued_at))
    return _with(state, slice_.with_own(own)), (*told, AddressGossipIssue(is_on_time=False))


def _room(
    slice_: AddressGossip, public_key: bytes, relayer: ConnectionId | None, group: bytes | None, config: AddressGossipConfig
) -> tuple[AddressGossip, list[GossipAction]] | None:
    """With room for a record: where there is none, one drawn from the largest share gives way. ``None`` where none does."""
    book = slice_.book
    if not book.has_room(public_key, relayer, group, config):
        return None
    if public_key in book.numbers or not book.is_full(relayer, config):
        return slice_, []
    number, random = slice_.gossip.random.choice(book.largest_share(relayer) or ())
    gone = book.table[number].record.key.item_id
    return slice_.replace(gossip=slice_.gossip.replace(random=random)).without_known(number), [GossipFinish(gone)]
