"""Two ways of one story beside each other as SVG: for each node when it ran, and how many connections it had."""

from __future__ import annotations

from html import escape

from lifetimes.logged import Run, Told

WIDTH, PANEL, GAP = 880, 400, 30
LEFT, TOP, ROW, LANE, BOTTOM = 40, 64, 40, 30, 30
INK, FAINT, UP, LINKS = "#1f2933", "#9aa5b1", "#e4e9ee", "#3e6f9e"
FONT = "Verdana, DejaVu Sans, sans-serif"
TICKS_MAX = 6


def draw(title: str, strict: Told, healing: Told) -> str:
    """The whole drawing."""
    places = sorted({run.place for run in (*strict.runs, *healing.runs)})
    height = TOP + ROW * len(places) + BOTTOM
    size = f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" font-family="{FONT}" font-size="11">',
        f"<title>{escape(title)}: connections of each node, by the six rules alone and by default</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
    ]
    for number, (name, told) in enumerate((("the six rules alone", strict), ("by default", healing))):
        parts += _panel(LEFT + number * (PANEL + GAP), name, told, places)
    return "\n".join([*parts, "</svg>", ""])


def _panel(left: float, name: str, told: Told, places: list[int]) -> list[str]:
    def x(seconds: float) -> float:
        return left + PANEL * seconds / told.end

    parts = [_text(left, 18, name, size=14)]
    bottom = TOP + ROW * len(places)
    for number, (seconds, _) in enumerate(told.captions, 1):
        parts.append(
            f'<line x1="{x(seconds):.1f}" y1="{TOP - 14}" x2="{x(seconds):.1f}" y2="{bottom}" stroke="{FAINT}" stroke-dasharray="3 3"/>'
        )
        parts.append(_text(x(seconds) - 3, TOP - 18, str(number), anchor="end"))
    for row, place in enumerate(places):
        base = TOP + ROW * row + LANE
        parts.append(_text(left - 18, base - LANE / 2 + 4, "ABCDEF"[place - 1], size=13))
        for run in told.runs:
            if run.place == place:
                parts.append(
                    f'<rect x="{x(run.start):.1f}" y="{base - LANE}" width="{x(run.end) - x(run.start):.1f}" height="{LANE}" fill="{UP}"/>'
                )
                parts.append(_area(run, base, len(places) - 1, x(run.start), [(x(at), count) for at, count in run.changes], x(run.end)))
    step = next(step for step in (5, 10, 20, 30, 60, 120, 300, 600) if told.end / step <= TICKS_MAX)
    parts += [_text(x(tick), bottom + 14, f"{tick} s", anchor="middle", ink=FAINT) for tick in range(0, int(told.end) + 1, step)]
    return parts


def _area(run: Run, base: float, most: int, start: float, changes: list[tuple[float, int]], end: float) -> str:
    """The number of connections over time, filled: as high as the lane where the node is connected with all others."""
    path = [f"M{start:.1f} {base}"]
    for x, count in changes:
        path.append(f"H{min(x, end):.1f}V{base - LANE * min(count, most) / most:.1f}")
    return f'<path d="{"".join(path)}H{end:.1f}V{base}Z" fill="{LINKS}"/>'


def _text(x: float, y: float, text: str, *, size: int = 11, anchor: str = "start", ink: str = INK) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{ink}">{escape(text)}</text>'
