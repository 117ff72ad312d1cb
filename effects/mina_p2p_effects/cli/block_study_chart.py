"""The picture of ``mina-p2p block-study``: for each width of links and verification a row of six panels.

Three panels show the times to 50, 90 and 99 % of the nodes, three the bytes that a node received: useful, twice, told. All
are over the size of the block. Colours are protocols, markers and dashes are shares of warm items. Panels of times have one
scale, and of bytes each kind has one, so that rows can be compared.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import Any, Final

from mina_p2p.blocks.study import Outcome, Protocol
from mina_p2p.errors import CallerError, MinaP2pError
from mina_p2p.ids import MILLISECOND, SECOND
from mina_p2p.record import Record, record
from mina_p2p_effects.cli.block_study_report import SHARES, Named, is_by_outlines, links
from mina_p2p_effects.plots.style import STYLE, metadata

FORMATS: Final = (".svg", ".png", ".pdf")
KB: Final = 1_000
BYTES_PANELS: Final = ("useful", "twice", "told")
PANELS: Final = len(SHARES) + len(BYTES_PANELS)
COLOURS: Final = {Protocol.OUTLINES: "#0072b2", Protocol.BEST_TIP: "#d55e00", Protocol.GOSSIP: "#009e73"}
OTHER_MARKERS: Final = {Protocol.BEST_TIP: "P", Protocol.GOSSIP: "*"}
MARKERS: Final = "osD^v<>p"
DASHES: Final = ("-", "--", ":", "-.")
LEAST: Final = 0.01
"""Of either unit, what a panel can show; less is drawn there."""
ROWS_MAX: Final = 100
"""Of panels; formats of pixels end at some height."""
STEPS_MAX: Final = 9
"""Numbers along one axis."""
_SMALL: Final[Any] = {**STYLE, "font.size": 8, "axes.titlesize": 8}
APART: Final = 0.13
"""Between two numbers along an axis of sizes, of its length."""


@record
class Series(Record):
    """The line of one way through one row of panels."""

    label: str
    colour: str
    marker: str
    dashes: str
    width: float
    """Of the line; what others may cover is wider, so that it is seen behind them."""
    sizes: tuple[float, ...]
    """KB of the blocks, ascending; two blocks may have one size."""
    values: tuple[tuple[float, ...], ...]
    """For each panel the medians over the networks, for each block; ``nan`` where a network did not come so far."""


def checked(path: Path, rows: int) -> None:
    """Find out whether a picture can be drawn there, so that hours of runs do not end in a missing library or a file that can not be written.

    :param rows: how many widths of links times verifications there are; at most `ROWS_MAX`.
    :raises CallerError: the file's name ends in no format, or there are too many rows.
    :raises MinaP2pError: the library is missing.
    :raises OSError: the file can not be written.
    """
    if path.suffix.lower() not in FORMATS:
        raise CallerError(f"{path.name}: a picture ends in one of {', '.join(FORMATS)}")
    if rows > ROWS_MAX:
        raise CallerError(f"a picture has at most {ROWS_MAX} rows, one for each of --rate with each of --verify; these are {rows}")
    _library()
    file = path.resolve()
    is_there = file.exists()
    with file.open("ab"):
        pass
    if not is_there:
        file.unlink()


def _library() -> Any:
    try:
        import_module("matplotlib.figure")
        return import_module("matplotlib")
    except ImportError as error:
        raise MinaP2pError("drawing needs the extra: pip install 'mina-p2p[plot]'") from error


def draw(outcomes: Sequence[Named], path: Path, *, is_complete: bool = True) -> None:
    """Draw one or more runs into a file.

    :param is_complete: whether they are all that were wanted; if not, the picture says so.
    :raises OSError: where the file can not be written.
    """
    with _library().rc_context(_SMALL):
        picture(outcomes, is_complete=is_complete).savefig(path, metadata=metadata(path), dpi=110)


def picture(outcomes: Sequence[Named], *, is_complete: bool = True) -> Any:
    """The same as a figure of matplotlib."""
    library = _library()
    rows: dict[tuple[int, int], list[Named]] = {}
    for name, outcome in outcomes:
        rows.setdefault((outcome.setting.rate, outcome.setting.verify), []).append((name, outcome))
    lines = [series_of(row) for row in rows.values()]
    # One row alone is folded: nearer to the shape of a page.
    columns = PANELS if len(rows) > 1 else PANELS // 2
    height = len(rows) * PANELS // columns
    with library.rc_context(_SMALL):
        figure: Any = library.figure.Figure(figsize=(2.5 * columns + 1, 2.3 * height + 1.5), layout="constrained")
        panels = figure.subplots(height, columns, squeeze=False).reshape(len(rows), PANELS)
        for number, (row, found) in enumerate(zip(lines, rows.values(), strict=True)):
            for place in range(PANELS):
                _panel(panels[number][place], place, row)
            setting = found[0][1].setting
            label = f"{links(setting)}, verification {setting.verify / MILLISECOND:g} ms"
            panels[number][0].annotate(label, (0, 1), xytext=(0, 20), xycoords="axes fraction", textcoords="offset points", weight="bold")
        _scale(panels, lines)
        figure.legend(handles=_handles(library, lines), loc="outside lower center", ncols=columns)
        figure.suptitle(title(outcomes, is_complete=is_complete), fontsize=10)
    return figure


def title(outcomes: Sequence[Named], *, is_complete: bool) -> str:
    """What was run."""
    setting = outcomes[0][1].setting
    seeds = list(dict.fromkeys(outcome.setting.seed for _, outcome in outcomes))
    networks = f"medians of {len(seeds)} networks, seeds {seeds[0]} to {seeds[-1]}" if len(seeds) > 1 else f"one network, seed {seeds[0]}"
    delays = (
        f"one-way delays of {setting.delay_min / MILLISECOND:g} to {setting.delay_max / MILLISECOND:g} ms"
        if setting.rate
        else "real nodes over QUIC on loopback"
    )
    first = f"Blocks on their way to {setting.nodes} nodes with about {setting.peers} peers each"
    second = f"{networks}; {delays}" + (f"; after {setting.earlier} empty blocks" if setting.earlier else "")
    return f"{first}\n{second}{'' if is_complete else '; interrupted before the end'}"


def series_of(outcomes: Sequence[Named]) -> list[Series]:
    """The lines of one row of panels: one for each protocol, of channel 10 one for each share of warm items."""
    found: dict[tuple[str, int | None], dict[str, list[Outcome]]] = {}
    for name, outcome in outcomes:
        warm = outcome.setting.warm_percent if is_by_outlines(outcome) else None
        found.setdefault((outcome.protocol, warm), {}).setdefault(name, []).append(outcome)
    shares = sorted({warm for _, warm in found if warm is not None})
    made: list[Series] = []
    for (name, warm), blocks in sorted(found.items(), key=_in_legend):
        protocol = next(one for one in Protocol if name.startswith(one.value))
        place = 0 if warm is None else shares.index(warm)
        of_blocks = sorted(blocks.values(), key=_block_bytes)
        values = tuple(tuple(_middle([_values(outcome)[panel] for outcome in runs]) for runs in of_blocks) for panel in range(PANELS))
        label = protocol.value if warm is None else f"{protocol.value}, {warm} % warm"
        sizes = tuple(runs[0].block_bytes / KB for runs in of_blocks)
        marker, dashes = OTHER_MARKERS.get(protocol, MARKERS[place % len(MARKERS)]), DASHES[place % len(DASHES)]
        made.append(Series(label, COLOURS[protocol], marker, dashes, 3.5 if protocol is Protocol.BEST_TIP else 1.2, sizes, values))
    return made


def steps(low: float, high: float) -> list[float]:
    """Numbers along a logarithmic axis, first and last beyond what is shown: 1, 2 or 5 times powers of ten, or where these are too many the powers
    alone.
    """
    fine = _steps(low, high, (1, 2, 5))
    return fine if len(fine) <= STEPS_MAX else _steps(low, high, (1,))


def _steps(low: float, high: float, factors: tuple[int, ...]) -> list[float]:
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    found = [factor * 10.0**power for power in powers for factor in factors]
    below = max((number for number in found if number <= low * 1.001), default=found[0])
    above = min((number for number in found if number >= high * 0.999 and number > below), default=found[-1])
    return [number for number in found if below <= number <= above]


def spaced(sizes: Sequence[float], low: float, high: float) -> list[float]:
    """Those of some sizes, ascending, that have room as numbers along a logarithmic axis from ``low`` to ``high``."""
    chosen: list[float] = []
    for size in sizes:
        if not chosen or math.log(size / chosen[-1]) >= APART * math.log(high / low):
            chosen.append(size)
    return chosen


def _in_legend(item: tuple[tuple[str, int | None], object]) -> tuple[bool, int, str]:
    """Channel 10 first, the warmest first."""
    (name, warm), _ = item
    return warm is None, -(warm or 0), name


def _block_bytes(runs: Sequence[Outcome]) -> int:
    return runs[0].block_bytes


def _values(outcome: Outcome) -> list[float]:
    """Seconds and kilobytes, in the order of the panels; ``nan`` for a share of the nodes that was never reached."""
    times = [math.nan if (at := outcome.time_to(share)) is None else at / SECOND for share in SHARES]
    return [*times, outcome.useful_bytes / KB, outcome.duplicate_bytes / KB, outcome.announcement_bytes / KB]


def _middle(values: list[float]) -> float:
    """Their median; none where one of them is none."""
    return math.nan if any(map(math.isnan, values)) else median(values)


def _panel(panel: Any, place: int, row: Sequence[Series]) -> None:
    for series in row:
        values = [math.nan if math.isnan(value) else max(LEAST, value) for value in series.values[place]]
        panel.plot(series.sizes, values, **_look(series))
        lost = [size for size, value in zip(series.sizes, series.values[place], strict=True) if math.isnan(value)]
        panel.plot(lost, [0.97] * len(lost), "x", color=series.colour, transform=panel.get_xaxis_transform())
    panel.set_title(
        f"seconds to {SHARES[place]} % of the nodes" if place < len(SHARES) else f"KB {BYTES_PANELS[place - len(SHARES)]}, of a node"
    )
    panel.set_xlabel("KB of the block")


def _look(series: Series) -> dict[str, Any]:
    return {
        "color": series.colour,
        "marker": series.marker,
        "linestyle": series.dashes,
        "markersize": 5,
        "linewidth": series.width,
        "alpha": 0.6 if series.width > 2 else 1,
        "markerfacecolor": "white",
        "markeredgewidth": 1,
        "zorder": 2 if series.width > 2 else 3,
    }


def _handles(library: Any, lines: Sequence[Sequence[Series]]) -> list[Any]:
    """One entry of the legend for each way, however many panels have it."""
    found = {series.label: library.lines.Line2D([], [], label=series.label, **_look(series)) for row in lines for series in row}
    handles = list(found.values())
    if any(math.isnan(value) for row in lines for series in row for values in series.values for value in values):
        handles.append(library.lines.Line2D([], [], color="black", marker="x", linestyle="", label="some network did not come so far"))
    return handles


def _scale(panels: Any, lines: Sequence[Sequence[Series]]) -> None:
    """Numbers of all axes, which no two of overlap."""
    sizes = sorted({size for row in lines for series in row for size in series.sizes})
    left, right = sizes[0] / 1.08, sizes[-1] * 1.08
    for group in (range(len(SHARES)), *((place,) for place in range(len(SHARES), PANELS))):
        values = [value for row in lines for series in row for place in group for value in series.values[place]]
        shown = [max(LEAST, value) for value in values if not math.isnan(value)]
        numbers = steps(min(shown, default=1), max(shown, default=1))
        for place in group:
            for panel in panels[:, place]:
                panel.set_yscale("log")
                panel.set_ylim(numbers[0] / 1.15, numbers[-1] * 1.15)
                panel.set_yticks(numbers, ["0" if number <= LEAST else f"{number:g}" for number in numbers])
                panel.set_xscale("log")
                panel.set_xlim(left, right)
                ticks = spaced(sizes, left, right)
                panel.set_xticks(ticks, [f"{size:.3g}" if size < KB else f"{size:.0f}" for size in ticks])
                panel.minorticks_off()
