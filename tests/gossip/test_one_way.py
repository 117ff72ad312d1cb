"""Nodes that reach others and that nobody reaches: behind routers, in clouds (spec: address-gossip 2.2, 2.8, 5.6)."""

from __future__ import annotations

from itertools import combinations

import pytest

from gossip.grown import dials
from mina_p2p.testing.towns import PERIOD, Town

PUBLIC, HIDDEN = range(1, 7), range(7, 10)


def mixed(seed: int, *, is_strict: bool = False, is_telling: bool = True, wished: int = 50) -> Town:
    """Six nodes that can be dialled and three that can not, which all know the first only."""
    made = Town(seed, is_strict=is_strict, check_every=5)
    for place in (*PUBLIC, *HIDDEN):
        told = {} if is_telling or place in PUBLIC else {"addresses": ()}
        if place in HIDDEN:
            made.simulation.network.unreachable.add(made.peer_id(place))
        made.start(place, *(() if place == 1 else (1,)), wished=wished, **told)
    return made


def all_that_can_be(made: Town) -> bool:
    """Whether all pairs are connected of which one can be dialled."""
    pairs = [pair for pair in combinations(made.nodes, 2) if not set(pair) <= set(HIDDEN)]
    return all(made.peer_id(one) in made.links(other) and made.peer_id(other) in made.links(one) for one, other in pairs)


@pytest.mark.parametrize("is_telling", [True, False], ids=["tells an address", "tells none"])
@pytest.mark.parametrize("is_strict", [True, False], ids=["six rules", "default"])
def test_every_pair_that_can_be_connected_is(is_strict: bool, is_telling: bool) -> None:
    """Within two periods: who can not be dialled dials, and its connections carry what any others do, both ways."""
    for seed in range(4):
        made = mixed(seed, is_strict=is_strict, is_telling=is_telling)
        assert made.until(lambda: all_that_can_be(made), 2 * PERIOD) is not None, f"seed {seed}"  # noqa: B023 - asked at once
        for place in HIDDEN:
            others = {made.peer_id(other) for other in PUBLIC}
            assert made.links(place) == others
            known = {known.record.public_key for known in made.nodes[place].state.address_gossip.book.table.values()}
            assert others <= known


def test_who_can_not_be_reached_is_dialled_once_for_each_record() -> None:
    """In the pure proposal: not by who is connected with it, and by others once in a period, whoever tells of it."""
    made = mixed(1, is_strict=True)
    assert made.until(lambda: all_that_can_be(made), 2 * PERIOD) is not None
    public, hidden = dials(made, 2), dials(made, 7)
    made.run(4 * PERIOD)
    assert public == []
    assert sorted(hidden) == [8] * 4 + [9] * 4


def test_where_it_has_failed_the_pause_grows() -> None:
    """By default a newer record is worth an attempt too, and else the pauses between attempts double."""
    made = mixed(1)
    assert made.until(lambda: all_that_can_be(made), 2 * PERIOD) is not None
    made.run(PERIOD)
    hidden = dials(made, 7)
    made.run(10 * PERIOD)
    assert 10 <= hidden.count(8) <= 40


@pytest.mark.parametrize("hidden_is_greater", [True, False])
def test_two_that_dial_each_other_meet_although_one_dial_fails(hidden_is_greater: bool) -> None:
    """The rule for crossing dials may refuse the one that would succeed; the other's end, seconds later, leaves room for it."""
    made = Town(1)
    open_place, hidden = (1, 2) if hidden_is_greater else (2, 1)
    made.simulation.network.unreachable.add(made.peer_id(hidden))
    made.start(open_place, hidden)
    made.start(hidden, open_place)
    found = made.until(lambda: made.peer_id(open_place) in made.links(hidden), PERIOD)
    assert found is not None
    assert found <= 20


def test_it_is_told_on_and_never_counted_as_reached() -> None:
    """Its record is true, so it is told on; in the table of who was reached by a dial it is not, so that it crowds out nobody."""
    made = mixed(1)
    assert made.until(lambda: all_that_can_be(made), 2 * PERIOD) is not None
    for place in PUBLIC:
        for other in HIDDEN:
            found = made.nodes[place].state.peers.find(made.peer_id(other))
            assert found is not None
            assert not found[1].is_tried
