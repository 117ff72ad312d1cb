"""Drawing states and arrows as SVG, with nothing but text."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple
from xml.sax.saxutils import escape

COLUMN = 250
ROW = 150
MARGIN_X = 100
MARGIN_Y = 62
BOX_HEIGHT = 36
BOX_WIDTH_MIN = 110
DOT_RADIUS = 8
LETTER = 7.3
"""Width of a letter in a box."""
LINE = 14
"""Height of a line of a label."""

INK = "#1f2933"
FAINT = "#52606d"
FILL = "#e6f0fa"
EDGE = "#3e6f9e"

Point = tuple[float, float]


class Shape(NamedTuple):
    """A box or a dot, by its centre."""

    x: float
    y: float
    half_width: float
    half_height: float
    is_round: bool


class Arrow(NamedTuple):
    """One arrow with its label."""

    source: str
    target: str
    lines: Sequence[str]
    bend: float


def draw(title: str, places: Mapping[str, Point], arrows: Sequence[Arrow], *, start: str, end: str, note: str) -> str:
    """A whole drawing.

    :param places: column and row of every state.
    :param start: the name that is drawn as a dot.
    :param end: the name that is drawn as a ringed dot.
    :param note: a line under the drawing; empty for none.
    """
    shapes = {name: _shape(name, place, is_round=name in {start, end}) for name, place in places.items()}
    width = max(s.x + s.half_width for s in shapes.values()) + MARGIN_X - 30
    height = max(s.y + s.half_height for s in shapes.values()) + MARGIN_Y - 10 + (LINE + 8 if note else 0)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}" '
        f'role="img" font-family="Verdana, DejaVu Sans, sans-serif">',
        f"<title>{escape(title)}</title>",
        f'<defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" markerHeight="8" orient="auto-start-reverse">'
        f'<path d="M0 0 L10 5 L0 10 z" fill="{EDGE}"/></marker></defs>',
        f'<rect width="{width:.0f}" height="{height:.0f}" rx="8" fill="#ffffff"/>',
    ]
    curves = [(arrow, *_curve(shapes[arrow.source], shapes[arrow.target], arrow.bend)) for arrow in arrows]
    parts += [f'<path d="{path}" fill="none" stroke="{EDGE}" stroke-width="1.5" marker-end="url(#tip)"/>' for _, path, _ in curves]
    for name, shape in shapes.items():
        parts += _drawn(name, shape, is_end=name == end)
    for arrow, _, middle in curves:
        parts += _label(arrow.lines, middle)
    if note:
        parts.append(f'<text x="{width / 2:.0f}" y="{height - 14:.0f}" font-size="12" text-anchor="middle" fill="{FAINT}">{escape(note)}</text>')
    return "\n".join([*parts, "</svg>", ""])


def _shape(name: str, place: Point, *, is_round: bool) -> Shape:
    x, y = MARGIN_X + place[0] * COLUMN, MARGIN_Y + place[1] * ROW
    if is_round:
        return Shape(x, y, DOT_RADIUS, DOT_RADIUS, True)
    return Shape(x, y, max(BOX_WIDTH_MIN, len(name) * LETTER + 24) / 2, BOX_HEIGHT / 2, False)


def _drawn(name: str, shape: Shape, *, is_end: bool) -> Iterator[str]:
    if not shape.is_round:
        left, top = shape.x - shape.half_width, shape.y - shape.half_height
        yield (
            f'<rect x="{left:.1f}" y="{top:.1f}" width="{2 * shape.half_width:.1f}" height="{BOX_HEIGHT}" rx="9" '
            f'fill="{FILL}" stroke="{EDGE}" stroke-width="1.5"/>'
        )
        yield f'<text x="{shape.x:.1f}" y="{shape.y + 4.5:.1f}" font-size="12.5" text-anchor="middle" fill="{INK}">{escape(name)}</text>'
        return
    if is_end:
        yield f'<circle cx="{shape.x:.1f}" cy="{shape.y:.1f}" r="{DOT_RADIUS}" fill="#ffffff" stroke="{INK}" stroke-width="1.5"/>'
    yield f'<circle cx="{shape.x:.1f}" cy="{shape.y:.1f}" r="{DOT_RADIUS - (4 if is_end else 1)}" fill="{INK}"/>'


def _label(lines: Sequence[str], middle: Point) -> Iterator[str]:
    x, y = middle
    top = y - (len(lines) - 1) * LINE / 2 + 4
    for number, line in enumerate(lines):
        yield (
            f'<text x="{x:.1f}" y="{top + number * LINE:.1f}" font-size="11" text-anchor="middle" fill="{FAINT}" '
            f'stroke="#ffffff" stroke-width="4" paint-order="stroke" stroke-linejoin="round">{escape(line)}</text>'
        )


def _curve(source: Shape, target: Shape, bend: float) -> tuple[str, Point]:
    """The path of an arrow, and where its label goes."""
    if source is target:
        x, top = source.x, source.y - source.half_height
        path = f"M {x - 22:.1f} {top:.1f} C {x - 34:.1f} {top - 38:.1f}, {x + 34:.1f} {top - 38:.1f}, {x + 22:.1f} {top:.1f}"
        return path, (x, top - 34)
    dx, dy = target.x - source.x, target.y - source.y
    length = math.hypot(dx, dy)
    # Upwards on the page is where y falls, so the left of a direction is (dy, -dx).
    control = ((source.x + target.x) / 2 + 2 * bend * dy / length, (source.y + target.y) / 2 - 2 * bend * dx / length)
    first, last = _border(source, control), _border(target, control)
    middle = (first[0] / 4 + control[0] / 2 + last[0] / 4, first[1] / 4 + control[1] / 2 + last[1] / 4)
    path = f"M {first[0]:.1f} {first[1]:.1f} Q {control[0]:.1f} {control[1]:.1f} {last[0]:.1f} {last[1]:.1f}"
    return path, middle


def _border(shape: Shape, towards: Point) -> Point:
    """Where the line from the centre of a shape leaves it."""
    dx, dy = towards[0] - shape.x, towards[1] - shape.y
    if shape.is_round:
        scale = (shape.half_width + 1) / math.hypot(dx, dy)
    else:
        scale = min(shape.half_width / abs(dx) if dx else math.inf, shape.half_height / abs(dy) if dy else math.inf)
    return shape.x + dx * scale, shape.y + dy * scale
