"""A chart of how a network fills: shares over virtual time, as SVG."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from typing import Final

from mina_p2p.testing.campaign import Outcome
from mina_p2p.testing.health import Coverage

WIDTH, HEIGHT = 860, 420
LEFT, RIGHT, TOP, BOTTOM = 60, 20, 56, 46
INK, FAINT, WEATHER = "#1f2933", "#c5ced8", "#fbe9e7"
FONT: Final = "Verdana, DejaVu Sans, sans-serif"
TICKS_WANTED: Final = 8

LINES: Final[tuple[tuple[str, str, Callable[[Coverage], float]], ...]] = (
    ("members with their connections", "#8a6d3b", lambda c: c.connected),
    ("items in all pools", "#3e6f9e", lambda c: c.items),
    ("members on the best chain", "#3a7d44", lambda c: c.best_tip),
)


def chart(outcome: Outcome) -> str:
    """The whole drawing."""
    end = max(outcome.virtual_seconds, 1e-9)
    faults = ", ".join(outcome.faults) or "no faults"
    verdict = "converged" if outcome.converged else "did not converge"
    title = f"{outcome.nodes} nodes, seed {outcome.seed}: {verdict} after {outcome.virtual_seconds:.1f} s of virtual time"
    size = f'viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" font-family="{FONT}" font-size="11">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        _text(LEFT, 20, title, size=14),
    ]
    if outcome.faults:
        x, y = _x(0, end), _y(1)
        parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{_x(outcome.healed_at, end) - x:.1f}" height="{_y(0) - y:.1f}" fill="{WEATHER}"/>'
        )
        parts.append(_text(x + 4, y + 14, _shortened(faults)))
    parts += _axes(end)
    for number, (name, colour, value) in enumerate(LINES):
        parts.append(_line(outcome.coverage, end, value, colour))
        at = LEFT + number * 240
        parts.append(f'<line x1="{at}" y1="38" x2="{at + 24}" y2="38" stroke="{colour}" stroke-width="2"/>')
        parts.append(_text(at + 30, 42, name))
    return "\n".join([*parts, "</svg>", ""])


def _x(seconds: float, end: float) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * min(seconds, end) / end


def _y(share: float) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * share


def _text(x: float, y: float, text: str, *, size: int = 11, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{INK}">{escape(text)}</text>'


def _shortened(text: str, chars_max: int = 110) -> str:
    return text if len(text) <= chars_max else text[: chars_max - 1] + "…"


def _axes(end: float) -> list[str]:
    parts: list[str] = []
    for percent in (0, 25, 50, 75, 100):
        y = _y(percent / 100)
        parts.append(f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}" stroke="{FAINT}"/>')
        parts.append(_text(LEFT - 6, y + 4, f"{percent} %", anchor="end"))
    step = _tick_step(end)
    for number in range(int(end / step) + 1):
        x = _x(number * step, end)
        parts.append(f'<line x1="{x:.1f}" y1="{_y(0):.1f}" x2="{x:.1f}" y2="{_y(0) + 5:.1f}" stroke="{INK}"/>')
        parts.append(_text(x, _y(0) + 18, f"{number * step:g}", anchor="middle"))
    parts.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, "virtual seconds", anchor="middle"))
    return parts


def _tick_step(end: float) -> float:
    """The least of 1, 2, 5, 10 … and their tenths that gives few enough ticks."""
    step = 0.01
    while True:
        for factor in (1, 2, 5):
            if end / (step * factor) <= TICKS_WANTED:
                return step * factor
        step *= 10


def _line(points: Sequence[Coverage], end: float, value: Callable[[Coverage], float], colour: str) -> str:
    """Steps, because a share stays what it is until it changes."""
    path: list[str] = []
    for point in points:
        x, y = _x(point.seconds, end), _y(value(point))
        path.append(f"H{x:.1f}V{y:.1f}" if path else f"M{x:.1f} {y:.1f}")
    return f'<path d="{"".join(path)}" fill="none" stroke="{colour}" stroke-width="2"/>'
