"""Who may send headers: the few of whom, together, one is nearly always early."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from blocks.lab import ME, Lab, chain
from mina_p2p.blocks.actions import BlocksTipSet
from mina_p2p.blocks.ranking import ARRIVALS_MAX, LATE_MS, Race, Way, chosen
from mina_p2p.blocks.split import short_outline
from mina_p2p.blocks.state import Asked
from mina_p2p.channels.block.messages import BlockGetNext, BlockHash, BlockHeaderItem, OutlineRest, Wants
from mina_p2p.ids import MILLISECOND, ConnectionId, Timestamp

GENESIS, FIRST, _, LAST = chain()


STRANGER = 99
"""Who is always first, and can not be chosen."""


def _race(number: int, *arrivals: tuple[int, int], given: tuple[int, ...] = (), is_run: bool = True) -> Race:
    found = tuple((ConnectionId(peer), late) for peer, late in ((STRANGER, 0), *arrivals))
    return Race(bytes([number]) * 32, Timestamp(0), found, given=tuple(map(ConnectionId, given)), is_run=is_run)


def _chosen(races: list[Race], most: int = 2, before: tuple[int, ...] = ()) -> tuple[int, ...]:
    return chosen(races, [ConnectionId(n) for n in range(1, 10)], most, tuple(map(ConnectionId, before)))


def test_the_second_is_for_what_the_first_is_late_with() -> None:
    """Two that are first together are worth no more than one; who is second best alone may be of no use beside the best."""
    races = [_race(n, (1, 0), (2, 5), (3, 200)) for n in range(3)] + [_race(3, (3, 0), (1, 240), (2, 245))]
    assert _chosen(races, 1) == (1,)
    assert _chosen(races) == (1, 3)


def test_what_its_producer_gave_needs_nobody() -> None:
    """Whoever is early with blocks that came from who made them is no better for it."""
    given = [_race(n, (1, 0), (9, 0), given=(9,)) for n in range(5)]
    assert _chosen([*given, _race(5, (2, 0), (3, 10))], 1) == (2,)


def test_a_little_better_is_not_enough() -> None:
    """Those chosen before stay until others are better by a tenth."""
    races = [_race(n, (1, 100), (2, 95)) for n in range(4)]
    assert _chosen(races, 1) == (2,)
    assert _chosen(races, 1, before=(1,)) == (1,)
    assert _chosen([_race(n, (1, 100), (2, 80)) for n in range(4)], 1, before=(1,)) == (2,)
    assert _chosen(races, 1, before=(7,)) == (2,), "who announced nothing is not kept"


def test_blocks_that_were_not_taken_say_nothing() -> None:
    """A liar is first with what it invents."""
    assert _chosen([_race(1, (5, 0), is_run=False), _race(2, (6, 0))], 1) == (6,)
    assert _chosen([]) == ()


@given(st.lists(st.dictionaries(st.integers(1, 9), st.integers(0, LATE_MS), min_size=1), max_size=6), st.integers(1, 4))
def test_nobody_alone_is_better_than_the_first_choice(times: list[dict[int, int]], most: int) -> None:
    """The choice is of peers that announced something, ascending, none twice, and together as early as the best alone."""
    races = [_race(number, *sorted(arrivals.items())) for number, arrivals in enumerate(times)]
    found = _chosen(races, most)
    known = {peer for arrivals in times for peer in arrivals}
    assert list(found) == sorted(set(found))
    assert set(found) <= known
    assert len(found) == min(most, len(known))

    def late(peers: tuple[int, ...]) -> int:
        return sum(min((arrivals.get(peer, LATE_MS) for peer in peers), default=LATE_MS) for arrivals in times)

    assert all(late(found) <= late((peer,)) for peer in known)


def test_a_race_counts_each_peer_once_and_not_too_many() -> None:
    """The first time counts; what is later than the cap is as late as the cap."""
    race = Race(bytes(32), Timestamp(0)).arrived(ConnectionId(1), Timestamp(0), Way.HELD)
    race = race.arrived(ConnectionId(1), Timestamp(5 * MILLISECOND), Way.GIVEN)
    assert race.lateness() == {1: 0}
    assert race.given == ()
    race = race.arrived(ConnectionId(2), Timestamp(7 * MILLISECOND), Way.GIVEN)
    assert race.given == (2,)
    for number in range(3, 200):
        race = race.arrived(ConnectionId(number), Timestamp(10**12), Way.HELD)
    assert len(race.arrivals) == ARRIVALS_MAX
    assert race.lateness() == {1: 0, 2: 7} | dict.fromkeys(range(3, ARRIVALS_MAX + 1), LATE_MS)


def test_who_is_still_checking_is_as_late_as_its_header_would_be() -> None:
    """A hash that runs ahead of its verdict is no earlier than a header that comes after it: what checking took here counts for both."""
    race = Race(bytes(32), Timestamp(0)).arrived(ConnectionId(1), Timestamp(0), Way.CHECKING)
    race = race.arrived(ConnectionId(2), Timestamp(40 * MILLISECOND), Way.CHECKING)
    race = race.arrived(ConnectionId(3), Timestamp(510 * MILLISECOND), Way.HELD)
    assert race.replace(check_ms=500).lateness() == {1: 0, 2: 40, 3: 10}
    assert race.replace(check_ms=530).lateness() == {1: 20, 2: 60, 3: 0}


def test_the_chosen_have_the_permissions() -> None:
    """After a few blocks that one peer announced first, it may send headers, and three in all may."""
    lab = Lab(tip=GENESIS).join(1, 2, 3, 4, 5)
    assert _headers(lab) == {1, 2, 3}
    for sample in chain()[1:]:
        lab.know(sample)
        kind = BlockHash(sample.state_hash)
        header = BlockHeaderItem(sample.header, OutlineRest(short_outline(sample.parts, sample.state_hash, ME)))
        lab.answer(5, BlockGetNext, header if 5 in _headers(lab) else kind)
        if lab.blocks.candidate_of(sample.state_hash) is not None and lab.requests(5):
            lab.answer(5, type(lab.requests(5)[-1][1]), header)
        lab.verdict().wait(6_000 * MILLISECOND)
    assert 5 in _headers(lab)
    assert lab.blocks.preferred == (5,)
    assert len(_headers(lab)) == 3


def _headers(lab: Lab) -> set[int]:
    return {cid for cid, peer in lab.blocks.peers.items() if isinstance(peer.local, Asked) and peer.local.wants is not Wants.HASH}


def test_who_made_a_block_sends_its_header_to_all() -> None:
    """Nobody else can be earlier with it; a block of others is announced by its hash where a hash was permitted."""
    lab = Lab(tip=GENESIS).join(1, 2)
    for number, wants in ((1, Wants.HASH), (2, Wants.HEADER)):
        lab.ask(number, BlockGetNext(wants, 0)).ask(number, BlockGetNext(wants, 0))
    lab.feed(BlocksTipSet(FIRST.header, FIRST.body, is_produced=True))
    assert [(number, type(answer)) for number, answer in lab.answers()] == [(1, BlockHeaderItem), (2, BlockHeaderItem)]
    lab.ask(1, BlockGetNext(Wants.HASH, 0)).feed(LAST.tip)
    assert lab.answers() == [(1, BlockHash(LAST.state_hash))]


def test_a_header_for_a_hash_permission_is_taken() -> None:
    """It says that its sender made the block, which nobody can check, and gets no further than a hash would."""
    lab = Lab(tip=GENESIS).join(1, 2, 3, 4).know(LAST)
    lab.answer(4, BlockGetNext, BlockHeaderItem(LAST.header, OutlineRest(short_outline(LAST.parts, LAST.state_hash, ME))))
    lab.verdict()
    assert lab.blocks.tip is not None
    assert lab.blocks.tip.state_hash == LAST.state_hash
    assert lab.blocks.races[-1].given == (4,)
    assert lab.blamed() == {}
