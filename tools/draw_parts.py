"""The parts of unconv, their rooms and arrows, read from the imports: ``python tools/draw_parts.py``.

Writes docs/images/parts.svg, and the list of rooms in CONTRIBUTING.md. A test compares both with the code.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

import grimp

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "unconv"
FIGURE = ROOT / "docs" / "images" / "parts.svg"
GUIDE = ROOT / "CONTRIBUTING.md"
BEGIN, END = "<!-- rooms: python tools/draw_parts.py -->", "<!-- end of rooms -->"

# Where a part stands: floor from the top, centre from the left.
PLACES = {
    "cli": (0, 500),
    "explain": (1, 130),
    "sparse": (1, 375),
    "visualize": (1, 625),
    "train": (1, 870),
    "models": (2, 870),
    "upsample": (3, 870),
    "network": (4, 430),
    "data": (5, 700),
    "operators": (6, 165),
    "jobs": (6, 700),
    "errors": (7, 430),
}
# Files at the top of the package that every part may read are drawn as one.
GROUND = ("errors", "files", "tables", "describe", "results", "folders", "inputs", "source_files", "_version")
WIDTH, FLOOR, TOP = 1000, 118, 24
BOX = (210, 74)
STYLE = """
.parts{--ink:#1d2733;--soft:#5b6b7c;--line:#8aa0b5;--box:#f6f8fb;--edge:#c4d0dc;font-family:system-ui,sans-serif}
@media (prefers-color-scheme:dark){.parts{--ink:#e8eef5;--soft:#a3b3c4;--line:#6f8499;--box:#1b2430;--edge:#3b4a5c}}
.parts .name{font-size:17px;font-weight:600;fill:var(--ink)}.parts .rooms{font-size:12px;fill:var(--soft)}
.parts rect{fill:var(--box);stroke:var(--edge)}.parts path{fill:none;stroke:var(--line);stroke-width:1.6}
.parts marker path{fill:var(--line);stroke:none}
"""


def rooms_of(part: str) -> dict[str, str]:
    """The rooms of a part, by their paths below it, each with the first line of its docstring."""
    found = {}
    for face in sorted((PACKAGE / part).rglob("__init__.py")):
        about = ast.get_docstring(ast.parse(face.read_text(encoding="utf-8"))) or ""
        found[str(face.parent.relative_to(PACKAGE))] = about.partition("\n")[0]
    return found


def arrows() -> dict[str, set[str]]:
    """For each part those whose modules it imports."""
    graph = grimp.build_graph("unconv", exclude_type_checking_imports=True, cache_dir=None)
    found: dict[str, set[str]] = {part: set() for part in PLACES}
    for module in graph.modules:
        for imported in graph.find_modules_directly_imported_by(module):
            above, below = _part(module), _part(imported)
            if above in found and below in found and above != below:
                found[above].add(below)
    return found


def _part(module: str) -> str:
    part = (*module.split("."), "")[1]
    return "errors" if part in GROUND else part


def not_implied(found: Mapping[str, set[str]]) -> list[tuple[str, str]]:
    """The arrows that do not follow from others."""

    def below(part: str) -> set[str]:
        return found[part].union(*map(below, found[part])) if found[part] else set()

    return [
        (above, part)
        for above in PLACES
        for part in sorted(found[above])
        if not any(part in below(other) for other in found[above] - {part})
    ]


def figure(pairs: Sequence[tuple[str, str]]) -> str:
    """The parts as boxes, their rooms inside, arrows behind them, as SVG."""
    height = TOP * 2 + FLOOR * max(floor for floor, _ in PLACES.values()) + BOX[1]
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" class="parts" role="img" '
        'aria-label="The parts of unconv: imports point down">',
        f"<style>{STYLE}</style>",
        '<marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0L8 4L0 8z"/></marker>',
    ]
    lines += [_arrow(above, below) for above, below in pairs]
    lines += [_box(part) for part in PLACES]
    return "\n".join([*lines, "</svg>", ""])


def _arrow(above: str, below: str) -> str:
    (x1, y1), (x2, y2) = _centre(above), _centre(below)
    start, stop = y1 + BOX[1] / 2, y2 - BOX[1] / 2 - 2
    # Arrows leave and reach a box on the side of where they go to or come from.
    shift = max(-70.0, min(70.0, (x2 - x1) / 5))
    x1, x2 = x1 + shift, x2 - shift
    bend = (stop - start) / 2
    path = f"M{x1:g} {start:g}C{x1:g} {start + bend:g} {x2:g} {stop - bend:g} {x2:g} {stop:g}"
    return f'<path d="{path}" marker-end="url(#head)"/>'


def _box(part: str) -> str:
    x, y = _centre(part)
    width, height = BOX
    names = list(GROUND[:3]) if part == "errors" else [part]
    inside = [Path(room).name for room in rooms_of(part) if room.count("/") == 1] if part != "errors" else []
    text = _wrapped(inside, 34)
    title = y - (4 if not text else 12 if len(text) == 1 else 16)
    lines = [
        f'<rect x="{x - width / 2:g}" y="{y - height / 2:g}" width="{width}" height="{height}" rx="9"/>',
        f'<text class="name" text-anchor="middle" x="{x}" y="{title + 5:g}">{escape(" · ".join(names))}</text>',
    ]
    for number, line in enumerate(text):
        lines.append(
            f'<text class="rooms" text-anchor="middle" x="{x}" y="{title + 24 + 15 * number:g}">{escape(line)}</text>'
        )
    return "".join(lines)


def _wrapped(names: Sequence[str], most: int) -> list[str]:
    lines: list[str] = []
    for name in names:
        longer = f"{lines[-1]} · {name}" if lines else name
        if lines and len(longer) <= most:
            lines[-1] = longer
        else:
            lines.append(name)
    return lines


def _centre(part: str) -> tuple[int, float]:
    floor, x = PLACES[part]
    return x, TOP + FLOOR * floor + BOX[1] / 2


def room_list() -> str:
    """Every room with the first line of its docstring, as Markdown."""
    lines = []
    for part in PLACES:
        for room, about in rooms_of(part).items() if (PACKAGE / part).is_dir() else ():
            depth = room.count("/")
            name = f"**`{room}/`**" if not depth else f"`{Path(room).name}/`"
            lines.append(f"{'  ' * depth}- {name} {about}")
    return "\n".join(lines)


def guide(text: str) -> str:
    """The guide with the rooms as they are."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{room_list()}\n{END}{after}"


def main() -> None:
    """Write both."""
    FIGURE.write_text(figure(not_implied(arrows())), encoding="utf-8")
    GUIDE.write_text(guide(GUIDE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
