"""SVG: one file that moves by CSS alone. What stands still is written once, what moves is a few references a frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from itertools import groupby

from unconv.explain.fonts import text_width
from unconv.explain.page import SMALL_CELL, Area, Label, Page, Tile
from unconv.explain.scene import Scene
from unconv.explain.themes import DARK, LIGHT, Theme, still_theme

FONT = "Inter,system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif"
_INSET = 1
_SHORT = 4
"""Longer texts are told their width, so that no reader's typeface breaks the layout."""


def svg_of(scene: Scene, page: Page, theme: str = "auto", frame: int | None = None, scripted: bool = False) -> str:
    """The scene as SVG: animated, or one ``frame`` of it standing still.

    ``theme="auto"`` follows the reader's setting (prefers-color-scheme). ``scripted`` leaves the motion to a page's
    script: every moving element then carries its frames as ``data-frames="first last"``.
    """
    symbols = _Symbols()
    body = [f'<rect class="page" width="{page.width}" height="{page.height}" rx="10"/>']
    for tiles in page.tiles:
        body += _tile_rows(tiles, symbols)
    body += [symbols.use([swatch]) for swatch in page.swatches]
    numbers = range(len(page.frames)) if frame is None else (frame,)
    shown = [page.frames[n] for n in numbers]
    clock = _Clock(len(shown), scene.seconds, still=frame is not None, scripted=scripted)
    body += clock.play([[_area(area) for area in moment.areas] for moment in shown])
    body += clock.play([[symbols.use(group) for group in moment.tiles] for moment in shown])
    body += [_label(label) for label in (*page.cell_labels, *page.labels)]
    body += clock.play([[_label(label) for label in moment.labels] for moment in shown])
    description = " ".join((*scene.captions, scene.note)).strip()
    return "".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {page.width} {page.height}" width="{page.width}" '
            f'height="{page.height}" role="img" aria-label="{escape(scene.title)}, {escape(scene.subtitle)}">',
            f"<title>{escape(scene.title)}, {escape(scene.subtitle)}</title><desc>{escape(description)}</desc>",
            f"<style>{_styles(theme)}{clock.rules()}</style>",
            f"<defs>{symbols.text()}</defs>\n",
            "\n".join(body),
            "\n</svg>\n",
        )
    )


@dataclass
class _Symbols:
    """Groups of cells that occur more than once, written once."""

    names: dict[tuple[tuple[tuple[int, int], ...], int, str], str] = field(default_factory=dict)

    def use(self, tiles: Sequence[Tile]) -> str:
        """A reference to a group of cells of one style and size."""
        head = tiles[0]
        shape = tuple((tile.x - head.x, tile.y - head.y) for tile in tiles)
        name = self.names.setdefault((shape, head.size, head.style), f"g{len(self.names)}")
        return f'<use href="#{name}" x="{head.x}" y="{head.y}"/>'

    def text(self) -> str:
        """The definitions."""
        return "".join(
            f'<path id="{name}" class="{style}"{_thin(size)} d="{"".join(_square(x, y, size) for x, y in shape)}"/>'
            for (shape, size, style), name in self.names.items()
        )


def _thin(size: int) -> str:
    """Outlines of small cells are thin, or they would be all that one sees."""
    return "" if size > SMALL_CELL else ' stroke-width=".5"'


def _square(x: int, y: int, size: int) -> str:
    inset = _INSET if size > 8 else 0.5
    side = size - 2 * inset
    return f"M{x + inset:g} {y + inset:g}h{side:g}v{side:g}h-{side:g}z"


def _tile_rows(tiles: tuple[Tile, ...], symbols: _Symbols) -> list[str]:
    """One reference per run of equal cells in a row."""
    return [symbols.use(list(run)) for _, run in groupby(tiles, key=lambda tile: (tile.y, tile.style))]


def _area(area: Area) -> str:
    points = " ".join(f"{x},{y}" for x, y in area.points)
    return f'<polygon class="{area.style}" points="{points}"/>'


def _label(label: Label) -> str:
    anchor = {"start": "", "middle": ' text-anchor="middle"', "end": ' text-anchor="end"'}[label.anchor]
    weight = ' font-weight="600"' if label.bold else ""
    text = escape(label.text, quote=False)
    place = f'x="{label.x}" y="{label.y}" font-size="{label.size}"'
    if len(label.text) > _SHORT:
        place += f' textLength="{text_width(label.text, label.size, label.bold)}" lengthAdjust="spacingAndGlyphs"'
    return f'<text class="{label.style}" {place}{anchor}{weight}>{text}</text>'


class _Clock:
    """Shows each element in the frames in which it occurs: one keyframe rule per length, a delay per element."""

    def __init__(self, frames: int, seconds: float, still: bool, scripted: bool) -> None:
        self._frames, self._seconds, self._still, self._scripted = frames, seconds, still, scripted
        self._lengths: set[int] = set()

    def play(self, moments: list[list[str]]) -> list[str]:
        """Elements with the stretch of frames in which they show; what never changes simply stands there."""
        return [self._timed(elements, *span) for span, elements in _spans(moments)]

    def _timed(self, elements: list[str], first: int, stop: int) -> str:
        content = "".join(elements)
        if self._still or (first == 0 and stop == self._frames):
            return content
        if self._scripted:
            return f'<g class="f" data-frames="{first} {stop - 1}">{content}</g>'
        self._lengths.add(stop - first)
        delay = f' style="animation-delay:{first * self._seconds:g}s"' if first else ""
        return f'<g class="f f{stop - first}{"" if first else " z"}"{delay}>{content}</g>'

    def rules(self) -> str:
        """The style rules that make the elements come and go; without animation the first frame stays."""
        if self._still:
            return ""
        if self._scripted:
            return ".f{visibility:hidden}.f.on{visibility:visible}"
        total = self._frames * self._seconds
        rules = [f".f{{visibility:hidden;animation:{total:g}s step-end infinite}}.z{{visibility:visible}}"]
        for length in sorted(self._lengths):
            # Rounded down: at the stroke of the clock, one frame must be gone before the next is there.
            end = f"{(10**8 * length // self._frames) / 10**6:.6f}".rstrip("0").rstrip(".")
            rules.append(
                f".f{length}{{animation-name:k{length}}}"
                f"@keyframes k{length}{{0%{{visibility:visible}}{end}%,to{{visibility:hidden}}}}"
            )
        rules.append("svg:hover .f{animation-play-state:paused}")
        rules.append("@media(prefers-reduced-motion:reduce){.f{animation-play-state:paused}}")
        return "".join(rules)


def _spans(moments: list[list[str]]) -> list[tuple[tuple[int, int], list[str]]]:
    """Elements grouped by the stretch [first, stop) of frames in which they stay."""
    open_since: dict[str, int] = {}
    found: dict[tuple[int, int], list[str]] = {}
    for number, moment in enumerate([*moments, []]):
        present = dict.fromkeys(moment)
        for element in [element for element in open_since if element not in present]:
            found.setdefault((open_since.pop(element), number), []).append(element)
        for element in present:
            open_since.setdefault(element, number)
    return sorted(found.items())


def _styles(theme: str) -> str:
    base = f"text{{font-family:{FONT};white-space:pre}}path,rect{{stroke-linejoin:round}}"
    if theme == "auto":
        return f"{base}{_colours(LIGHT)}@media(prefers-color-scheme:dark){{{_colours(DARK)}}}"
    return base + _colours(still_theme(theme))


def _colours(theme: Theme) -> str:
    rules = [
        f".page{{fill:{theme.background}}}.beam{{fill:{theme.beam};fill-opacity:{theme.beam_opacity};stroke:{theme.beam};stroke-opacity:{theme.edge_opacity}}}"
    ]
    for style, paint in theme.cells.items():
        dash = ";stroke-dasharray:3 2" if paint.dashed else ""
        rules.append(f".{style}{{fill:{paint.fill};stroke:{paint.stroke}{dash}}}")
    rules += [f".{style}{{fill:{colour}}}" for style, colour in theme.inks.items()]
    return "".join(rules)
