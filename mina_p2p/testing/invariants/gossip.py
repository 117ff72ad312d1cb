"""Invariants of the gossiper, and of the discovery that has one inside."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from mina_p2p.channels.address_gossip.state import RING_MAX, Permitted, WaitKind, wait_key
from mina_p2p.connection.state import Ready
from mina_p2p.gossiper.state import Finished, Gossiper, Held, Missing, Validating
from mina_p2p.gossiper.state import WaitKind as ItemWait
from mina_p2p.gossiper.state import wait_key as item_wait_key
from mina_p2p.ids import ChannelId, ConnectionId, Timestamp
from mina_p2p.state import P2pState
from mina_p2p.testing.invariants.basis import differ, over, waits_differ


def gossiper_violations(path: str, gossip: Gossiper) -> Iterator[str]:
    """What is wrong in a gossip table (spec: address-gossip 1.9)."""
    parameters, waits = gossip.parameters, list[tuple[Timestamp | None, int]]()
    yield from over(f"{path}.table", len(gossip.table), parameters.entries_max)
    yield from differ(f"{path}.numbers", len(gossip.numbers), len(gossip.table))
    ready = gossip.credits.keys()
    yield from differ(f"{path}.eligible", list(gossip.eligible), [peer for peer, credit in gossip.credits.items() if credit > 0])
    finished = [number for number, entry in gossip.table.items() if isinstance(entry, Finished)]
    yield from differ(f"{path}.finished", gossip.finished.keys(), finished)
    for number, entry in gossip.table.items():
        at = f"{path}.table[{number}]"
        yield from differ(f"{at} in numbers", gossip.numbers.get(entry.id), number)
        waits.append((entry.ends_at, item_wait_key(number, ItemWait.AGE)))
        match entry:
            case Missing(phase=phase, holders=holders):
                waits.append((phase.deadline, item_wait_key(number, ItemWait.BODY)))
                if not holders and not isinstance(phase, Validating):
                    yield f"{at}: nobody has it who could be asked"
            case Held(in_flight=in_flight, attempted=attempted, infected=infected):
                waits += [(deadline, item_wait_key(number, ItemWait.ANSWER, peer)) for peer, deadline in in_flight]
                peers = [peer for peer, _ in in_flight]
                yield from over(f"{at}.attempted", len(attempted), parameters.attempts_max)
                yield from over(f"{at} in flight and infected", len(peers) + len(infected), parameters.infection_target)
                if not {*peers, *infected} <= set(attempted):
                    yield f"{at}: answers of peers that were not told"
                if not set(peers) <= set(ready):
                    yield f"{at}: answers of peers that are gone are awaited"
                if not peers and number not in gossip.hungry:
                    yield f"{at}: waits for nothing, and does not end"
            case Finished():
                pass
    if not set(gossip.hungry) <= set(gossip.table) - set(finished):
        yield f"{path}.hungry: entries that are not told"
    yield from waits_differ(f"{path}.deadlines", gossip.deadlines, waits)


def address_gossip_violations(state: P2pState) -> Iterator[str]:
    """What is wrong in the discovery by addresses."""
    slice_, config, path = state.address_gossip, state.config.address_gossip, "address_gossip"
    yield from gossiper_violations(f"{path}.gossip", slice_.gossip)
    agreed = [
        number
        for number, connection in state.connections.table.items()
        if isinstance(connection.status, Ready) and ChannelId.ADDRESS_GOSSIP in connection.status.channels
    ]
    yield from differ(f"{path}.links", slice_.links.keys(), agreed)
    yield from differ(f"{path}.gossip.credits", slice_.gossip.credits.keys(), agreed)
    waits: list[tuple[Timestamp | None, int]] = []
    if ChannelId.ADDRESS_GOSSIP in state.config.channels:
        waits.append((slice_.own.next_tick, wait_key(WaitKind.TICK)))
    for number, link in slice_.links.items():
        at = f"{path}.links[{number}]"
        yield from over(f"{at}.sent", len(link.sent), RING_MAX)
        yield from over(f"{at}.seen", len(link.seen), RING_MAX)
        if link.unanswered and link.unanswered != link.sent[-len(link.unanswered) :]:
            yield f"{at}.unanswered: what was not named last"
        if isinstance(link.permitted, Permitted):
            yield from over(f"{at}.due", len(link.due), max(link.permitted.limit, len(slice_.gossip.table) + 1))
        kinds = (WaitKind.GRANT, WaitKind.FETCH, WaitKind.FLUSH)
        waits += [(when, wait_key(kind, number)) for kind, when in zip(kinds, link.waits, strict=True)]
    yield from over(f"{path}.book", len(slice_.book), config.book_max)
    counts: dict[ConnectionId, int] = {}
    for known_number, known in slice_.book.table.items():
        waits.append((known.ends_at, wait_key(WaitKind.EXPIRY, known_number)))
        yield from differ(f"{path}.book.numbers of {known_number}", slice_.book.numbers.get(known.record.public_key), known_number)
        if known.learned_from is not None:
            counts[known.learned_from] = counts.get(known.learned_from, 0) + 1
    yield from over(f"{path}.book.unproven", sum(counts.values()), config.unproven_max)
    yield from over(f"{path}.book.unproven of one peer", max(counts.values(), default=0), config.unproven_per_relayer_max)
    strangers = Counter(known.counted_in for known in slice_.book.table.values() if known.counted_in is not None)
    yield from differ(f"{path}.book.groups", {group: slice_.book.groups.get(group) for group in strangers}, dict(strangers))
    yield from differ(f"{path}.book.groups.count", len(slice_.book.groups), len(strangers))
    yield from over(f"{path}.book.groups of one network", max(strangers.values(), default=0), config.unproven_per_group_max)
    yield from differ(f"{path}.book.unproven", dict(slice_.book.unproven.items()), dict(sorted(counts.items())))
    yield from over(f"{path}.dialled", len(slice_.dialled), config.dials_per_minute)
    waits.append((slice_.dials_at, wait_key(WaitKind.DIAL)))
    for waiting in slice_.undialled:
        if waiting not in slice_.book.table:
            yield f"{path}.undialled[{waiting}]: no node of the book has that number"
    if slice_.undialled and len(slice_.dialled) < config.dials_per_minute:
        yield f"{path}.undialled: nodes wait although no others were dialled"
    for check_number, check in slice_.verifications.items():
        waits.append((check.deadline, wait_key(WaitKind.CHECK, check_number)))
        if check.connection_id not in slice_.links:
            yield f"{path}.verifications[{check_number}]: of a connection that is gone"
    yield from waits_differ(f"{path}.deadlines", slice_.deadlines, waits)
