"""Occlusion sensitivity: a grey square covers a part of the image after another (Zeiler & Fergus 2013, section 4.2)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from unconv._renamed import warn_renamed
from unconv.arguments import tell_wrong_arguments
from unconv.describe import by_size, listed, spread
from unconv.errors import UnconvError
from unconv.models.load.open_model import AnyModel
from unconv.network.run.name_layers import AnyLayer, name_layer
from unconv.operators.geometry.receptive import Interval
from unconv.results import Plotted, Tabled, draw_with
from unconv.visualize.experiments.labelled_network import as_batch, check_count, last_feature_maps, open_network
from unconv.visualize.experiments.occlusion.occluded import Occluder, Passing
from unconv.visualize.experiments.occlusion.stops import Route, plan_route, whole_images
from unconv.visualize.experiments.partial_forward import check_scores, forward_values, quiet
from unconv.visualize.layers import check_feature_maps
from unconv.visualize.scan.scan import channels_last

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BATCH = 16


@dataclass(frozen=True, eq=False, repr=False)
class OcclusionMaps(Plotted, Tabled):
    """What remains at each place of the occluder, ``(row, column)``, and what there is without it.

    Attributes:
        image: the image as it was given, ``(channel, height, width)``.
        target: index of the class.
        target_name: its name.
        layer: the layer of the activations.
        unit: its feature map with the largest total on the clean image.
        square: size of the occluder in pixels, (height, width).
        stride: pixels from one place to the next, (down, across).
        rows: pixels ``[start, stop)`` that the occluder covers from above, clipped to the image.
        columns: likewise from the left.
        probability: of the class, softmax of the scores.
        score: of the class, what the model returns.
        activation: of the feature map, summed over all its positions.
        label: the most probable class.
        clean_probability: without occluder.
        clean_score: likewise.
        clean_activation: likewise.
        clean_label: likewise.
        names: of the classes in ``label`` and ``clean_label``.
        computed: what was computed of each occluded image, in words.
    """

    image: Float[Tensor, "channel height width"]
    target: int
    target_name: str
    layer: str
    unit: int
    square: tuple[int, int]
    stride: tuple[int, int]
    rows: tuple[Interval, ...]
    columns: tuple[Interval, ...]
    probability: Float[Tensor, "row column"]
    score: Float[Tensor, "row column"]
    activation: Float[Tensor, "row column"]
    label: Int[Tensor, "row column"]
    clean_probability: float
    clean_score: float
    clean_activation: float
    clean_label: int
    names: dict[int, str]
    computed: str

    def plot(self, picture: Tensor | None = None) -> Figure:
        """Draw image and maps, as :func:`~unconv.visualize.experiments.figures.occlusion.plot_occlusion` does.

        Args:
            picture: the image to show, (channel, height, width) in [0, 1]; the image itself, stretched, unless given.

        Raises MissingExtraError where matplotlib is not installed.
        """
        figure: Figure = draw_with("unconv.visualize.experiments.figures.occlusion:plot_occlusion", self, picture)
        return figure

    def _heading(self) -> str:
        return f"OcclusionMaps: a square {by_size(self.square)} at {by_size(self.probability.shape)} places"

    def _facts(self) -> Iterator[tuple[str, str]]:
        row, column = divmod(int(self.probability.argmin()), self.probability.shape[1])
        (top, _), (left, _) = self.rows[row], self.columns[column]
        where = f"lowest with the square at ({top}, {left})"
        yield "image", by_size(self.image.shape)
        yield "class", f"{self.target_name}, {self.clean_probability:.3f} without square"
        yield "probability", f"{spread((self.probability.min(), self.probability.max()))}, {where}"
        yield "score", f"{spread((self.score.min(), self.score.max()))}, {self.clean_score:.4g} without square"
        clean = f"{self.clean_activation:.4g} without square"
        activation = spread((self.activation.min(), self.activation.max()))
        yield "activation", f"{self.layer}, feature map {self.unit}: {activation}, {clean}"
        yield "classes seen", listed(self.names[label] for label in sorted(set(self.label.flatten().tolist())))
        yield "computed", self.computed

    def _rows(self) -> Iterator[Mapping[str, Any]]:
        for row, (top, bottom) in enumerate(self.rows):
            for column, (left, right) in enumerate(self.columns):
                yield {
                    "top": top,
                    "left": left,
                    "bottom": bottom,
                    "right": right,
                    "probability": float(self.probability[row, column]),
                    "score": float(self.score[row, column]),
                    "activation": float(self.activation[row, column]),
                    "label": int(self.label[row, column]),
                    "name": self.names[int(self.label[row, column])],
                }

    @property
    def size(self) -> tuple[int, int]:
        """What ``square`` was called before."""
        warn_renamed("OcclusionMaps.size is called square now")
        return self.square

    def attribution(self, of: str = "probability") -> Float[Tensor, "height width"]:
        """How much each pixel's cover costs: f(x) − f(x covered), averaged over the places that cover the pixel.

        Args:
            of: ``probability``, ``score`` or ``activation``.

        >>> model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(72, 4))
        >>> occlusion(model, torch.rand(1, 8, 8), square=4, stride=2).attribution("score").shape
        torch.Size([8, 8])
        """
        if of not in ("probability", "score", "activation"):
            raise UnconvError(f"attribution: {of!r} is not one of probability, score, activation")
        lost = getattr(self, f"clean_{of}") - getattr(self, of)
        height, width = self.image.shape[1:]
        down, across = _cover(self.rows, height).to(lost), _cover(self.columns, width).to(lost)
        # A pixel between places that leave gaps is never covered, and loses nothing.
        times = (down.sum(1)[:, None] * across.sum(1)[None]).clamp(min=1)
        attribution: Tensor = down @ lost @ across.T / times
        return attribution


@tell_wrong_arguments
def occlusion(
    model: AnyModel,
    image: Any,
    target: int | None = None,
    layer: AnyLayer | None = None,
    *,
    square: int | tuple[int, int] | None = None,
    stride: int | tuple[int, int] | None = None,
    fill: float | int | Sequence[float | int] = 0.0,
    batch_size: int = BATCH,
    reuse: bool = True,
    size: int | tuple[int, int] | None = None,
) -> OcclusionMaps:
    """Slide a grey square over an image and record what the network still makes of it.

    Zeiler & Fergus 2013, section 4.2. All maps come from one pass for each place of the square. Layers
    that the square can have changed only in part are computed only there, and pasted into what they are for the clean
    image: the result is the same up to rounding, since units outside the square's reach see the same pixels as before.

    Args:
        model: a classifier: a MODEL string, a loaded model or a module that takes images as its one argument.
        image: (channel, height, width) or a batch of one, as the model wants it; or a picture (a file, Pillow's, an
            array), which goes through the transform of a loaded model.
        target: index of the class; the most probable one unless given.
        layer: returns the feature maps to watch, its name or the module itself; the last that have a grid unless given.
        square: its side in pixels, or (height, width); a quarter of the image's shorter side unless given.
        stride: pixels from one place to the next, or (down, across); a quarter of the square unless given. The last
            square may stick out of the image, and is clipped.
        fill: the square's value, or one for each channel, in what the model is given: 0 is the mean colour where images
            are normalised.
        batch_size: occluded images computed together.
        reuse: compute layers only where the square can have changed them; False to compute all of every image.
        size: what ``square`` was called before.

    Raises:
        UnconvError: a square larger than the image, numbers below 1, a class that is not there.
        ModelError: a model that is no classifier, or fails; unknown layers, and those without feature maps.

    >>> model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(1568, 5))
    >>> maps = occlusion(model, torch.rand(3, 30, 30), square=10, stride=5)
    >>> maps.probability.shape, maps.layer, maps.rows[-1]
    (torch.Size([5, 5]), '2', (20, 30))
    """
    network = open_network(model, "occlusion")
    module = network.module
    batch = as_batch(network, image, "occlusion")
    if len(batch) != 1:
        raise UnconvError(f"occlusion: {len(batch)} images; give one at a time")
    height, width = batch.shape[2:]
    if size is not None:
        warn_renamed("occlusion: size is called square now")
        square = size
    sides, steps = _sides_and_steps(square, stride, (height, width))
    check_count("occlusion", square=min(sides), stride=min(steps), batch_size=batch_size)
    if sides[0] > height or sides[1] > width:
        raise UnconvError(f"occlusion: square {sides[0]}x{sides[1]} is larger than the image {height}x{width}")
    colour = _colour(fill, batch)
    watched = name_layer(module, layer) if layer is not None else last_feature_maps(module, batch)
    places = (_places(height, sides[0], steps[0]), _places(width, sides[1], steps[1]))
    with channels_last(module, None):
        route = _route(module, batch, places, watched, reuse)
        clean = _clean(module, batch, watched, route)
        target = _class(target, clean.scores)
        scores, activation = _occluded(module, Occluder(batch, colour, places), route, clean, batch_size)
    grid = (len(places[0]), len(places[1]))
    label = scores.argmax(1).reshape(grid)
    return OcclusionMaps(
        image=batch[0].detach().clone(),
        target=target,
        target_name=network.label(target),
        layer=watched,
        unit=clean.unit,
        square=sides,
        stride=steps,
        rows=places[0],
        columns=places[1],
        probability=scores.softmax(1)[:, target].reshape(grid),
        score=scores[:, target].reshape(grid),
        activation=activation.reshape(grid),
        label=label,
        clean_probability=float(clean.scores.softmax(0)[target]),
        clean_score=float(clean.scores[target]),
        clean_activation=clean.activation,
        clean_label=int(clean.scores.argmax()),
        names={index: network.label(index) for index in {int(clean.scores.argmax()), *label.flatten().tolist()}},
        computed=route.note,
    )


@dataclass(frozen=True, eq=False)
class _Clean:
    """The image without occluder: scores, the strongest feature map of the layer and its total, values at the stops."""

    layer: str
    scores: Tensor
    unit: int
    activation: float
    at_stops: tuple[Tensor, ...]


def _clean(module: nn.Module, batch: Tensor, layer: str, route: Route) -> _Clean:
    stops = [cut.layer for cut in route.cuts if cut.layer is not None]
    values, output = forward_values(module, batch, [layer, *stops], output=True)
    check_feature_maps(layer, values[layer].shape)
    totals = values[layer][0].sum((1, 2))
    unit = int(totals.argmax())
    return _Clean(
        layer=layer,
        scores=check_scores(output, 1, "occlusion")[0],
        unit=unit,
        activation=float(totals[unit]),
        at_stops=tuple(values[stop].contiguous(memory_format=torch.channels_last) for stop in stops),
    )


def _route(
    module: nn.Module, batch: Tensor, places: tuple[tuple[Interval, ...], ...], layer: str, reuse: bool
) -> Route:
    if not reuse:
        return whole_images(places, "as asked for")
    return plan_route(module, tuple(batch.shape[1:]), places, layer)


def _occluded(
    module: nn.Module, occluder: Occluder, route: Route, clean: _Clean, batch_size: int
) -> tuple[Tensor, Tensor]:
    """Scores (place, class) and activations (place) of all occluded images."""
    passing = Passing(module, occluder, route, (occluder.image, *clean.at_stops), clean.layer, clean.unit)
    scores, sums = [], []
    with quiet(module):
        for output, activation in passing.batches(batch_size):
            scores.append(check_scores(output, len(activation), "occlusion"))
            sums.append(activation)
    return torch.cat(scores), torch.cat(sums)


def _pair(sizes: int | tuple[int, int]) -> tuple[int, int]:
    return (sizes, sizes) if isinstance(sizes, int) else (sizes[0], sizes[1])


def _sides_and_steps(
    square: int | tuple[int, int] | None, stride: int | tuple[int, int] | None, image: tuple[int, int]
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Of the occluder: quarters of the image's shorter side and of its own where they are not given."""
    sides = _pair(max(1, min(image) // 4) if square is None else square)
    return sides, (max(1, sides[0] // 4), max(1, sides[1] // 4)) if stride is None else _pair(stride)


def _places(total: int, size: int, stride: int) -> tuple[Interval, ...]:
    """Where the occluder is along one axis: the first place that reaches the end is the last one."""
    count = ceil((total - size) / stride) + 1
    return tuple((start, min(start + size, total)) for start in range(0, min(count * stride, total), stride))


def _colour(fill: float | int | Sequence[float | int], image: Tensor) -> Tensor:
    values = image.new_tensor([fill] if isinstance(fill, int | float) else list(fill))
    if len(values) not in (1, image.shape[1]) or not bool(values.isfinite().all()):
        raise UnconvError(
            f"occlusion: fill {values.tolist()} for {image.shape[1]} channels; give one finite number, or one for each"
        )
    return values.expand(image.shape[1])[:, None, None]


def _class(target: int | None, scores: Tensor) -> int:
    if target is None:
        return int(scores.argmax())
    if not 0 <= target < len(scores):
        raise UnconvError(f"occlusion: class {target} is not there; the model has classes 0 to {len(scores) - 1}")
    return target


def _cover(intervals: Sequence[Interval], size: int) -> Tensor:
    """Which pixels of an axis each interval covers, (pixel, interval)."""
    pixels = torch.arange(size)[:, None]
    starts, stops = torch.tensor(intervals).T
    covered: Tensor = (pixels >= starts) & (pixels < stops)
    return covered.float()
