"""Drawings: ``uc.draw`` and what it returns."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from unconv.arguments import tell_wrong_arguments
from unconv.choices import ThemeName, ViewName
from unconv.describe import facts_text
from unconv.errors import GeometryError, UnconvError
from unconv.explain.captions import size_text
from unconv.explain.compose import page_of
from unconv.explain.numbers import Numbers, NumbersSpec
from unconv.explain.page import Page
from unconv.explain.scene import Frame, Scene
from unconv.explain.themes import check_theme, still_theme
from unconv.explain.views.all_views import VIEWS, View, views_of
from unconv.explain.views.channels import Channels
from unconv.explain.views.parts import MAX_NUMBERED_CELLS, DrawingLimitError
from unconv.explain.write.svg import svg_of
from unconv.files import write_whole
from unconv.operators.geometry.base import Geometry
from unconv.results import image_html

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import Tensor
    from torch.nn import Module

FORMATS = (".svg", ".gif", ".mp4", ".png", ".html")
_STILLS, _SCALABLE = (".svg", ".png"), (".svg", ".html")


@dataclass(frozen=True, repr=False)
class Drawing:
    """A scene that can be saved; ``frames`` are plain data, ``note`` says what was left out.

    ``siblings`` are the other views of the same geometry, between which a page chooses; made when asked for.
    """

    scene: Scene
    theme: ThemeName = "auto"
    siblings: Callable[[], Sequence[Scene]] = field(default=tuple, compare=False, repr=False)

    @property
    def frames(self) -> tuple[Frame, ...]:
        """What each frame lights up and writes."""
        return self.scene.frames

    @property
    def note(self) -> str:
        """What the picture leaves out; empty where it shows everything."""
        return self.scene.note

    @cached_property
    def page(self) -> Page:
        """The scene laid out in pixels."""
        return page_of(self.scene)

    @property
    def telling_frame(self) -> int:
        """The frame for a still picture: halfway through, where windows lie inside and sums are half done."""
        return len(self.frames) // 2

    def svg(self, frame: int | None = None) -> str:
        """The animation as SVG text, or one frame of it.

        >>> from unconv.operators.geometry.conv import ConvGeometry
        >>> draw(ConvGeometry(input_size=4, kernel_size=3)).svg(frame=0)[:4]
        '<svg'
        """
        return svg_of(self.scene, self.page, self.theme, None if frame is None else self.frame_number(frame))

    def html(self) -> str:
        """A page of its own, with a player, and tabs for the other views of the same geometry."""
        from unconv.explain.write.html import html_of

        order = list(VIEWS)
        scenes = sorted((self.scene, *self.siblings()), key=lambda scene: order.index(scene.view))
        titled = {VIEWS[scene.view].title: scene for scene in scenes}
        return html_of(titled, self.theme, start=scenes.index(self.scene))

    def save(self, path: str | Path, frame: int | None = None, scale: int = 1) -> Path:
        """Write a file; its ending chooses among .svg, .gif, .mp4, .png and .html.

        ``frame`` makes an SVG stand still and chooses the frame of a PNG; ``scale`` multiplies the pixels of GIF, MP4
        and PNG. Raises :class:`~unconv.errors.UnconvError` for other endings and paths that cannot be written.
        """
        target = Path(path)
        ending = target.suffix.lower()
        if ending not in FORMATS:
            raise UnconvError(
                f"draw: {target.name!r} ends in none of {', '.join(FORMATS)}; the ending chooses the format"
            )
        if not isinstance(scale, int) or not 1 <= scale <= 4:
            raise UnconvError(f"draw: scale {scale!r} must be a whole number from 1 to 4")
        if frame is not None and ending not in _STILLS:
            raise UnconvError(f"draw: frame {frame} chooses a still, and {ending} holds them all; use .svg or .png")
        if scale != 1 and ending in _SCALABLE:
            raise UnconvError(f"draw: scale {scale} multiplies pixels, and {ending} has none; leave it out")
        return write_whole(target, self._bytes(ending, frame, scale), "draw")

    def _bytes(self, ending: str, frame: int | None, scale: int) -> bytes:
        if ending == ".svg":
            return self.svg(frame).encode()
        if ending == ".html":
            return self.html().encode()
        from unconv.explain.write import video as encode
        from unconv.explain.write.gif import gif
        from unconv.explain.write.raster import Painter

        painter = Painter(self.page, still_theme(self.theme), scale)
        if ending == ".png":
            return encode.png(painter.frame(self.frame_number(frame)))
        if ending == ".gif":
            return gif(painter, self.scene.seconds)
        return encode.mp4(painter, self.scene.seconds)

    def frame_number(self, frame: int | None) -> int:
        """A frame's number counted from the start, the telling one for None; refuse what is not there."""
        if frame is None:
            return self.telling_frame
        if not -len(self.frames) <= frame < len(self.frames):
            raise UnconvError(f"draw: frame {frame} is outside the {len(self.frames)} frames of the animation")
        return frame % len(self.frames)

    def __repr__(self) -> str:
        told = {"view": self.scene.view, "frames": f"{len(self.frames)}, {self.scene.seconds:g} s each"}
        told |= {"pixels": f"{self.page.width}×{self.page.height}", "theme": self.theme}
        told |= {"left out": self.note} if self.note else {}
        return facts_text(f"Drawing: {self.scene.title}, {self.scene.subtitle}", told.items())

    def plot(self, frame: int | None = None) -> Figure:
        """One frame as a figure of matplotlib, the telling one unless given; :meth:`svg` has them all.

        Raises :class:`~unconv.errors.MissingExtraError` where matplotlib is not installed.
        """
        from unconv.data.figure import bare, blank
        from unconv.explain.write.raster import Painter

        picture = Painter(self.page, still_theme(self.theme), 2).frame(self.frame_number(frame))
        figure = blank(self.page.width / 100, self.page.height / 100)
        bare(figure.add_axes((0, 0, 1, 1))).imshow(picture)
        return figure

    def _repr_html_(self) -> str:
        """For notebooks: an image of its own, so that the names inside it cannot meet those of other cells."""
        return image_html(self.svg().encode(), "svg+xml", self.scene.title)


@overload
def draw(
    geometry: Geometry,
    view: ViewName = ...,
    numbers: NumbersSpec = ...,
    *,
    in_channels: int = ...,
    out_channels: int = ...,
    groups: int = ...,
    theme: ThemeName = ...,
) -> Drawing: ...
@overload
def draw(
    layer: Module,
    size: int | Sequence[int] | Tensor,
    view: ViewName = ...,
    numbers: NumbersSpec = ...,
    *,
    in_channels: int = ...,
    out_channels: int = ...,
    groups: int = ...,
    theme: ThemeName = ...,
) -> Drawing: ...
@tell_wrong_arguments
def draw(
    *given: Any,
    in_channels: int = 1,
    out_channels: int = 1,
    groups: int = 1,
    theme: ThemeName = "auto",
    **named: Any,
) -> Drawing:
    """Draw how a convolution, transposed convolution or pooling connects its cells: ``draw(geometry, view, numbers)``.

    Of one of torch's layers and the size of its input, ``draw(layer, size, view, numbers)``, the geometry is drawn that
    :meth:`ConvGeometry.of <unconv.operators.geometry.base.Geometry.of>` makes of them.

    ``view``: one of :data:`~unconv.explain.views.all_views.VIEWS`, as ``"gather"`` (an output collects from its
    window), ``"scatter"`` (an input pours its kernel into the output; not for pooling), ``"zeros"`` (transposed only:
    stride-1 convolution over the zero-inserted input; Dumoulin & Visin 2016, §4), ``"matrix"`` (the row of C, or Cᵀ, in
    play). ``numbers``: True or ``"random"``, a seed, or (input, kernel) arrays (a pooling: the input) to calculate with
    in the cells. ``in_channels``, ``out_channels`` and
    ``groups`` stack maps in the gather view. ``theme``: ``"light"``, ``"dark"`` or ``"auto"`` (SVG and HTML follow the
    reader's setting).

    Raises :class:`~unconv.errors.GeometryError` where a geometry has no such view or is too large to draw.

    >>> from unconv.operators.geometry.conv import ConvGeometry
    >>> drawing = draw(ConvGeometry(input_size=(5, 5), kernel_size=3, stride=2, padding=1))
    >>> len(drawing.frames), drawing.frames[0].line
    (9, 'Output (0, 0) collects from 4 inputs and 5 of the padding')
    >>> from torch import nn
    >>> draw(nn.Conv2d(3, 8, 3, stride=2, padding=1), 5).frames == drawing.frames
    True
    """
    geometry, view, numbers = _what_to_draw(given, named)
    check_theme(theme)
    channels = Channels(in_channels, out_channels, groups)
    if view not in VIEWS:
        raise GeometryError(f"draw: view {view!r} is not known; use one of {', '.join(VIEWS)}")
    offered = views_of(geometry)
    if view not in offered:
        raise GeometryError(f"draw: {geometry.operation} has no view {view!r}; use one of {', '.join(offered)}")
    chosen = offered.pop(view)
    if not channels.single:
        return Drawing(_with_channels(geometry, chosen, numbers, channels), theme)
    values = None if numbers is None else _numbers(geometry, numbers)
    return Drawing(chosen.scene(geometry, values), theme, lambda: _scenes(geometry, values, offered.values()))


def _what_to_draw(given: tuple[Any, ...], named: dict[str, Any]) -> tuple[Geometry, str, NumbersSpec]:
    """Geometry, view and numbers, of arguments that begin with a geometry, or with a layer and a size."""
    subject = given[0] if given else named.get("geometry", named.get("layer"))
    of_layer = hasattr(subject, "register_forward_hook")
    if of_layer and "input_size" in named and "size" not in named:
        # As everything else calls it.
        named = {"size" if name == "input_size" else name: value for name, value in named.items()}
    names = ("layer", "size", "view", "numbers") if of_layer else ("geometry", "view", "numbers")
    if len(given) > len(names):
        raise UnconvError(f"draw: {len(given)} arguments; give {', '.join(names)}, and the others by name")
    asked = dict(zip(names, given, strict=False))
    for name in named:
        if name in asked or name not in names:
            told = "is given twice" if name in asked else f"is not known; there are {', '.join(names)}"
            raise UnconvError(f"draw: argument {name!r} {told}")
    asked |= named
    if isinstance(asked.get("numbers"), bool):
        asked["numbers"] = "random" if asked["numbers"] else None
    if of_layer:
        if "size" not in asked or isinstance(asked["size"], str):
            raise GeometryError(
                f"draw: a layer needs the size of its input; draw(layer, 7) draws {type(subject).__name__} over 7 cells"
            )
        subject = Geometry.of(subject, asked["size"])
    if not isinstance(subject, Geometry):
        raise GeometryError(
            f"draw: {subject!r} is not a geometry, nor a layer; make one, as "
            "ConvGeometry(input_size=5, kernel_size=3), or give a layer and a size"
        )
    return subject, asked.get("view", "gather"), asked.get("numbers")


def _numbers(geometry: Geometry, spec: NumbersSpec) -> Numbers:
    cells = math.prod(geometry.input_size)
    if cells > MAX_NUMBERED_CELLS:
        raise DrawingLimitError(
            f"draw: numbers for an input of {size_text(geometry.input_size)} are {cells:,}, a picture with numbers "
            f"holds {MAX_NUMBERED_CELLS}; draw a smaller input"
        )
    return Numbers.of(geometry, spec)


def _with_channels(geometry: Geometry, view: View, numbers: Any, channels: Channels) -> Scene:
    if view.with_channels is None:
        several = " or ".join(repr(other.name) for other in VIEWS.values() if other.with_channels)
        raise GeometryError(f"draw: view {view.name!r} shows one channel; several are drawn in the view {several}")
    if numbers is not None:
        raise GeometryError("draw: numbers in the cells need one channel; leave out numbers or channels")
    return view.with_channels(geometry, channels)


def _scenes(geometry: Geometry, numbers: Numbers | None, views: Iterable[View]) -> list[Scene]:
    scenes = []
    for view in views:
        # A page with the views that fit is better than none: the one that was asked for is there in any case.
        with suppress(DrawingLimitError):
            scenes.append(view.scene(geometry, numbers))
    return scenes
