"""The 19 published animations of convolution arithmetic (Dumoulin & Visin 2016), as data, and a folder of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from unconv.choices import ThemeName, ViewName
from unconv.explain.drawing import Drawing, draw
from unconv.explain.numbers import NumbersSpec
from unconv.explain.write.html import template
from unconv.explain.write.svg import FONT
from unconv.files import write_whole
from unconv.folders import check_folder, replacing_folder
from unconv.operators.geometry.base import Geometry
from unconv.operators.geometry.conv import ConvGeometry, ConvTransposeGeometry
from unconv.operators.geometry.pool import AvgPoolGeometry, MaxPoolGeometry

ENDINGS = ("svg", "gif")

_INPUT = ((3, 3, 2, 1, 0), (0, 0, 1, 3, 1), (3, 1, 2, 2, 3), (2, 0, 0, 2, 2), (2, 0, 0, 0, 1))
_KERNEL = ((0, 1, 2), (2, 2, 0), (0, 1, 2))
"""Input and kernel of the guide's Figure 1.1."""

_CONVOLUTIONS = (
    ("no_padding_no_strides", 4, 3, 1, 0),
    ("arbitrary_padding_no_strides", 5, 4, 1, 2),
    ("same_padding_no_strides", 5, 3, 1, 1),
    ("full_padding_no_strides", 5, 3, 1, 2),
    ("no_padding_strides", 5, 3, 2, 0),
    ("padding_strides", 5, 3, 2, 1),
    ("padding_strides_odd", 6, 3, 2, 1),
)
"""Name, input, kernel, stride, padding; each has a transposed twin."""


@dataclass(frozen=True)
class Animation:
    """One picture of the gallery."""

    name: str
    geometry: Geometry
    view: ViewName = "gather"
    numbers: NumbersSpec = None

    def drawing(self, theme: ThemeName = "auto") -> Drawing:
        """The animation."""
        return draw(self.geometry, self.view, self.numbers, theme=theme)


def animations() -> tuple[Animation, ...]:
    """The 19, under the names of the public collection; the transposed ones with their zeros inserted, as there.

    >>> [animation.geometry.output_size for animation in animations()[:3]]
    [(2, 2), (6, 6), (5, 5)]
    >>> len(animations())
    19
    """
    plain = [
        (name, ConvGeometry((size, size), kernel, stride, padding))
        for name, size, kernel, stride, padding in _CONVOLUTIONS
    ]
    twins = [Animation(f"{name}_transposed", _twin(geometry), "zeros") for name, geometry in plain]
    five = (5, 5)
    return (
        *(Animation(name, geometry) for name, geometry in plain),
        *twins,
        Animation("dilation", ConvGeometry((7, 7), 3, dilation=2)),
        Animation("numerical_no_padding_no_strides", ConvGeometry(five, 3), numbers=(_INPUT, _KERNEL)),
        Animation("numerical_padding_strides", ConvGeometry(five, 3, 2, 1), numbers=(_INPUT, _KERNEL)),
        Animation("numerical_average_pooling", AvgPoolGeometry(five, 3, 1), numbers=_INPUT),
        Animation("numerical_max_pooling", MaxPoolGeometry(five, 3, 1), numbers=_INPUT),
    )


def _twin(geometry: ConvGeometry) -> ConvTransposeGeometry:
    return geometry.transpose()


def gallery_names() -> tuple[str, ...]:
    """The files of a gallery."""
    return (*(f"{animation.name}.{ending}" for animation in animations() for ending in ENDINGS), "index.html")


def write_gallery(
    folder: str | Path, theme: ThemeName = "auto", told: Callable[[str], None] = lambda _: None, *, force: bool = False
) -> list[Path]:
    """Write all animations as SVG and GIF, and an index.html that shows them; ``told`` hears of each one.

    The files come into the folder when all are there; those of an older gallery are replaced, others stay.

    Raises :class:`~unconv.errors.UnconvError` where the folder cannot be made or written, and where others' files
    would be replaced without ``force``.
    """
    target = Path(folder)
    check_folder(target, gallery_names(), "gallery", force)
    with replacing_folder(target, "gallery", force) as beside:
        files = _write_all(beside, theme, told)
    return [target / file.name for file in files]


def _write_all(target: Path, theme: ThemeName, told: Callable[[str], None]) -> list[Path]:
    written: list[Path] = []
    with ThreadPoolExecutor(max_workers=2) as pool:
        chosen = animations()
        for animation, files in zip(
            chosen, pool.map(lambda one: list(_write(one, target, theme)), chosen), strict=True
        ):
            written += files
            told(animation.name)
    page = gallery_page([(a.name, a.drawing(theme)) for a in chosen], theme)
    return [*written, write_whole(target / "index.html", page, "gallery")]


def gallery_page(drawings: Sequence[tuple[str, Drawing]], theme: ThemeName = "auto") -> str:
    """The page that shows a folder of animations by their names."""
    sections: dict[str, list[dict[str, object]]] = {}
    for name, drawing in drawings:
        heading = "With numbers" if name.startswith("numerical") else f"{drawing.scene.title}s"
        figure = {"name": name, "width": drawing.page.width, "height": drawing.page.height}
        sections.setdefault(heading, []).append(figure | {"alt": f"{drawing.scene.title}, {drawing.scene.subtitle}"})
    return template("gallery").render(theme=theme, font=FONT, count=len(drawings), sections=sections.items())


def _write(animation: Animation, folder: Path, theme: ThemeName) -> Iterator[Path]:
    drawing = animation.drawing(theme)
    for ending in ENDINGS:
        yield drawing.save(folder / f"{animation.name}.{ending}")
