"""`Random`: the published generator, replayable, fair enough, in independent streams."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mina_p2p.prng import Random


def values(random: Random, count: int) -> list[int]:
    drawn: list[int] = []
    for _ in range(count):
        value, random = random.next()
        drawn.append(value)
    return drawn


@pytest.mark.parametrize(
    ("seed", "expected"),
    [
        # The values that implementations of SplitMix64 are commonly checked with.
        (1234567, [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821]),
        (0, [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]),
    ],
)
def test_golden_values(seed: int, expected: list[int]):
    assert values(Random(seed), len(expected)) == expected


def test_golden_derived_values():
    """What a log of today replays to must not change with the library."""
    random = Random(42)
    below, random = random.below(1000)
    choice, random = random.choice("abcdef")
    jitter, random = random.jitter(1_000_000_000, 20)
    assert (below, choice, jitter, random) == (741, "a", 911_440_452, Random(42, 3))
    assert Random(42).stream(0) == Random(14026160589095004880)


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64))
def test_the_next_value_follows_from_seed_and_counter_alone(seed: int, counter: int):
    random = Random(seed, counter)
    value, after = random.next()
    assert 0 <= value < 2**64
    assert after == Random(seed, counter + 1)
    assert random.next() == (value, after), "drawing changes nothing in the generator drawn from"


@given(st.integers(0, 2**64 - 1), st.integers(1, 2**64))
def test_below_stays_below(seed: int, bound: int):
    value, after = Random(seed).below(bound)
    assert 0 <= value < bound
    assert after.counter == 1


@pytest.mark.parametrize("bound", [0, -1, 2**64 + 1])
def test_there_is_nothing_to_draw_below_an_impossible_bound(bound: int):
    with pytest.raises(ValueError, match="no value below"):
        Random(0).below(bound)
    with pytest.raises(ValueError, match="no value below"):
        Random(0).choice([])


@pytest.mark.parametrize("bound", [2, 6, 7, 100])
def test_values_are_spread_evenly(bound: int):
    """Pearson's statistic of a fixed stream; a generator that is off by one bucket is far above the limit."""
    random, counts, draws = Random(2024), Counter[int](), 20_000
    for _ in range(draws):
        value, random = random.below(bound)
        counts[value] += 1
    expected = draws / bound
    statistic = sum((counts[value] - expected) ** 2 / expected for value in range(bound))
    freedom = bound - 1
    assert set(counts) == set(range(bound))
    assert statistic < freedom + 4 * (2 * freedom) ** 0.5


def test_every_bit_is_set_half_of_the_time():
    drawn = values(Random(7), 4_000)
    for bit in range(64):
        assert 1_800 < sum(value >> bit & 1 for value in drawn) < 2_200


@given(st.integers(0, 2**64 - 1), st.integers(0, 10**12), st.integers(0, 100))
def test_jitter_stays_within_its_share(seed: int, duration: int, percent: int):
    value, after = Random(seed).jitter(duration, percent)
    spread = duration * percent // 100
    assert duration - spread <= value <= duration + spread
    assert after.counter == (1 if spread else 0)


def test_jitter_reaches_both_ends():
    random, seen = Random(3), set[int]()
    for _ in range(400):
        value, random = random.jitter(10, 20)
        seen.add(value)
    assert seen == {8, 9, 10, 11, 12}


def test_choice_reaches_every_option():
    random, seen = Random(3), set[str]()
    for _ in range(200):
        value, random = random.choice(("a", "b", "c"))
        seen.add(value)
    assert seen == {"a", "b", "c"}


def test_streams_share_no_values():
    """Neither with each other nor with the generator they come from, nor with those of a neighbouring seed."""
    sources = [Random(seed).stream(number) for seed in (1, 2) for number in range(20)] + [Random(1), Random(2)]
    drawn = [value for source in sources for value in values(source, 200)]
    assert len(set(drawn)) == len(drawn)


def test_a_stream_does_not_depend_on_what_was_drawn_before():
    random = Random(5)
    _, later = random.next()
    assert random.stream(3) == later.stream(3)
