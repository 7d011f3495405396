"""Occlusion maps: what a network makes of an image at each place of the square that covers a part of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from unconv._renamed import warn_renamed
from unconv.describe import by_size, listed, spread
from unconv.errors import UnconvError
from unconv.operators.geometry.receptive import Interval
from unconv.results import Plotted, Tabled, draw_with

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False, repr=False)
class OcclusionMaps(Plotted, Tabled):
    """What remains at each place of the occluder, ``(row, column)``, and what there is without it.

    Attributes:
        image: the image as it was given, ``(channel, height, width)``.
        target: index of the output that is followed: the class, often.
        target_name: its name.
        layer: the layer of the activations.
        unit: its feature map with the largest total on the clean image.
        square: size of the occluder in pixels, (height, width).
        stride: pixels from one place to the next, (down, across).
        rows: pixels ``[start, stop)`` that the occluder covers from above, clipped to the image.
        columns: likewise from the left.
        probability: of the class, as ``output`` says; NaN where that says score.
        score: of the class, what the model returns; of dense maps the mean over their places.
        activation: of the feature map, summed over all its positions.
        label: the most probable class; of scores the largest output; of a single label 1 where it is likely, else 0.
        clean_probability: without occluder.
        clean_score: likewise.
        clean_activation: likewise.
        clean_label: likewise.
        names: of the classes in ``label`` and ``clean_label``.
        computed: what was computed of each occluded image, in words.
        output: how the network's outputs are read, in words.
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
    output: str = ""

    @property
    def probable(self) -> bool:
        """Whether there are probabilities."""
        return self.clean_probability == self.clean_probability

    @property
    def followed(self) -> Float[Tensor, "row column"]:
        """The probability; the score where there is none."""
        return self.probability if self.probable else self.score

    @property
    def clean_followed(self) -> float:
        """The same without occluder."""
        return self.clean_probability if self.probable else self.clean_score

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
        row, column = divmod(int(self.followed.argmin()), self.followed.shape[1])
        (top, _), (left, _) = self.rows[row], self.columns[column]
        where = f"lowest with the square at ({top}, {left})"
        yield "image", by_size(self.image.shape)
        if self.probable:
            yield "class", f"{self.target_name}, {self.clean_probability:.3f} without square"
            yield "probability", f"{spread((self.probability.min(), self.probability.max()))}, {where}"
        else:
            yield "output", f"{self.target_name}, {where}"
        yield "score", f"{spread((self.score.min(), self.score.max()))}, {self.clean_score:.4g} without square"
        clean = f"{self.clean_activation:.4g} without square"
        activation = spread((self.activation.min(), self.activation.max()))
        yield "activation", f"{self.layer}, feature map {self.unit}: {activation}, {clean}"
        if self.probable:
            yield "classes seen", listed(self.names[label] for label in sorted(set(self.label.flatten().tolist())))
        yield "read as", self.output
        yield "computed", self.computed

    def _rows(self) -> Iterator[Mapping[str, Any]]:
        for row, (top, bottom) in enumerate(self.rows):
            for column, (left, right) in enumerate(self.columns):
                yield {
                    "top": top,
                    "left": left,
                    "bottom": bottom,
                    "right": right,
                    "probability": float(self.probability[row, column]) if self.probable else None,
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

    def attribution(self, of: str | None = None) -> Float[Tensor, "height width"]:
        """How much each pixel's cover costs: f(x) − f(x covered), averaged over the places that cover the pixel.

        Args:
            of: ``probability``, ``score`` or ``activation``; the probability unless given, the score where there is
                none.

        Raises UnconvError for another word, and for the probability where there is none.

        >>> from torch import nn
        >>> from unconv.visualize.experiments.occlusion.sensitivity import occlusion
        >>> model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(72, 4))
        >>> occlusion(model, torch.rand(1, 8, 8), square=4, stride=2).attribution("score").shape
        torch.Size([8, 8])
        """
        of = of or ("probability" if self.probable else "score")
        if of not in ("probability", "score", "activation"):
            raise UnconvError(f"attribution: {of!r} is not one of probability, score, activation")
        if of == "probability" and not self.probable:
            raise UnconvError(f"attribution: there is no probability ({self.output}); take the score or the activation")
        lost = getattr(self, f"clean_{of}") - getattr(self, of)
        height, width = self.image.shape[1:]
        down, across = _cover(self.rows, height).to(lost), _cover(self.columns, width).to(lost)
        # A pixel between places that leave gaps is never covered, and loses nothing.
        times = (down.sum(1)[:, None] * across.sum(1)[None]).clamp(min=1)
        attribution: Tensor = down @ lost @ across.T / times
        return attribution


def _cover(intervals: Sequence[Interval], size: int) -> Tensor:
    """Which pixels of an axis each interval covers, (pixel, interval)."""
    pixels = torch.arange(size)[:, None]
    starts, stops = torch.tensor(intervals).T
    covered: Tensor = (pixels >= starts) & (pixels < stops)
    return covered.float()
