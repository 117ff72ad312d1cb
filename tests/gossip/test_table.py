"""Every state of an item with every action."""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

import pytest

from gossip.table import ITEM, Table
from mina_p2p.gossiper.actions import (
    GossipAccepted,
    GossipAction,
    GossipAnnounce,
    GossipAnswered,
    GossipBegin,
    GossipBodyReceived,
    GossipEligible,
    GossipFetch,
    GossipFetchFailed,
    GossipFinish,
    GossipFinished,
    GossipHeard,
    GossipNew,
    GossipPeerGone,
    GossipPeerReady,
    GossipRejected,
    GossipTimeout,
    GossipWanted,
)
from mina_p2p.gossiper.state import WaitKind, wait_key

ASKED, OTHER, STRANGER = 1, 2, 9
"""The peer that an item is fetched from, or that was told first; another; one that is not connected."""


def absent() -> Table:
    return Table(peers=5)


def missing() -> Table:
    table = absent()
    table.do(GossipHeard(ITEM, ASKED))
    return table


def missing_with_two() -> Table:
    table = missing()
    table.do(GossipHeard(ITEM, OTHER))
    return table


def judged() -> Table:
    table = missing()
    table.do(GossipBodyReceived(ITEM, ASKED, b"body"))
    return table


def held() -> Table:
    """Three peers were told, `ASKED` but not `OTHER` among them: the first seed that has it so."""
    for seed in range(100):
        table = Table(peers=5, seed=seed)
        table.do(GossipBegin(ITEM))
        if ASKED in table.told() and OTHER not in table.told():
            return table
    raise AssertionError("no seed of a hundred")


def hungry() -> Table:
    """Nobody may be told just now."""
    table = Table(peers=5, credit=0)
    table.do(GossipBegin(ITEM))
    return table


def finished() -> Table:
    table = held()
    table.do(GossipFinish(ITEM))
    return table


def refused() -> Table:
    table = judged()
    table.do(GossipRejected(ITEM))
    return table


STATES: dict[str, Callable[[], Table]] = {
    "absent": absent,
    "missing": missing,
    "missing with two": missing_with_two,
    "judged": judged,
    "held": held,
    "hungry": hungry,
    "finished": finished,
    "refused": refused,
}

ACTIONS: dict[str, GossipAction] = {
    "begin": GossipBegin(ITEM),
    "heard": GossipHeard(ITEM, OTHER),
    "heard of whom we told": GossipHeard(ITEM, ASKED),
    "heard, and stored": GossipHeard(ITEM, OTHER, is_stored=True),
    "heard of a stranger": GossipHeard(ITEM, STRANGER),
    "answered new": GossipAnswered(ITEM, ASKED, False),
    "answered held": GossipAnswered(ITEM, ASKED, True),
    "answered by a stranger": GossipAnswered(ITEM, STRANGER, False),
    "body": GossipBodyReceived(ITEM, ASKED, b"body"),
    "body of another": GossipBodyReceived(ITEM, OTHER, b"body"),
    "fetch failed": GossipFetchFailed(ITEM, ASKED),
    "accepted": GossipAccepted(ITEM),
    "rejected": GossipRejected(ITEM),
    "wanted": GossipWanted(ITEM, OTHER),
    "wanted by a stranger": GossipWanted(ITEM, STRANGER),
    "finish": GossipFinish(ITEM),
    "a new peer": GossipPeerReady(STRANGER, 1),
    "an old peer again": GossipPeerReady(ASKED, 1),
    "permitted": GossipEligible(ASKED, 1),
    "permitted by a stranger": GossipEligible(STRANGER, 1),
    "gone": GossipPeerGone(ASKED),
    "a stranger gone": GossipPeerGone(STRANGER),
    "too early": GossipTimeout(wait_key(1, WaitKind.AGE)),
}

TABLE: dict[str, dict[str, str]] = {
    "absent": {
        "begin": "held: Announce x3",
        "heard of whom we told": "missing: Fetch",
        "heard": "missing: Fetch",
        "heard, and stored": "absent: Known",
        "a new peer": "absent",
        "permitted": "absent",
        "gone": "absent",
    },
    "missing": {
        "begin": "held: Announce x3",
        "heard of whom we told": "missing: Known",
        "heard": "missing: Known",
        "heard, and stored": "missing: Known",
        "body": "judged: Validate",
        "fetch failed": "absent",
        "accepted": "held: Announce x3",
        "rejected": "refused: Finished",
        "finish": "refused: Finished",
        "a new peer": "missing",
        "permitted": "missing",
        "gone": "absent",
    },
    "missing with two": {
        "begin": "held: Announce x3",
        "heard of whom we told": "missing: Known",
        "heard": "missing: Known",
        "heard, and stored": "missing: Known",
        "body": "judged: Validate",
        "fetch failed": "missing: Fetch",
        "accepted": "held: Announce x3",
        "rejected": "refused: Finished",
        "finish": "refused: Finished",
        "a new peer": "missing",
        "permitted": "missing",
        "gone": "missing: Fetch",
    },
    "judged": {
        "begin": "held: Announce x3",
        "heard of whom we told": "judged: Known",
        "heard": "judged: Known",
        "heard, and stored": "judged: Known",
        "fetch failed": "absent",
        "accepted": "held: Announce x3",
        "rejected": "refused: Blamed, Finished",
        "finish": "refused: Finished",
        "a new peer": "judged",
        "permitted": "judged",
        "gone": "judged",
    },
    "held": {
        "heard of whom we told": "held: Known, Announce",
        "heard": "held: Known",
        "heard, and stored": "held: Known",
        "answered new": "held",
        "answered held": "held: Announce",
        "wanted": "held: Deliver",
        "finish": "finished: Finished",
        "a new peer": "held",
        "permitted": "held",
        "gone": "held: Announce",
    },
    "hungry": {
        "heard of whom we told": "hungry: Known",
        "heard": "hungry: Known",
        "heard, and stored": "hungry: Known",
        "wanted": "hungry: Deliver",
        "finish": "finished: Finished",
        "a new peer": "hungry: Announce",
        "permitted": "hungry: Announce",
        "gone": "hungry",
    },
    "finished": {
        "heard of whom we told": "finished: Known",
        "heard": "finished: Known",
        "heard, and stored": "finished: Known",
        "wanted": "finished: Deliver",
        "a new peer": "finished",
        "permitted": "finished",
        "gone": "finished",
    },
    "refused": {
        "heard of whom we told": "refused: Known",
        "heard": "refused: Known",
        "heard, and stored": "refused: Known",
        "a new peer": "refused",
        "permitted": "refused",
        "gone": "refused",
    },
}
"""Where an action leads and what it orders; what is not listed changes nothing."""


def outcome(table: Table, action: GossipAction) -> str | None:
    """As in `TABLE`; ``None`` where nothing changed."""
    before = table.gossip
    orders = table.do(action)
    if table.gossip is before and not orders:
        return None
    names: dict[str, int] = {}
    for order in orders:
        name = type(order).__name__.removeprefix("Gossip")
        names[name] = names.get(name, 0) + 1
    said = ", ".join(name if count == 1 else f"{name} x{count}" for name, count in names.items())
    return f"{table.where()}: {said}" if said else table.where()


@pytest.mark.parametrize("state", STATES)
def test_every_action_in_every_state(state: str) -> None:
    """What the table lists leads where it says; all else is refused."""
    found = {name: outcome(STATES[state](), action) for name, action in ACTIONS.items()}
    assert {name: said for name, said in found.items() if said is not None} == {n: s for n, s in TABLE[state].items() if s}


def test_the_table_has_every_action() -> None:
    """An action that is added is added here."""
    assert {type(action) for action in ACTIONS.values()} == set(get_args(GossipAction))


@pytest.mark.parametrize(
    ("state", "seconds", "where"),
    [
        ("missing", 59, "missing"),
        ("missing", 60.2, "absent"),
        ("missing with two", 60.2, "missing"),
        ("missing with two", 120.4, "absent"),
        ("judged", 60.2, "refused"),
        ("held", 9, "held"),
        ("held", 60, "finished"),
        ("hungry", 119, "hungry"),
        ("hungry", 120.2, "finished"),
        ("finished", 59, "finished"),
        ("finished", 60.2, "absent"),
        ("refused", 60.2, "absent"),
    ],
)
def test_every_wait_ends(state: str, seconds: float, where: str) -> None:
    """Whatever an item has come to, time alone leads on."""
    table = STATES[state]()
    table.wait(seconds)
    assert table.where() == where


def test_a_complete_item_is_new_once() -> None:
    """The owner is told of an item whose id is all of it when it is heard of first, and others are told at once."""
    table = Table(peers=5, is_complete=True)
    table.do(GossipHeard(ITEM, ASKED))
    assert table.orders[0] == GossipNew(ITEM, ASKED)
    assert sum(isinstance(order, GossipAnnounce) for order in table.orders) == 3
    table.do(GossipHeard(ITEM, OTHER))
    assert not any(isinstance(order, GossipNew) for order in table.orders)


def test_who_told_us_is_not_told() -> None:
    """The peer that an item came from knows it."""
    for seed in range(20):
        table = Table(peers=4, seed=seed, is_complete=True)
        table.do(GossipHeard(ITEM, ASKED))
        table.wait(120)
        assert sorted(table.told()) == [2, 3, 4]


def test_it_ends_when_enough_were_new() -> None:
    """With three infected nobody else is told (reference: should_terminate_via_infection_limit)."""
    table = Table(peers=20)
    table.do(GossipBegin(ITEM))
    for peer in table.told():
        table.do(GossipAnswered(ITEM, peer, False))
    assert table.where() == "finished"
    assert len(table.told()) == 3


def test_it_ends_when_enough_knew() -> None:
    """The fifteenth that knew it is the last (reference: should_terminate_via_saturation)."""
    table = Table(peers=50)
    table.do(GossipBegin(ITEM))
    answered = 0
    while table.where() == "held":
        table.do(GossipAnswered(ITEM, table.told()[answered], True))
        answered += 1
    assert len(table.told()) == 15


def test_being_told_does_not_end_it() -> None:
    """Peers that tell us do not count as saturation (reference: should_not_terminate_via_incoming_gossip)."""
    table = Table(peers=40)
    table.do(GossipBegin(ITEM))
    first = table.told()
    for peer in range(1, 31):
        if peer not in first:
            table.do(GossipHeard(ITEM, peer))
    assert table.where() == "held"


def test_without_anybody_it_ends_at_once() -> None:
    """A node that is alone has nobody to wait for (spec: address-gossip 3.1)."""
    table = Table()
    assert table.do(GossipBegin(ITEM)) == [GossipFinished(ITEM, True)]


def test_permission_bounds_what_a_peer_is_told() -> None:
    """A peer is told no more ids than it permitted, and the rest when it permits more."""
    table = Table(peers=1, credit=2)
    for number in range(5):
        table.do(GossipBegin(b"item %d" % number))
    assert sum(isinstance(order, GossipAnnounce) for order in table.all) == 2
    table.do(GossipEligible(1, 16))
    assert sum(isinstance(order, GossipAnnounce) for order in table.all) == 5


def test_a_full_table_forgets_the_oldest_finished_and_else_takes_nothing() -> None:
    """Entries are bounded: what is under way stays."""
    table = Table(peers=1, credit=0, entries_max=3)
    for number in range(3):
        table.do(GossipHeard(b"item %d" % number, 1))
    table.do(GossipHeard(b"more", 1))
    table.do(GossipBegin(b"more"))
    assert table.where(b"more") == "absent"
    table.do(GossipFinish(b"item 1"))
    table.do(GossipHeard(b"more", 1))
    assert (table.where(b"item 1"), table.where(b"more")) == ("absent", "missing")


def test_holders_are_asked_in_turn() -> None:
    """Each that fails is not asked again, and with the last one the item was never heard of (reference: should_get_from_alternate_source)."""
    table = Table(peers=3)
    for peer in (1, 2, 3):
        table.do(GossipHeard(ITEM, peer))
    asked = [order.peer for order in table.all if isinstance(order, GossipFetch)]
    for _round in range(3):
        asked += [order.peer for order in table.do(GossipFetchFailed(ITEM, asked[-1])) if isinstance(order, GossipFetch)]
    assert asked == [1, 2, 3]
    assert table.where() == "absent"
