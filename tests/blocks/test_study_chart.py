"""The picture of ``mina-p2p block-study``: all that was measured, and readable."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import combinations, pairwise, product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mina_p2p.blocks.study import Outcome, Protocol, Setting
from mina_p2p.ids import MILLISECOND
from mina_p2p_effects.cli.block_study_chart import STEPS_MAX, Series, draw, picture, series_of, spaced, steps, title
from mina_p2p_effects.cli.block_study_report import BYTES_PER_MBIT, Named

NODES = 11
SIZES = (14_313, 16_453, 29_559, 29_559, 73_354, 106_703, 751_506)
SIZES_KB = st.floats(0.01, 100_000)


def _outcome(protocol: Protocol, setting: Setting, size: int) -> Outcome:
    at = (100 + size // (1 + setting.warm_percent)) * MILLISECOND
    times = tuple(at * (number + 1) // (NODES - 1) for number in range(NODES - 1))
    return Outcome(protocol.value, setting, size, size - 12_700, len(times), times, 13_000.0, 20.0 * size, 40.0)


def _matrix(warm: Iterable[int] = (0, 50, 90, 100), rates: Iterable[int] = (10, 100), verify: Iterable[int] = (0, 500)) -> list[Named]:
    """Two networks of each."""
    return [
        (f"block {number}", _outcome(protocol, Setting(NODES, 4, share, ms * MILLISECOND, rate * BYTES_PER_MBIT, seed=seed), size))
        for rate, ms, seed, share, protocol in product(rates, verify, (1, 2), warm, Protocol)
        for number, size in enumerate(SIZES)
        if protocol is Protocol.OUTLINES or share == 0
    ]


def _overlap(one: Any, other: Any) -> bool:
    return bool(one.x0 < other.x1 and other.x0 < one.x1 and one.y0 < other.y1 and other.y0 < one.y1)


@pytest.mark.parametrize(
    "matrix", [{}, {"rates": [10], "verify": [0]}, {"warm": range(0, 101, 10)}], ids=["whole", "one row", "eleven shares"]
)
def test_nothing_covers_anything(matrix: dict[str, Any]) -> None:
    """Legend, title, panels and the numbers along axes are beside each other and within the picture."""
    pytest.importorskip("matplotlib", reason="needs the extra plot")
    figure = picture(_matrix(**matrix))
    figure.draw_without_rendering()
    (legend,) = figure.legends
    whole, told = figure.bbox, [legend.get_window_extent(), figure._suptitle.get_window_extent()]
    panels = [panel.get_tightbbox() for panel in figure.axes]
    for one, other in combinations([*told, *panels], 2):
        assert not _overlap(one, other)
    for box in (*told, *panels):
        assert whole.x0 <= box.x0 < box.x1 <= whole.x1
        assert whole.y0 <= box.y0 < box.y1 <= whole.y1
    for panel in figure.axes:
        for labels in (panel.get_xticklabels(which="both"), panel.get_yticklabels(which="both")):
            boxes = [label.get_window_extent() for label in labels if label.get_text()]
            assert len(boxes) >= 2
            assert not any(_overlap(one, other) for one, other in combinations(boxes, 2))


def test_each_width_and_verification_has_its_panels() -> None:
    """Times to 50, 90 and 99 % and bytes of three kinds in each row; an entry of the legend for each way, not for each line."""
    pytest.importorskip("matplotlib", reason="needs the extra plot")
    figure = picture(_matrix())
    assert len(figure.axes) == 4 * 6
    titles = [panel.get_title() for panel in figure.axes[:6]]
    assert titles == [
        *(f"seconds to {share} % of the nodes" for share in (50, 90, 99)),
        *(f"KB {kind}, of a node" for kind in ("useful", "twice", "told")),
    ]
    texts = [text.get_text() for panel in figure.axes for text in panel.texts]
    assert texts == [f"{rate} Mbit/s, verification {ms} ms" for rate, ms in product((10, 100), (0, 500))]
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == [*(f"channel 10, {share} % warm" for share in (100, 90, 50, 0)), "best tip", "gossipsub"]


def test_ways_are_told_apart() -> None:
    """A protocol has one colour; of one colour no two lines look alike."""
    lines = series_of(_matrix(rates=[10], verify=[0]))
    assert len({line.colour for line in lines}) == 3
    assert len({line.colour for line in lines if line.label.startswith("channel 10")}) == 1
    assert len({(line.colour, line.marker, line.dashes) for line in lines}) == len(lines)


def _line(outcomes: list[Named], label: str) -> Series:
    return next(line for line in series_of(outcomes) if line.label == label)


def test_points_are_medians_of_each_block() -> None:
    """Two blocks of one size are two points; where one network was not reached, there is none."""
    outcomes = _matrix(warm=[0], rates=[10], verify=[0])
    line = _line(outcomes, "best tip")
    assert line.sizes == tuple(size / 1_000 for size in SIZES)
    assert line.values[2] == tuple((100 + size) / 1_000 for size in SIZES)
    assert line.values[4] == tuple(20 * size / 1_000 for size in SIZES)
    name, lost = outcomes[-1]
    spoilt = [*outcomes[:-1], (name, lost.replace(times=lost.times[:6], reached=6))]
    half, nearly, full = _line(spoilt, "gossipsub").values[:3]
    assert not math.isnan(half[-1])
    assert math.isnan(nearly[-1])
    assert math.isnan(full[-1])
    pytest.importorskip("matplotlib", reason="needs the extra plot")
    assert picture(spoilt).legends[0].get_texts()[-1].get_text() == "some network did not come so far"


def test_the_title_says_what_was_run() -> None:
    """Nodes, peers, networks, seeds, delays and what came before; that real nodes have loopback; that there was no more."""
    text = title(_matrix(), is_complete=True)
    for part in ("11 nodes", "about 4 peers", "medians of 2 networks, seeds 1 to 2", "delays of 20 to 200 ms", "after 32 empty blocks"):
        assert part in text
    loopback = title([("one", _outcome(Protocol.BEST_TIP, Setting(NODES, 4, rate=0, seed=7), 15_000))], is_complete=False)
    assert "one network, seed 7; real nodes over QUIC on loopback" in loopback
    assert loopback.endswith("interrupted before the end")


@given(SIZES_KB, SIZES_KB)
def test_numbers_along_an_axis_are_few_and_around_what_is_shown(one: float, other: float) -> None:
    """At least two, ascending, whatever the range."""
    low, high = sorted((one, other))
    found = steps(low, high)
    assert 2 <= len(found) <= STEPS_MAX
    assert found[0] <= low * 1.002
    assert high <= found[-1] * 1.002
    assert all(before < after for before, after in pairwise(found))


@given(st.lists(SIZES_KB, min_size=1).map(sorted))
def test_numbers_of_sizes_keep_their_distance(sizes: list[float]) -> None:
    """The smallest is always there."""
    low, high = sizes[0] / 1.08, sizes[-1] * 1.08
    found = spaced(sizes, low, high)
    assert found[0] == sizes[0]
    assert all(math.log(after / before) >= 0.13 * math.log(high / low) for before, after in pairwise(found))


@pytest.mark.parametrize("suffix", ["svg", "PNG", "pdf"])
def test_the_same_runs_are_the_same_file(suffix: str, tmp_path: Path) -> None:
    """In every format, which the name's end decides."""
    pytest.importorskip("matplotlib", reason="needs the extra plot")
    outcomes = _matrix(warm=[0], rates=[10], verify=[0])
    first, again = (tmp_path / f"{number}.{suffix}" for number in range(2))
    for path in (first, again):
        draw(outcomes, path)
    assert first.read_bytes() == again.read_bytes()
    assert first.read_bytes()[:4] in {b"<?xm", b"\x89PNG", b"%PDF"}
