"""The defects of the original's table, absent (spec: address-gossip 1.8), and any order of events."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossip.table import ITEM, Table
from mina_p2p.gossiper import UNLIMITED, GossipParameters
from mina_p2p.gossiper.actions import (
    GossipAccepted,
    GossipAction,
    GossipAnnounce,
    GossipAnswered,
    GossipBegin,
    GossipBodyReceived,
    GossipEligible,
    GossipFetchFailed,
    GossipFinish,
    GossipHeard,
    GossipPeerGone,
    GossipPeerReady,
    GossipRejected,
    GossipTimeout,
    GossipWanted,
)
from mina_p2p.gossiper.state import WaitKind, wait_key
from mina_p2p.ids import SECOND


def test_an_announcement_in_place_of_an_answer_wedges_nothing() -> None:
    """D1: a peer that we told announces the item itself and its answer is lost; its slot comes back, and the entry ends."""
    table = Table(peers=4, is_complete=True)
    table.do(GossipBegin(ITEM))
    first, second, third = table.told()
    table.do(GossipHeard(ITEM, first))
    assert len(table.told()) == 4, "the slot is used again at once"
    for peer in (second, third):
        table.do(GossipAnswered(ITEM, peer, False))
    table.wait(10.2)
    assert table.where() == "finished"
    table.wait(60.2)
    assert table.where() == "absent"


def test_lost_answers_wedge_nothing() -> None:
    """D1: with no answer at all, all are told in their turn, and the entry ends after the last."""
    table = Table(peers=40)
    table.do(GossipBegin(ITEM))
    table.wait(5 * 10 + 0.6)
    assert table.where() == "finished"
    assert len(table.told()) == 15


def test_answers_that_nobody_asked_for_change_nothing() -> None:
    """D3: an answer to what was not said, or said twice, frees no slot."""
    table = Table(peers=10)
    table.do(GossipBegin(ITEM))
    told = table.told()
    others = [peer for peer in range(1, 11) if peer not in told]
    assert not any(table.is_enabled(GossipAnswered(ITEM, peer, is_held)) for peer in others for is_held in (False, True))
    table.do(GossipAnswered(ITEM, told[0], False))
    assert not table.is_enabled(GossipAnswered(ITEM, told[0], False))
    assert not table.is_enabled(GossipAnswered(b"another", told[1], True))


def test_a_late_wait_does_not_touch_the_next_entry() -> None:
    """The wait of an entry that is forgotten says nothing of a later one of the same item."""
    table = Table(peers=5)
    table.do(GossipBegin(ITEM))
    late = GossipTimeout(wait_key(1, WaitKind.ANSWER, table.told()[0]))
    table.do(GossipFinish(ITEM))
    table.wait(61)
    table.do(GossipBegin(ITEM))
    table.now = type(table.now)(table.now + 11 * SECOND)
    assert table.where() == "held"
    assert not table.is_enabled(late)


def test_nothing_is_under_way_for_ever() -> None:
    """D4: with nobody who permits anything, an item ends at its age."""
    table = Table(peers=5, credit=0)
    table.do(GossipBegin(ITEM))
    table.wait(119)
    assert table.where() == "hungry"
    table.wait(1.2)
    assert table.where() == "finished"


def test_a_peer_that_goes_frees_its_slot_at_once() -> None:
    """D5: nobody waits for the answer, or the item, of a peer that is gone."""
    table = Table(peers=6)
    table.do(GossipBegin(ITEM))
    gone = table.told()[0]
    assert [type(order) for order in table.do(GossipPeerGone(gone))] == [GossipAnnounce]
    table.do(GossipHeard(b"other", 6 if gone != 6 else 5))
    table.do(GossipPeerGone(6 if gone != 6 else 5))
    assert table.where(b"other") == "absent"


PRODUCTION: dict[str, Any] = {"answer_timeout": 30 * SECOND, "finished_entry_duration": 60 * SECOND}


def test_numbers_that_keep_items_alive_for_ever_are_refused() -> None:
    """D2: what Casper runs with is refused, what its code has by default is not (spec: address-gossip 1.8)."""
    with pytest.raises(ValueError, match="under 155 s"):
        GossipParameters(**PRODUCTION)
    assert GossipParameters().attempts_max == 15
    assert GossipParameters(answer_timeout=30 * SECOND, finished_entry_duration=155 * SECOND).attempts_max == 15


def test_the_numbers_are_those_of_the_original() -> None:
    """As its code has them; a second type of items has its own (spec: address-gossip 1.1)."""
    numbers = GossipParameters()
    assert (numbers.infection_target, numbers.saturation_limit_percent) == (3, 80)
    assert (numbers.finished_entry_duration, numbers.answer_timeout) == (60 * SECOND, 10 * SECOND)
    assert (numbers.remainder_timeout, numbers.validation_timeout) == (60 * SECOND, 60 * SECOND)


def test_versions_make_the_inequality_needless() -> None:
    """Where the owner refuses what is old, forgetting is harmless."""
    assert GossipParameters(is_versioned=True, **PRODUCTION).is_versioned


@pytest.mark.parametrize(
    "wrong",
    [
        {"infection_target": 0},
        {"saturation_limit_percent": 100},
        {"saturation_limit_percent": -1},
        {"finished_entry_duration": 0},
        {"answer_timeout": 0},
        {"remainder_timeout": 0},
        {"validation_timeout": -1},
        {"entries_max": 0},
        {"holders_max": 0},
    ],
)
def test_numbers_that_mean_nothing_are_refused(wrong: dict[str, Any]) -> None:
    """Before any state exists."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        GossipParameters(**wrong)


@pytest.mark.parametrize(("target", "percent", "most"), [(3, 80, 15), (3, 99, 300), (3, 0, 3), (1, 50, 2), (5, 80, 25)])
def test_the_most_that_are_told(target: int, percent: int, most: int) -> None:
    """L = 100 k / (100 - s), rounded down, and never under k."""
    duration = 10 * SECOND * 100 // (100 - percent) + 5 * SECOND
    assert (
        GossipParameters(infection_target=target, saturation_limit_percent=percent, finished_entry_duration=duration).attempts_max == most
    )


ITEMS = st.sampled_from([b"a", b"b", b"c"])
PEERS = st.integers(1, 6)
EVENTS: st.SearchStrategy[GossipAction | float] = st.one_of(
    st.builds(GossipBegin, ITEMS),
    st.builds(GossipHeard, ITEMS, PEERS),
    st.builds(GossipAnswered, ITEMS, PEERS, st.booleans()),
    st.builds(GossipBodyReceived, ITEMS, PEERS, st.just(b"")),
    st.builds(GossipFetchFailed, ITEMS, PEERS),
    st.builds(GossipAccepted, ITEMS),
    st.builds(GossipRejected, ITEMS),
    st.builds(GossipWanted, ITEMS, PEERS),
    st.builds(GossipFinish, ITEMS),
    st.builds(GossipPeerReady, PEERS, st.sampled_from([0, 1, 2, UNLIMITED])),
    st.builds(GossipEligible, PEERS, st.integers(0, 3)),
    st.builds(GossipPeerGone, PEERS),
    st.floats(0.1, 30),
)


@settings(max_examples=300, deadline=None)
@given(events=st.lists(EVENTS, max_size=60), is_complete=st.booleans(), seed=st.integers(0, 5))
def test_any_order_of_events_keeps_the_rules_and_ends(events: list[GossipAction | float], is_complete: bool, seed: int) -> None:
    """After every step the invariants hold; once nothing happens any more, the table empties by itself (`gossip.table.check`)."""
    table = Table(is_complete=is_complete, seed=seed, entries_max=2)
    for event in events:
        if isinstance(event, float | int):
            table.wait(event)
        else:
            table.do(event)
    table.wait(3 * 60 + 1)
    assert len(table.gossip.table) == len(table.gossip.deadlines) == 0
