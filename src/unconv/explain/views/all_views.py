"""The views of a drawing: what each is called, what it shows, and which geometries it suits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from unconv.explain.numbers import Numbers
from unconv.explain.scene import Scene
from unconv.explain.views.channels import Channels, channels_scene
from unconv.explain.views.gather import gather
from unconv.explain.views.matrix import matrix
from unconv.explain.views.scatter import scatter
from unconv.explain.views.zeros import zeros
from unconv.operators.geometry.base import Geometry


@dataclass(frozen=True)
class View:
    """One way to draw a geometry: ``name`` asks for it, ``title`` heads its tab, ``shows`` says what one sees.

    ``scene`` makes the picture, with numbers in its cells or without; ``with_channels`` makes one of several maps,
    where there is such a picture.
    """

    name: str
    title: str
    shows: str
    scene: Callable[[Geometry, Numbers | None], Scene]
    suits: Callable[[Geometry | type[Geometry]], bool] = lambda _: True
    with_channels: Callable[[Geometry, Channels], Scene] | None = None


# The first is drawn unless another is asked for; their order is that of the tabs.
_ALL = (
    View("gather", "Gather", "an output collects from its window", gather, with_channels=channels_scene),
    View("scatter", "Scatter", "an input pours its kernel out", scatter, suits=lambda shape: shape.kind.weighted),
    View("zeros", "Zero insertion", "stride 1 over a stretched input", zeros, suits=lambda shape: shape.transposed),
    View("matrix", "Matrix", "the row in play of the matrix", matrix),
)
VIEWS = {view.name: view for view in _ALL}


def views_of(geometry: Geometry | type[Geometry]) -> dict[str, View]:
    """The views that suit a geometry, or a kind of them, by their names.

    >>> from unconv.operators.geometry.conv import ConvGeometry
    >>> list(views_of(ConvGeometry))
    ['gather', 'scatter', 'matrix']
    """
    return {name: view for name, view in VIEWS.items() if view.suits(geometry)}
