"""Whom items are announced to: everybody, a set only, or a set and others in turn (spec: address-gossip 1.6)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossip.table import ITEM, Table
from mina_p2p.gossiper import UNLIMITED
from mina_p2p.gossiper.actions import (
    GossipAction,
    GossipAnnounce,
    GossipAnswered,
    GossipBegin,
    GossipEligible,
    GossipFinished,
    GossipHeard,
    GossipPeerGone,
    GossipPeerReady,
)
from mina_p2p.gossiper.targets import All, Mixed, Only, Target, admits, drawn, in_effect
from mina_p2p.prng import Random


def _is_even(peer: int) -> bool:
    return peer % 2 == 0


def _always(target: Target) -> Callable[[bytes], Target]:
    return lambda _item_id: target


@pytest.mark.parametrize(
    ("target", "options", "count", "kinds"),
    [
        (All(), [], 3, [""]),
        (All(), [1], 3, ["o"]),
        (Only(_is_even), [1, 3, 5], 3, [""]),
        (Only(_is_even), [1, 2, 3], 3, ["m"]),
        (Only(_is_even), [2, 4, 6, 8], 3, ["mmm"]),
        (Mixed(_is_even), [], 3, [""]),
        (Mixed(_is_even), [1, 3, 5, 7], 3, ["ooo"]),
        (Mixed(_is_even), [2, 4, 6, 8], 3, ["mmm"]),
        (Mixed(_is_even), [1, 2, 3, 4, 5, 6], 0, [""]),
        (Mixed(_is_even), [1, 2, 3, 4, 5, 6], 1, ["m", "o"]),
        (Mixed(_is_even), [1, 2, 3, 4, 5, 6], 3, ["mom", "omo"]),
        (Mixed(_is_even), [1, 2, 3, 4, 5, 6], 4, ["momo", "omom"]),
        (Mixed(_is_even), [1, 2, 3, 5], 4, ["mooo", "omoo"]),
        (Mixed(_is_even), [1, 2, 4, 6], 3, ["mom", "omm"]),
        (Mixed(_is_even), [1, 2, 3, 4], 9, ["momo", "omom"]),
    ],
)
def test_who_is_drawn(target: Target, options: list[int], count: int, kinds: list[str]) -> None:
    """Members (m) and others (o), in the orders that the coin decides; each order comes up, and nobody comes twice."""
    found = set[str]()
    for seed in range(40):
        peers, _random = drawn(target, options, count, Random(seed))
        assert len(set(peers)) == len(peers)
        assert set(peers) <= set(options)
        found.add("".join("m" if _is_even(peer) else "o" for peer in peers))
    assert found == set(kinds)


@pytest.mark.parametrize("target", [All(), Only(_is_even), Mixed(_is_even)])
def test_a_draw_is_uniform_and_repeats(target: Target) -> None:
    """The dice of the state decide: one seed, one outcome; over many seeds each peer that may be told is as likely, and the coin is fair."""
    draws = [drawn(target, range(1, 9), 3, Random(seed)) for seed in range(2000)]
    assert draws == [drawn(target, range(1, 9), 3, Random(seed)) for seed in range(2000)]
    assert all(random.counter > 0 for _peers, random in draws)
    counts = Counter(peer for peers, _random in draws for peer in peers)
    expected = {
        peer: 6000 / (4 if isinstance(target, Only) else 8) for peer in range(1, 9) if not isinstance(target, Only) or _is_even(peer)
    }
    assert set(counts) == set(expected)
    assert all(abs(counts[peer] - often) < 0.15 * often for peer, often in expected.items())
    if isinstance(target, Mixed):
        assert abs(sum(_is_even(peers[0]) for peers, _random in draws) - 1000) < 100


def test_everybody_is_drawn_as_ever() -> None:
    """Logs that were written before there were targets replay: without one, seeds lead to the same peers as they did."""
    peers, random = drawn(All(), range(1, 21), 5, Random(7))
    assert (peers, random.counter) == ([8, 1, 17, 10, 20], 5)
    table = Table(peers=20, seed=7)
    table.do(GossipBegin(ITEM))
    assert table.told() == [8, 1, 17]


@pytest.mark.parametrize("target", [Only(_is_even), Mixed(_is_even)])
def test_a_set_of_which_nobody_is_ready_is_everybody(target: Target) -> None:
    """Else an item would end with its owner; and as soon as one of the set is ready it counts again."""
    assert in_effect(target, [1, 3]) == All()
    assert in_effect(target, []) == All()
    assert in_effect(target, [1, 2]) is target
    table = Table(target_of=_always(target))
    for peer in (1, 3, 5, 7):
        table.do(GossipPeerReady(peer, UNLIMITED))
    table.do(GossipBegin(ITEM))
    assert len(table.told()) == 3
    table.do(GossipPeerReady(2, UNLIMITED))
    table.do(GossipBegin(b"another"))
    assert (table.told(b"another") == [2]) is isinstance(target, Only)


def test_only_ends_when_the_set_was_told() -> None:
    """Peers outside it are nobody who could still be told."""
    table = Table(peers=9, target_of=_always(Only(lambda peer: peer in {4, 6})))
    table.do(GossipBegin(ITEM))
    assert sorted(table.told()) == [4, 6]
    table.do(GossipAnswered(ITEM, 4, is_held=False))
    assert table.do(GossipAnswered(ITEM, 6, is_held=False)) == [GossipFinished(ITEM, True)]
    assert sorted(table.told()) == [4, 6]


def test_only_waits_for_the_permission_of_the_set() -> None:
    """A permission of somebody else is not used, one of the set is; and where the last of the set goes, everybody's is."""
    table = Table(peers=5, credit=0, target_of=_always(Only(_is_even)))
    table.do(GossipBegin(ITEM))
    assert table.where() == "hungry"
    assert table.do(GossipEligible(1, 1)) == []
    assert table.do(GossipEligible(2, 1)) == [GossipAnnounce(ITEM, 2)]
    table.do(GossipBegin(b"another"))
    table.do(GossipPeerGone(2))
    assert table.where(b"another") == "hungry"
    table.do(GossipEligible(3, 2))
    assert table.told(b"another") == []
    table.do(GossipPeerGone(4))
    assert set(table.told(b"another")) <= {1, 3}
    assert 3 in table.told(b"another")


def test_a_set_that_changes_counts_from_then_on() -> None:
    """The validators of the next era: what is under way goes to them."""
    council = {1, 2, 3}
    table = Table(peers=9, target_of=_always(Only(lambda peer: peer in council)))
    table.do(GossipBegin(ITEM))
    assert set(table.told()) == council
    council = {7, 8, 9}
    table.do(GossipAnswered(ITEM, 1, is_held=True))
    assert set(table.told()[3:]) <= council
    assert len(table.told()) == 4


def test_each_item_has_its_own_target() -> None:
    """One gossiper can announce some items to a set and others to all."""
    table = Table(peers=8, target_of=lambda item_id: Only(_is_even) if item_id == ITEM else All())
    table.do(GossipBegin(ITEM))
    assert all(map(_is_even, table.told()))
    others = [b"item %d" % number for number in range(20)]
    for item in others:
        table.do(GossipBegin(item))
    assert {peer for item in others for peer in table.told(item)} == set(range(1, 9))


def test_who_tells_us_may_be_outside_the_set() -> None:
    """A target bounds whom we tell, not whom we hear."""
    table = Table(peers=8, is_complete=True, target_of=_always(Only(_is_even)))
    table.do(GossipHeard(ITEM, 1))
    assert table.told()
    assert all(map(_is_even, table.told()))


PEERS = st.integers(1, 8)
EVENTS: st.SearchStrategy[GossipAction | float] = st.one_of(
    st.builds(GossipBegin, st.sampled_from([b"a", b"b"])),
    st.builds(GossipHeard, st.sampled_from([b"a", b"b"]), PEERS),
    st.builds(GossipAnswered, st.sampled_from([b"a", b"b"]), PEERS, st.booleans()),
    st.builds(GossipPeerReady, PEERS, st.sampled_from([0, 1, UNLIMITED])),
    st.builds(GossipEligible, PEERS, st.integers(0, 3)),
    st.builds(GossipPeerGone, PEERS),
    st.floats(0.1, 30),
)


@settings(max_examples=200, deadline=None)
@given(
    events=st.lists(EVENTS, max_size=50),
    members=st.frozensets(PEERS),
    is_only=st.booleans(),
    is_complete=st.booleans(),
    seed=st.integers(0, 5),
)
def test_nobody_outside_is_told_while_the_set_is_not_empty(
    events: list[GossipAction | float], members: frozenset[int], is_only: bool, is_complete: bool, seed: int
) -> None:
    """In any order of events: what was ordered was admitted when it was, the invariants hold, everything ends, and it all repeats."""
    target = Only(members.__contains__) if is_only else Mixed(members.__contains__)
    tables = [Table(is_complete=is_complete, seed=seed, target_of=_always(target)) for _twin in range(2)]
    for event in events:
        for table in tables:
            orders = table.wait(event) if isinstance(event, float | int) else table.do(event)
            ready = table.gossip.credits.keys()
            told = [order.peer for order in orders if isinstance(order, GossipAnnounce)]
            assert all(admits(in_effect(target, ready), peer) for peer in told)
    assert tables[0].all == tables[1].all
    tables[0].wait(3 * 60 + 1)
    assert len(tables[0].gossip.table) == len(tables[0].gossip.deadlines) == 0
