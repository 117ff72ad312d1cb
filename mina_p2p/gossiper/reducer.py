"""The gossip table: reducer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, TypeAlias, assert_never

from mina_p2p.errors import InvariantViolationError
from mina_p2p.gossiper.actions import (
    GossipAccepted,
    GossipAction,
    GossipAnnounce,
    GossipAnswered,
    GossipBegin,
    GossipBlamed,
    GossipBodyReceived,
    GossipDeliver,
    GossipEligible,
    GossipFetch,
    GossipFetchFailed,
    GossipFinish,
    GossipFinished,
    GossipHeard,
    GossipKnown,
    GossipNew,
    GossipOrder,
    GossipPeerGone,
    GossipPeerReady,
    GossipRejected,
    GossipTimeout,
    GossipValidate,
    GossipWanted,
)
from mina_p2p.gossiper.state import Entry, Fetching, Finished, Gossiper, Held, Missing, Validating, WaitKind, split_wait_key
from mina_p2p.gossiper.targets import Only, Target, TargetOf, admits, drawn, everybody, in_effect
from mina_p2p.ids import Timestamp
from mina_p2p.record import Record, record
from mina_p2p.store import expect

_NOTHING: Final[tuple[GossipOrder, ...]] = ()

Reduced: TypeAlias = tuple[Gossiper, Sequence[GossipOrder]]


@record
class _Root(Record):
    """What guards ask, where a gossiper is stepped by another slice."""

    gossip: Gossiper


def step(gossip: Gossiper, action: GossipAction, now: Timestamp, target_of: TargetOf = everybody) -> Reduced:
    """Reduce one action if its guard allows it: for a slice that has a gossiper inside, and acts on the orders itself."""
    guard: Any = getattr(action, "is_enabled", None)
    if guard is not None and not guard(_Root(gossip), now):
        return gossip, _NOTHING
    return _reduced(gossip, action, now, target_of)


def reduce(state: Gossiper, action: GossipAction, now: Timestamp, root: Any) -> Reduced:
    """Reduce one action of this slice; every item is announced to everybody."""
    return _reduced(state, action, now, everybody)


def aimed(target_of: Callable[[Any, bytes], Target]) -> Callable[[Gossiper, GossipAction, Timestamp, Any], Reduced]:
    """Make a reducer of this slice whose items are announced to whom their owner wishes.

    :param target_of: ``(root, item id) -> target``, pure: what a target's function says of a peer has to follow from the root.
    """

    def reduce_aimed(state: Gossiper, action: GossipAction, now: Timestamp, root: Any) -> Reduced:
        return _reduced(state, action, now, lambda item_id: target_of(root, item_id))

    return reduce_aimed


def _reduced(state: Gossiper, action: GossipAction, now: Timestamp, target_of: TargetOf) -> Reduced:
    match action:
        case GossipBegin(id=item_id):
            return _begin(state, item_id, now, target_of)

        case GossipHeard(id=item_id, peer=peer, is_stored=is_stored):
            return _heard(state, item_id, peer, now, target_of, is_stored=is_stored)

        case GossipAnswered(id=item_id, peer=peer, is_held=is_held):
            number, entry = _entry(state, item_id)
            told = _answered(expect(entry, Held, action), peer)
            return _advance(state.put(number, told if is_held else told.replace(infected=(*told.infected, peer))), number, now, target_of)

        case GossipBodyReceived(id=item_id, peer=peer, body=body):
            number, entry = _entry(state, item_id)
            phase = Validating(peer, Timestamp(now + state.parameters.validation_timeout))
            return state.put(number, expect(entry, Missing, action).replace(phase=phase)), (GossipValidate(item_id, peer, body),)

        case GossipFetchFailed(id=item_id, peer=peer):
            number, entry = _entry(state, item_id)
            return _without_holder(state, number, expect(entry, Missing, action), peer, now)

        case GossipAccepted(id=item_id):
            number, entry = _entry(state, item_id)
            return _hold(state, number, expect(entry, Missing, action), now, target_of)

        case GossipRejected(id=item_id):
            number, entry = _entry(state, item_id)
            missing = expect(entry, Missing, action)
            state, orders = _finish(state, number, now)
            blamed = (GossipBlamed(item_id, missing.phase.peer),) if isinstance(missing.phase, Validating) else ()
            return state, (*blamed, *orders)

        case GossipWanted(id=item_id, peer=peer):
            return state, (GossipDeliver(item_id, peer),)

        case GossipFinish(id=item_id):
            return _finish(state, _entry(state, item_id)[0], now)

        case GossipPeerReady(peer=peer, credit=credit) | GossipEligible(peer=peer, credit=credit):
            return _serve_hungry(state.with_credit(peer, credit), peer, now, target_of)

        case GossipPeerGone(peer=peer):
            return _gone(state, peer, now, target_of)

        case GossipTimeout(key=key):
            return _timed_out(state, key, now, target_of)

        case _:
            assert_never(action)


def _entry(state: Gossiper, item_id: bytes) -> tuple[int, Entry]:
    number = state.numbers.get(item_id)
    if number is None:
        raise InvariantViolationError(f"no entry of item {item_id.hex()}")
    return number, state.table[number]


def _begin(state: Gossiper, item_id: bytes, now: Timestamp, target_of: TargetOf) -> Reduced:
    number = state.numbers.get(item_id)
    match None if number is None else state.table[number]:
        case Missing() as entry if number is not None:
            return _hold(state, number, entry, now, target_of)
        case None if (room := state.make_room()) is not None:
            state, number = room.add(Held(item_id, Timestamp(now + state.parameters.current_entry_duration), ()))
            return _advance(state, number, now, target_of)
        case _:
            return state, _NOTHING


def _heard(state: Gossiper, item_id: bytes, peer: int, now: Timestamp, target_of: TargetOf, *, is_stored: bool) -> Reduced:
    known = (GossipKnown(item_id, peer),)
    number = state.numbers.get(item_id)
    match None if number is None else state.table[number]:
        case None if not is_stored:
            return _heard_first(state, item_id, peer, now, target_of)
        case Missing() as entry if number is not None:
            return state.put(number, entry.replace(holders=_with(entry.holders, peer, state))), known
        case Held() as entry if number is not None:
            # Its announcement is as good as its answer, which may never come.
            told = _answered(entry, peer).replace(holders=_with(entry.holders, peer, state))
            state, orders = _advance(state.put(number, told), number, now, target_of)
            return state, (*known, *orders)
        case _:
            return state, known


def _heard_first(state: Gossiper, item_id: bytes, peer: int, now: Timestamp, target_of: TargetOf) -> Reduced:
    room, parameters = state.make_room(), state.parameters
    if room is None:
        return state, (GossipKnown(item_id, peer),)
    ends_at = Timestamp(now + parameters.current_entry_duration)
    if parameters.is_complete:
        state, number = room.add(Held(item_id, ends_at, (peer,)))
        state, orders = _advance(state, number, now, target_of)
        return state, (GossipNew(item_id, peer), *orders)
    phase = Fetching(peer, Timestamp(now + parameters.remainder_timeout))
    return room.add(Missing(item_id, ends_at, (peer,), phase))[0], (GossipFetch(item_id, peer),)


def _hold(state: Gossiper, number: int, missing: Missing, now: Timestamp, target_of: TargetOf) -> Reduced:
    return _advance(state.put(number, Held(missing.id, missing.ends_at, missing.holders)), number, now, target_of)


def _finish(state: Gossiper, number: int, now: Timestamp) -> Reduced:
    entry = state.table[number]
    was_held = isinstance(entry, Held)
    finished = Finished(entry.id, Timestamp(now + state.parameters.finished_entry_duration), was_held)
    return state.put(number, finished), (GossipFinished(entry.id, was_held),)


def _advance(state: Gossiper, number: int, now: Timestamp, target_of: TargetOf) -> Reduced:
    """Tell more peers if there are free slots; end the entry where that has no point or nobody is left (spec: address-gossip 1.9)."""
    entry = state.table[number]
    if not isinstance(entry, Held):
        raise InvariantViolationError(f"entry {number} is not held")
    if entry.is_saturated(state.parameters):
        return _finish(state, number, now)
    target = in_effect(target_of(entry.id), state.credits)
    knowing = {*entry.holders, *entry.attempted}
    slots = entry.free_slots(state.parameters)
    options = [peer for peer in state.eligible if peer not in knowing] if slots else []
    chosen, random = drawn(target, options, slots, state.random)
    state, orders = _tell(state.replace(random=random), number, chosen, now)
    others = slots > len(chosen) and _has_candidate(state, knowing.union(chosen), target)
    if not others and not entry.in_flight and not chosen:
        return _finish(state, number, now)
    hungry = state.hungry.set(number, None) if others else state.hungry.discard(number)
    return state.replace(hungry=hungry), orders


def _has_candidate(state: Gossiper, knowing: set[int], target: Target) -> bool:
    """Whether some ready peer that may be told is not known to have an item; there are rarely as many that do as there are peers."""
    if isinstance(target, Only):
        return any(peer not in knowing and target.is_member(peer) for peer in state.credits)
    return len(state.credits) > len(knowing) or any(peer not in knowing for peer in state.credits)


def _tell(state: Gossiper, number: int, peers: Sequence[int], now: Timestamp) -> Reduced:
    entry = state.table[number]
    if not peers or not isinstance(entry, Held):
        return state, _NOTHING
    deadline = Timestamp(now + state.parameters.answer_timeout)
    for peer in peers:
        state = state.with_credit(peer, state.credits[peer] - 1)
    told = entry.replace(in_flight=(*entry.in_flight, *((peer, deadline) for peer in peers)), attempted=(*entry.attempted, *peers))
    return state.put(number, told), tuple(GossipAnnounce(entry.id, peer) for peer in peers)


def _serve_hungry(state: Gossiper, peer: int, now: Timestamp, target_of: TargetOf) -> Reduced:
    orders: list[GossipOrder] = []
    for number in state.hungry:
        entry = state.table[number]
        if not state.credits[peer]:
            break
        if not isinstance(entry, Held) or peer in entry.holders or peer in entry.attempted:
            continue
        if not admits(in_effect(target_of(entry.id), state.credits), peer):
            continue
        state, more = _tell(state, number, (peer,), now)
        orders += more
        told = state.table[number]
        if isinstance(told, Held) and not told.free_slots(state.parameters):
            state = state.replace(hungry=state.hungry.delete(number))
    return state, orders


def _gone(state: Gossiper, peer: int, now: Timestamp, target_of: TargetOf) -> Reduced:
    state = state.without_peer(peer)
    orders: list[GossipOrder] = []
    for number, entry in state.table.items():
        more: Iterable[GossipOrder] = ()
        match entry:
            case Missing(phase=Fetching(peer=source)) if source == peer:
                state, more = _without_holder(state, number, entry, peer, now)
            case Missing() if peer in entry.holders:
                state = state.put(number, entry.replace(holders=_without(entry.holders, peer)))
            case Held() if entry.deadline_of(peer) is not None or number in state.hungry:
                left = entry.replace(in_flight=tuple(wait for wait in entry.in_flight if wait[0] != peer))
                state, more = _advance(state.put(number, left), number, now, target_of)
            case _:
                pass
        orders += more
    return state, orders


def _timed_out(state: Gossiper, key: int, now: Timestamp, target_of: TargetOf) -> Reduced:
    number, kind, peer = split_wait_key(key)
    entry = state.table[number]
    match entry:
        case Finished():
            return state.remove(number), _NOTHING
        case Held() if kind == WaitKind.ANSWER:
            left = entry.replace(in_flight=tuple(wait for wait in entry.in_flight if wait[0] != peer))
            return _advance(state.put(number, left), number, now, target_of)
        case Missing(phase=Fetching(peer=source)) if kind == WaitKind.BODY:
            return _without_holder(state, number, entry, source, now)
        case _:
            return _finish(state, number, now)


def _without_holder(state: Gossiper, number: int, entry: Missing, peer: int, now: Timestamp) -> Reduced:
    """The holder that was asked is of no use: ask the next, or forget that we ever heard of the item."""
    holders = _without(entry.holders, peer)
    if not holders:
        return state.remove(number), _NOTHING
    phase = Fetching(holders[0], Timestamp(now + state.parameters.remainder_timeout))
    return state.put(number, entry.replace(holders=holders, phase=phase)), (GossipFetch(entry.id, holders[0]),)


def _answered(entry: Held, peer: int) -> Held:
    """Without the wait for a peer's answer, which has the item."""
    in_flight = tuple(wait for wait in entry.in_flight if wait[0] != peer)
    holders = entry.holders if peer in entry.holders else (*entry.holders, peer)
    return entry.replace(in_flight=in_flight, holders=holders) if len(in_flight) != len(entry.in_flight) else entry


def _with(holders: tuple[int, ...], peer: int, state: Gossiper) -> tuple[int, ...]:
    if peer in holders or len(holders) >= state.parameters.holders_max:
        return holders
    return (*holders, peer)


def _without(holders: tuple[int, ...], peer: int) -> tuple[int, ...]:
    return tuple(other for other in holders if other != peer)
