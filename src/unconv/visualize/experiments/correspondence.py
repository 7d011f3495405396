"""Correspondence analysis: are the same parts of different objects the same? (Zeiler & Fergus 2013, section 4.3)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor

from unconv.arguments import tell_wrong_arguments
from unconv.describe import counted, listed
from unconv.errors import UnconvError
from unconv.models.load.open_model import AnyModel
from unconv.network.run.held_inputs import Inputs, Keywords
from unconv.network.run.name_layers import AnyLayers
from unconv.results import Plotted, Tabled, draw_with
from unconv.visualize.experiments.labelled_network import (
    as_batch,
    check_count,
    generator,
    last_feature_maps,
    layers_or_some,
    open_network,
)
from unconv.visualize.experiments.partial_forward import forward_values

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# (top, left, height, width) in pixels.
Rectangle = tuple[int, int, int, int]
RANDOM = "random"


@dataclass(frozen=True)
class PartCorrespondence:
    """How differently covering one part changes the images.

    Attributes:
        part: its name.
        mean: of the distances of all pairs of images.
        deviation: their standard deviation.
        total: their sum, Δ of the paper.
    """

    part: str
    mean: float
    deviation: float
    total: float


@dataclass(frozen=True, eq=False, repr=False)
class Correspondence(Plotted, Tabled):
    """Distances between the changes that covering a part makes, by layer and part; the last part is random boxes.

    Attributes:
        layers: where the changes are looked at.
        parts: by layer, the figures of each part.
        distances: by layer, of each pair of images, ``(part, image, image)``; 0 on the diagonal, NaN for random, whose
            pairs are many.
        images: how many.
        draws: sets of random boxes.
    """

    layers: tuple[str, ...]
    parts: dict[str, tuple[PartCorrespondence, ...]]
    distances: dict[str, Float[Tensor, "part image image"]]
    images: int
    draws: int

    def plot(self) -> Figure:
        """Draw it, as :func:`~unconv.visualize.experiments.figures.curves.plot_correspondence` does.

        Raises MissingExtraError where matplotlib is not installed.
        """
        figure: Figure = draw_with("unconv.visualize.experiments.figures.curves:plot_correspondence", self)
        return figure

    def _heading(self) -> str:
        return f"Correspondence of {self.images} images in {counted(len(self.layers), 'layer')}"

    def _facts(self) -> Iterator[tuple[str, str]]:
        yield "distance", f"share of signs that differ, beside {counted(self.draws, 'set')} of random boxes"
        for layer, parts in self.parts.items():
            yield layer, listed((f"{one.part} {one.mean:.3f} ± {one.deviation:.3f}" for one in parts), most=6)

    def _rows(self) -> Iterator[Mapping[str, Any]]:
        for layer, parts in self.parts.items():
            for one in parts:
                yield {"layer": layer, **asdict(one)}


@tell_wrong_arguments
def correspondence(
    model: AnyModel,
    images: Any,
    parts: Mapping[str, Sequence[Rectangle]],
    layers: AnyLayers | None = None,
    *,
    fill: float | int = 0.0,
    draws: int = 20,
    seed: int = 0,
    inputs: Inputs = None,
    kwargs: Keywords = None,
) -> Correspondence:
    """Cover the same part in several images, and compare how their features change.

    With ε_i = x_i − x̃_i, the change of the features of image i when a part is covered, the distance of two images is
    H(sign ε_i, sign ε_j): the share of features whose signs differ. Δ = Σ_{i≠j} H sums over the pairs of images
    (Zeiler & Fergus 2013, section 4.3, table 1). The lower it is, the more alike the changes. Random boxes of the same
    sizes are what to compare with.

    Args:
        model: a MODEL string, a loaded model or a module that takes images as its one argument.
        images: (batch, channel, height, width), as the model wants them, or pictures (files, folders,
            Pillow's, arrays), which go through the transform of a loaded model; two or more.
        parts: by name, the box of the part in each image: (top, left, height, width) in pixels.
        layers: where to look: a name, one of the model's modules, a pattern or a list of these, see
            :func:`~unconv.network.run.name_layers.name_layers`; the last that has a grid unless given.
        fill: what the boxes are filled with; 0 is the mean colour where images are normalised.
        draws: how many sets of random boxes; each takes the sizes of one part, in turn.
        seed: of the random boxes.
        inputs: what the model takes behind the image, one or several, ``...`` marking where else the image goes; see
            :func:`~unconv.network.run.held_inputs.hold_inputs`.
        kwargs: arguments by keyword, likewise.

    Raises:
        UnconvError: fewer than two images, no part, boxes that are not one for each image or not inside it.
        ModelError: unknown layers, a model that fails.

    >>> from torch import nn
    >>> model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 3))
    >>> found = correspondence(model, torch.rand(3, 3, 20, 20), {"eye": [(2, 3, 6, 6)] * 3}, ["2"])
    >>> [figures.part for figures in found.parts["2"]], found.distances["2"].shape
    (['eye', 'random'], torch.Size([1, 3, 3]))
    """
    network = open_network(model, "correspondence", inputs, kwargs)
    module = network.module
    batch = as_batch(network, images, "correspondence")
    check_count("correspondence", draws=draws)
    _check(batch, parts)
    names = layers_or_some(module, layers, batch, lambda: (last_feature_maps(module, batch),))
    if not names:
        raise UnconvError("correspondence: the list of layers is empty; name one, or none at all for the last")
    clean = forward_values(module, batch, names)[0]
    random = generator(seed)
    sizes = list(parts.values())
    boxes = [*parts.values(), *(_moved(sizes[draw % len(sizes)], batch, random) for draw in range(draws))]
    found: dict[str, list[Tensor]] = {layer: [] for layer in names}
    for part in boxes:
        covered = forward_values(module, _covered(batch, part, fill), names)[0]
        for layer in names:
            found[layer].append(sign_distances(clean[layer] - covered[layer]))
    figures = {layer: _figures(tuple(parts), tables) for layer, tables in found.items()}
    distances = {layer: torch.stack(tables[: len(parts)]) for layer, tables in found.items()}
    return Correspondence(names, figures, distances, len(batch), draws)


def sign_distances(changes: Float[Tensor, "image ..."]) -> Float[Tensor, "image image"]:
    """The share of features whose signs differ, for each pair of images; a zero differs from both signs.

    >>> sign_distances(torch.tensor([[1.0, -2.0, 0.0, 0.0], [3.0, 1.0, 0.0, 1.0]]))
    tensor([[0.0000, 0.5000],
            [0.5000, 0.0000]])
    """
    signs = changes.flatten(1).sign()
    # Counts of equal signs are products of indicators: no (image, image, feature) table.
    equal = sum(((signs == sign).double() @ (signs == sign).double().T for sign in (-1, 0, 1)), torch.zeros(()))
    return 1 - equal.to(changes.dtype) / signs.shape[1]


def _figures(names: tuple[str, ...], tables: list[Tensor]) -> tuple[PartCorrespondence, ...]:
    pairs = torch.triu_indices(len(tables[0]), len(tables[0]), offset=1)
    values = [table[pairs[0], pairs[1]] for table in tables]
    draws = values[len(names) :]
    found = [_figure(name, [value]) for name, value in zip(names, values, strict=False)]
    return (*found, _figure(RANDOM, draws))


def _figure(name: str, draws: list[Tensor]) -> PartCorrespondence:
    every = torch.cat(draws)
    # Each pair counts twice in Δ: as (i, j) and as (j, i).
    total = 2 * float(every.sum()) / len(draws)
    return PartCorrespondence(name, float(every.mean()), float(every.std(correction=0)), total)


def _covered(batch: Tensor, boxes: Sequence[Rectangle], fill: float) -> Tensor:
    covered = batch.clone()
    for image, (top, left, height, width) in zip(covered, boxes, strict=True):
        image[:, top : top + height, left : left + width] = fill
    return covered


def _moved(boxes: Sequence[Rectangle], batch: Tensor, random: torch.Generator) -> list[Rectangle]:
    """Boxes of the same sizes anywhere in their images."""
    rows, columns = batch.shape[2:]
    return [
        (
            int(torch.randint(rows - height + 1, (), generator=random)),
            int(torch.randint(columns - width + 1, (), generator=random)),
            height,
            width,
        )
        for _, _, height, width in boxes
    ]


def _check(batch: Tensor, parts: Mapping[str, Sequence[Rectangle]]) -> None:
    if len(batch) < 2:
        raise UnconvError(f"correspondence: {len(batch)} image; give two or more to compare")
    if not parts:
        raise UnconvError("correspondence: no part is given; give a box of it for each image")
    rows, columns = batch.shape[2:]
    for name, boxes in parts.items():
        if name == RANDOM:
            raise UnconvError(
                f"correspondence: a part cannot be called {RANDOM!r}; that is what parts are held against"
            )
        if len(boxes) != len(batch):
            raise UnconvError(f"correspondence: part {name!r} has {len(boxes)} boxes for {len(batch)} images")
        for top, left, height, width in boxes:
            if min(top, left) < 0 or min(height, width) < 1 or top + height > rows or left + width > columns:
                raise UnconvError(
                    f"correspondence: box {(top, left, height, width)} of part {name!r} is not inside the image "
                    f"{rows}x{columns}; give (top, left, height, width)"
                )
