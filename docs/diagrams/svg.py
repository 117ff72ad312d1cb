"""Drawing states and arrows as SVG that every viewer shows alike: shapes and text, no markers, no styles."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple
from xml.sax.saxutils import escape

COLUMN, ROW = 250, 130
MARGIN = 22
BOX_HEIGHT = 36
BOX_WIDTH_MIN = 110
DOT_RADIUS = 8
BOX_LETTER, LABEL_LETTER = 7.6, 6.3
"""Width of a letter, generously."""
LINE = 14
"""Height of a line of a label."""
GAP = 6
"""Between an arrow and its label."""
TIP_LENGTH, TIP_HALF_WIDTH = 9, 4

INK, FAINT, FILL, EDGE = "#1f2933", "#3a4754", "#e6f0fa", "#3e6f9e"
FONT = "Verdana, DejaVu Sans, sans-serif"

Point = tuple[float, float]


class Shape(NamedTuple):
    """A box or a dot, by its centre."""

    x: float
    y: float
    half_width: float
    half_height: float


class Arrow(NamedTuple):
    """One arrow with its label."""

    source: str
    target: str
    lines: Sequence[str]
    bend: float
    """How far it leaves the straight line, to the left of its direction; the sign counts for a loop too, which is above or below."""


class Curve(NamedTuple):
    """The way of an arrow: a quadratic Bézier curve."""

    first: Point
    control: Point
    last: Point

    @property
    def middle(self) -> Point:
        """The point half way."""
        return tuple(a / 4 + b / 2 + c / 4 for a, b, c in zip(*self, strict=True))  # type: ignore[return-value]  # two of them


def draw(title: str, places: Mapping[str, Point], arrows: Sequence[Arrow], *, dots: Mapping[str, bool], note: str) -> str:
    """A whole drawing.

    :param places: column and row of every state.
    :param dots: names that are drawn as dots, with whether they are ends.
    :param note: a line under the drawing; empty for none.
    """
    shapes = {name: _shape(name, place, is_dot=name in dots) for name, place in places.items()}
    curves = [_curve(shapes[arrow.source], shapes[arrow.target], arrow.bend) for arrow in arrows]
    labels = [_label_shape(arrow, curve, shapes) for arrow, curve in zip(arrows, curves, strict=True)]
    left, top, right, bottom = _bounds([*shapes.values(), *labels])
    if note:
        bottom += LINE + GAP
    width, height = right - left, bottom - top
    size = f'viewBox="{left:.0f} {top:.0f} {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" font-family="{FONT}">',
        f"<title>{escape(title)}</title>",
        f'<rect x="{left:.0f}" y="{top:.0f}" width="{width:.0f}" height="{height:.0f}" fill="#ffffff"/>',
    ]
    for curve in curves:
        parts += _drawn_curve(curve)
    for name, shape in shapes.items():
        parts += _drawn_dot(shape, is_end=dots[name]) if name in dots else _drawn_box(name, shape)
    for arrow, label in zip(arrows, labels, strict=True):
        parts += _drawn_label(arrow.lines, label)
    if note:
        parts.append(_text(left + width / 2, bottom - MARGIN + 4, 11.5, FAINT, note))
    return "\n".join([*parts, "</svg>", ""])


# --- where things are -------------------------------------------------------------------------


def _shape(name: str, place: Point, *, is_dot: bool) -> Shape:
    x, y = place[0] * COLUMN, place[1] * ROW
    if is_dot:
        return Shape(x, y, DOT_RADIUS, DOT_RADIUS)
    return Shape(x, y, max(BOX_WIDTH_MIN, len(name) * BOX_LETTER + 22) / 2, BOX_HEIGHT / 2)


def _curve(source: Shape, target: Shape, bend: float) -> Curve:
    if source is target:
        up = -1 if bend < 0 else 1
        edge = source.y - up * source.half_height
        return Curve((source.x - up * 26, edge), (source.x, edge - up * 62), (source.x + up * 26, edge))
    dx, dy = target.x - source.x, target.y - source.y
    length = math.hypot(dx, dy)
    # On the page y grows downwards, so the left of a direction is (dy, -dx).
    control = ((source.x + target.x) / 2 + 2 * bend * dy / length, (source.y + target.y) / 2 - 2 * bend * dx / length)
    return Curve(_border(source, control), control, _border(target, control))


def _border(shape: Shape, towards: Point) -> Point:
    """Where the line from the centre of a shape leaves it."""
    dx, dy = towards[0] - shape.x, towards[1] - shape.y
    if shape.half_width == DOT_RADIUS:
        scale = (DOT_RADIUS + 1) / math.hypot(dx, dy)
    else:
        scale = min(shape.half_width / abs(dx) if dx else math.inf, shape.half_height / abs(dy) if dy else math.inf)
    return shape.x + dx * scale, shape.y + dy * scale


def _label_shape(arrow: Arrow, curve: Curve, shapes: Mapping[str, Shape]) -> Shape:
    """Beside the middle of the arrow, on the outer side of its bend; on its left where there is none."""
    half_width = max(map(len, arrow.lines)) * LABEL_LETTER / 2
    half_height = len(arrow.lines) * LINE / 2
    source, target = shapes[arrow.source], shapes[arrow.target]
    dx, dy = (1.0, 0.0) if source is target else (target.x - source.x, target.y - source.y)
    length = math.hypot(dx, dy)
    side = -1 if arrow.bend < 0 else 1
    normal = side * dy / length, -side * dx / length
    away = half_width * abs(normal[0]) + half_height * abs(normal[1]) + GAP
    x, y = curve.middle
    return Shape(x + normal[0] * away, y + normal[1] * away, half_width, half_height)


def _bounds(shapes: Sequence[Shape]) -> tuple[float, float, float, float]:
    return (
        min(s.x - s.half_width for s in shapes) - MARGIN,
        min(s.y - s.half_height for s in shapes) - MARGIN,
        max(s.x + s.half_width for s in shapes) + MARGIN,
        max(s.y + s.half_height for s in shapes) + MARGIN,
    )


# --- how they look ----------------------------------------------------------------------------


def _text(x: float, y: float, size: float, colour: str, text: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="middle" fill="{colour}">{escape(text)}</text>'


def _drawn_curve(curve: Curve) -> Iterator[str]:
    (x, y), (cx, cy) = curve.last, curve.control
    length = math.hypot(x - cx, y - cy)
    ux, uy = (x - cx) / length, (y - cy) / length
    bx, by = x - ux * TIP_LENGTH, y - uy * TIP_LENGTH
    yield (
        f'<path d="M {curve.first[0]:.1f} {curve.first[1]:.1f} Q {cx:.1f} {cy:.1f} {bx:.1f} {by:.1f}" '
        f'fill="none" stroke="{EDGE}" stroke-width="1.5"/>'
    )
    wx, wy = -uy * TIP_HALF_WIDTH, ux * TIP_HALF_WIDTH
    yield f'<path d="M {x:.1f} {y:.1f} L {bx + wx:.1f} {by + wy:.1f} L {bx - wx:.1f} {by - wy:.1f} Z" fill="{EDGE}"/>'


def _drawn_box(name: str, shape: Shape) -> Iterator[str]:
    x, y = shape.x - shape.half_width, shape.y - shape.half_height
    yield (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{2 * shape.half_width:.1f}" height="{BOX_HEIGHT}" rx="9" '
        f'fill="{FILL}" stroke="{EDGE}" stroke-width="1.5"/>'
    )
    yield _text(shape.x, shape.y + 4.5, 12.5, INK, name)


def _drawn_dot(shape: Shape, *, is_end: bool) -> Iterator[str]:
    if is_end:
        yield f'<circle cx="{shape.x:.1f}" cy="{shape.y:.1f}" r="{DOT_RADIUS}" fill="#ffffff" stroke="{INK}" stroke-width="1.5"/>'
    yield f'<circle cx="{shape.x:.1f}" cy="{shape.y:.1f}" r="{DOT_RADIUS - (4 if is_end else 1)}" fill="{INK}"/>'


def _drawn_label(lines: Sequence[str], shape: Shape) -> Iterator[str]:
    top = shape.y - shape.half_height
    yield (
        f'<rect x="{shape.x - shape.half_width:.1f}" y="{top:.1f}" width="{2 * shape.half_width:.1f}" '
        f'height="{2 * shape.half_height:.1f}" fill="#ffffff"/>'
    )
    for number, line in enumerate(lines):
        yield _text(shape.x, top + number * LINE + 10.5, 11, FAINT, line)
