"""Drawing by matplotlib, into a file and without a screen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

from mina_p2p.errors import MinaP2pError
from mina_p2p_effects.plots.series import BUCKETS, ItemKey, LogSeries
from mina_p2p_effects.plots.style import STYLE, metadata

try:
    import matplotlib as mpl
    from matplotlib.figure import Figure
except ImportError as error:
    raise MinaP2pError("drawing needs the extra: pip install 'mina-p2p[plot]'") from error

Axes: TypeAlias = Any
"""matplotlib's own; its annotations leave the keywords open, which strict checkers refuse."""

FORMATS: Final = (".svg", ".png", ".pdf")

COLOURS: Final = {
    "BEST_TIP": "#3a7d44",
    "TRANSACTION": "#3e6f9e",
    "SNARK": "#b5651d",
    "SNARK_JOB_COMMITMENT": "#8a6d3b",
    "RPC": "#7a4f9e",
    "STREAMING_RPC": "#a23b72",
    "SIGNALING_DISCOVERY": "#5f9ea0",
    "SIGNALING_EXCHANGE": "#708090",
    "control": "#9aa5b1",
    "meshsub": "#3e6f9e",
    "coda kad": "#3a7d44",
    "coda rpcs": "#7a4f9e",
    "ipfs id": "#b5651d",
}
_OTHER: Final = "#444444"
_WIDTH, _HEIGHT = 9.0, 3.1
"""Inches of one panel."""
_NODES_NAMED_MAX: Final = 24
_SECOND: Final = 1_000_000_000


def draw(series: Sequence[LogSeries], panels: Sequence[str], item: ItemKey | None, path: Path) -> None:
    """Draw some panels, one above the other, into a file whose suffix is one of `FORMATS`.

    :param panels: names of `PANELS`.
    :param item: whose way is drawn by ``spread``.
    :raises OSError: where the file can not be written.
    """
    library: Any = mpl
    with library.rc_context(STYLE):
        heights = [_panel_height(name, series, item) for name in panels]
        figure: Any = Figure(figsize=(_WIDTH, sum(heights)), layout="constrained")
        rows = figure.subplots(len(panels), 1, squeeze=False, height_ratios=heights)
        for name, axes in zip(panels, rows[:, 0], strict=True):
            PANELS[name](axes, series, item)
        figure.savefig(path, metadata=metadata(path), dpi=110)


def _panel_height(name: str, series: Sequence[LogSeries], item: ItemKey | None) -> float:
    nodes = sum(1 for one in series if item in one.arrivals)
    return _HEIGHT + (max(0, min(nodes, 2 * _NODES_NAMED_MAX) - 8) * 0.16 if name == "spread" else 0)


def _seconds(series: Sequence[LogSeries], time: int) -> float:
    return (time - series[0].start) / _SECOND


def _peers(axes: Axes, series: Sequence[LogSeries], item: ItemKey | None) -> None:
    end = _seconds(series, series[0].end)
    is_named = len(series) <= 10
    for one in series:
        times = [_seconds(series, time) for time, _ in one.peers]
        counts = [count for _, count in one.peers]
        line = {"label": one.name} if is_named else {"color": "#3e6f9e", "alpha": 0.35}
        axes.step([0, *times, end], [0, *counts, counts[-1]], where="post", linewidth=1.3, **line)
    axes.yaxis.get_major_locator().set_params(integer=True)
    _finish(axes, "ready connections of each node", end, legend=is_named and len(series) > 1)


def _permissions(axes: Axes, series: Sequence[LogSeries], item: ItemKey | None) -> None:
    end = _seconds(series, series[0].end)
    for sign in (1, -1):
        base: dict[int, int] = {}
        for channel in series[0].granted:
            top = dict(base)
            for one in series:
                for time, count in (one.granted if sign > 0 else one.held)[channel]:
                    top[time] = top.get(time, 0) + sign * count
            times = sorted(top)
            seconds, low, high = [_seconds(series, t) for t in times], [base.get(t, 0) for t in times], [top[t] for t in times]
            label = _words(channel) if sign > 0 else None
            axes.fill_between(seconds, low, high, step="post", color=COLOURS.get(channel, _OTHER), linewidth=0, label=label)
            base = top
    _middle(axes)
    _finish(axes, "permissions in use by channel: granted above, held below", end, legend=True)


def _bytes(axes: Axes, series: Sequence[LogSeries], item: ItemKey | None) -> None:
    end = _seconds(series, series[0].end)
    width = max(end, 1e-9) / BUCKETS
    edges = [bucket * width for bucket in range(BUCKETS + 1)]
    channels = sorted({name for one in series for name in (*one.bytes_in, *one.bytes_out)}, key=lambda name: (name not in COLOURS, name))
    for sign in (1, -1):
        base = [0.0] * (BUCKETS + 1)
        for channel in channels:
            found = [(one.bytes_in if sign > 0 else one.bytes_out).get(channel) for one in series]
            rates = [sign * sum(counts[i] for counts in found if counts is not None) / 1024 / width for i in range(BUCKETS)]
            top = [low + rate for low, rate in zip(base, [*rates, rates[-1]], strict=True)]
            label = _words(channel) if sign > 0 else None
            axes.fill_between(edges, base, top, step="post", color=COLOURS.get(channel, _OTHER), linewidth=0, label=label)
            base = top
    _middle(axes)
    _finish(axes, "KiB per second by channel or protocol: received above, sent below", end, legend=True)


def _spread(axes: Axes, series: Sequence[LogSeries], item: ItemKey | None) -> None:
    found = sorted(
        ((one.arrivals[item], one.name) for one in series if item is not None and item in one.arrivals),
        key=lambda pair: (pair[0].held, pair[1]),
    )
    if item is None or not found:
        _finish(axes, "no item is in these logs", 1.0, legend=False)
        return
    zero = min(arrival.held if arrival.received is None else arrival.received for arrival, _ in found)
    colour = COLOURS.get(item[0].name, _OTHER)
    held = [(arrival.held - zero) / 1e6 for arrival, _ in found]
    for place, (arrival, _) in enumerate(found):
        if arrival.received is not None:
            received = (arrival.received - zero) / 1e6
            axes.plot([received, held[place]], [place, place], color=colour, linewidth=1.2, alpha=0.6)
            axes.plot([received], [place], "o", color=colour, markerfacecolor="white", markersize=4.5)
    axes.plot(held, range(len(found)), "o", color=colour, markersize=4.5)
    if len(found) <= 2 * _NODES_NAMED_MAX:
        axes.set_yticks(range(len(found)), [name for _, name in found])
    axes.set_ylim(-0.8, len(found) - 0.2)
    axes.set_xlabel("milliseconds since the first node had it")
    what = f"{_words(item[0].name)} {item[1].hex()[:12]}…: {len(found)} of {len(series)} nodes"
    axes.set_title(f"{what} (hollow: received, filled: in the pool)", loc="left", fontsize=10)
    axes.margins(x=0.03)


def _middle(axes: Axes) -> None:
    """A line between what is above and what is below, where numbers have no sign."""
    axes.axhline(0, color="#1f2933", linewidth=0.8)
    axes.yaxis.set_major_formatter(_unsigned)


def _unsigned(value: float, _place: int | None) -> str:
    return f"{abs(value):g}"


def _finish(axes: Axes, title: str, end: float, *, legend: bool) -> None:
    axes.set_title(title, loc="left", fontsize=10)
    axes.set_xlim(0, end or 1)
    axes.set_xlabel("seconds")
    if legend and axes.get_legend_handles_labels()[0]:
        axes.legend(loc="upper left", bbox_to_anchor=(1.005, 1), fontsize=7.5, frameon=False, borderaxespad=0)


def _words(channel: str) -> str:
    return channel.lower().replace("_", " ")


PANELS: Final[dict[str, Callable[[Axes, Sequence[LogSeries], ItemKey | None], None]]] = {
    "peers": _peers,
    "permissions": _permissions,
    "bytes": _bytes,
    "spread": _spread,
}
