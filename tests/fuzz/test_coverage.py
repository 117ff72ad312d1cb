"""Coverage counts each line of ours once, whatever else is traced."""

from __future__ import annotations

import sys
from contextlib import suppress

from mina_p2p.base58 import Base58Error, decode
from mina_p2p.mina.catalog import codec_of
from mina_p2p.testing.dice import Dice
from mina_p2p_effects.fuzzing.coverage import is_ours, line_coverage
from mina_p2p_effects.fuzzing.samples import sample


def test_lines_count_when_they_run_for_the_first_time() -> None:
    """A second run of the same adds nothing; another branch adds its lines."""
    coverage = line_coverage()
    with coverage:
        assert coverage.call(decode, "2g") == b"a"
        first = coverage.count
        coverage.call(decode, "2g")
        second = coverage.count
        with suppress(Base58Error):
            coverage.call(decode, "0")
    assert 0 < first == second < coverage.count


def test_compiled_decoders_count() -> None:
    """Their lines are those of the source that was compiled."""
    codec = codec_of("SnarkInfo")
    data = sample(codec, Dice(1))
    codec.decode(data)  # compiled by now
    coverage = line_coverage()
    with coverage:
        coverage.call(codec.decode, data)
    assert coverage.count > 5


def test_two_that_watch_do_not_disturb_each_other() -> None:
    """Each has its own count; tracing that was there before is there again."""
    before = sys.gettrace()
    one, other = line_coverage(), line_coverage()
    for coverage in (one, other):
        with coverage:
            coverage.call(decode, "2g")
    assert one.count == other.count > 0
    assert sys.gettrace() is before


def test_only_the_library_counts() -> None:
    """Neither the standard library, nor what exists for tests and for the search itself."""
    import json

    import mina_p2p.state
    import mina_p2p.testing.dice

    assert is_ours(str(mina_p2p.state.__file__))
    assert is_ours("<read mina_p2p.something>")
    assert not is_ours(str(json.__file__))
    assert not is_ours(str(mina_p2p.testing.dice.__file__))
    assert not is_ours("<frozen importlib._bootstrap>")


def test_a_function_that_shows_nothing_new_is_still_seen_when_it_does() -> None:
    """However often it was called before: a rare branch is noticed after some calls."""
    coverage = line_coverage()
    with coverage:
        for _ in range(2_000):
            coverage.call(decode, "2g")
        before = coverage.count
        for _ in range(130):
            with suppress(Base58Error):
                coverage.call(decode, "2g0")
    assert coverage.count > before
