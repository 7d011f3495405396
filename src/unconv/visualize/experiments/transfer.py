"""Transfer of every layer's features to another task (Zeiler & Fergus 2013, section 5.3, table 7)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from unconv._renamed import warn_renamed
from unconv.arguments import tell_wrong_arguments
from unconv.describe import counted, spread
from unconv.errors import UnconvError
from unconv.models.load.open_model import AnyModel
from unconv.network.run.held_inputs import Inputs, Keywords
from unconv.network.run.name_layers import AnyLayers
from unconv.results import Plotted, Tabled, draw_with
from unconv.visualize.experiments.classifier import fit_classifier
from unconv.visualize.experiments.labelled_network import (
    as_batch,
    check_count,
    generator,
    layers_or_some,
    open_network,
    spread_layers,
)
from unconv.visualize.experiments.partial_forward import forward_values

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PIXELS = "pixels"


@dataclass(frozen=True, eq=False, repr=False)
class Transfer(Plotted, Tabled):
    """Accuracy of a linear classifier on the features of each layer, on images that it was not fitted to.

    Attributes:
        layers: the layers; the first row is the pixels themselves.
        features: how many numbers each gives.
        accuracy: on the held-out images, by layer and fold.
        fitted: on the images that the classifier was fitted to.
        chance: share of the most frequent class.
        classes: how many there are.
        images: how many.
        predicted: the class of every image when it was held out, ``(layer, image)``.
    """

    layers: tuple[str, ...]
    features: tuple[int, ...]
    accuracy: Float[Tensor, "layer fold"]
    fitted: Float[Tensor, "layer fold"]
    chance: float
    classes: int
    images: int
    predicted: Int[Tensor, "layer image"]

    def plot(self) -> Figure:
        """Draw it, as :func:`~unconv.visualize.experiments.figures.curves.plot_transfer` does.

        Raises MissingExtraError where matplotlib is not installed.
        """
        figure: Figure = draw_with("unconv.visualize.experiments.figures.curves:plot_transfer", self)
        return figure

    def _heading(self) -> str:
        return f"Transfer of {counted(len(self.layers), 'layer')} to {self.classes} classes, {self.images:,} images"

    def _facts(self) -> Iterator[tuple[str, str]]:
        yield "chance", f"{self.chance:.1%}, {counted(self.accuracy.shape[1], 'fold')}"
        for layer, count, accuracy in zip(self.layers, self.features, self.accuracy, strict=True):
            yield layer, f"{accuracy.mean():.1%} right (fold by fold {spread(accuracy)}), {count:,} features"

    def _rows(self) -> Iterator[Mapping[str, Any]]:
        for layer, count, accuracy, fitted in zip(
            self.layers, self.features, self.accuracy.tolist(), self.fitted.tolist(), strict=True
        ):
            for fold, (held_out, seen) in enumerate(zip(accuracy, fitted, strict=True)):
                yield {"layer": layer, "features": count, "fold": fold, "accuracy": held_out, "fitted": seen}


@tell_wrong_arguments
def transfer(
    model: AnyModel,
    images: Any,
    labels: Sequence[int] | Tensor,
    layers: AnyLayers | None = None,
    *,
    grid: int = 2,
    folds: int = 5,
    l2_penalty: float | int = 1.0,
    batch_size: int = 32,
    seed: int = 0,
    inputs: Inputs = None,
    kwargs: Keywords = None,
    penalty: float | int | None = None,
) -> Transfer:
    """Put the features of every layer into a linear classifier: how well are the classes told apart?

    Zeiler & Fergus 2013, section 5.3 and table 7, with logistic regression in the place of the support vector machine.
    Feature maps are averaged over the cells of a small grid, so that layers have comparable numbers of features, and
    each feature is standardised. Every image is held out once: the classes are dealt out evenly to the folds.

    Args:
        model: a MODEL string, a loaded model or a module that takes images as its one argument.
        images: (batch, channel, height, width), as the model wants them; or pictures
            (files, folders, Pillow's, arrays), which go through the transform of a loaded model.
        labels: class of each image, from 0.
        layers: any that return tensors: a name, one of the model's modules, a pattern or a list of these, see
            :func:`~unconv.network.run.name_layers.name_layers`; six over the depth unless given. The pixels
            always come first.
        grid: cells per axis that feature maps are averaged to.
        folds: parts of which each is held out once; 2 or more.
        l2_penalty: on the squared weights, see :func:`~unconv.visualize.experiments.classifier.fit_classifier`.
        batch_size: images computed together.
        seed: of the dealing.
        inputs: what the model takes behind the image, one or several, ``...`` marking where else the image goes; see
            :func:`~unconv.network.run.held_inputs.hold_inputs`.
        kwargs: arguments by keyword, likewise.
        penalty: what ``l2_penalty`` was called before.

    Raises:
        UnconvError: labels that do not fit the images, fewer than two classes, a class with fewer images than folds.
        ModelError: unknown layers, a model that fails.

    >>> model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 6, 3))
    >>> labels = torch.arange(20) % 2
    >>> images = torch.rand(20, 3, 12, 12) + labels[:, None, None, None]
    >>> found = transfer(model, images, labels, ["1", "2"], folds=4)
    >>> found.layers, found.features, found.accuracy.shape, found.chance
    (('pixels', '1', '2'), (12, 32, 24), torch.Size([3, 4]), 0.5)
    """
    if penalty is not None:
        warn_renamed("transfer: penalty is called l2_penalty now")
        l2_penalty = penalty
    network = open_network(model, "transfer", inputs, kwargs)
    module = network.module
    batch = as_batch(network, images, "transfer")
    check_count("transfer", grid=grid, batch_size=batch_size, folds=folds)
    classes = _labels(labels, len(batch), folds)
    _refuse_pixels(layers)
    names = layers_or_some(module, layers, batch, lambda: spread_layers(module, batch))
    features = pooled_features(module, batch, names, grid, batch_size)
    count = int(classes.max()) + 1
    held = _folds(classes, folds, seed)
    accuracy, fitted = torch.zeros(len(features), folds), torch.zeros(len(features), folds)
    predicted = torch.zeros(len(features), len(batch), dtype=torch.long)
    for row, values in enumerate(features.values()):
        for fold in range(folds):
            out = held == fold
            classifier = fit_classifier(values[~out], classes[~out], count, l2_penalty)
            guessed = classifier.predict(values)
            predicted[row, out] = guessed[out]
            accuracy[row, fold] = (guessed == classes)[out].float().mean()
            fitted[row, fold] = (guessed == classes)[~out].float().mean()
    return Transfer(
        layers=tuple(features),
        features=tuple(values.shape[1] for values in features.values()),
        accuracy=accuracy,
        fitted=fitted,
        chance=float(classes.bincount().max()) / len(classes),
        classes=len(torch.unique(classes)),
        images=len(batch),
        predicted=predicted,
    )


def pooled_features(
    module: nn.Module, images: Tensor, layers: Sequence[str], grid: int, batch_size: int
) -> dict[str, Float[Tensor, "image _"]]:
    """Pixels and layers, averaged over the cells of a grid, ``(image, feature)`` each.

    >>> found = pooled_features(nn.Sequential(nn.Conv2d(3, 5, 3)), torch.rand(4, 3, 9, 9), ["0"], 2, batch_size=3)
    >>> {name: tuple(values.shape) for name, values in found.items()}
    {'pixels': (4, 12), '0': (4, 20)}
    """
    _refuse_pixels(layers)
    parts: dict[str, list[Tensor]] = {name: [] for name in (PIXELS, *layers)}
    for part in torch.split(images, batch_size):
        parts[PIXELS].append(_pooled(part, grid))
        values = forward_values(module, part, layers)[0] if layers else {}
        for layer in layers:
            parts[layer].append(_pooled(values[layer], grid))
    return {name: torch.cat(found) for name, found in parts.items()}


def _refuse_pixels(layers: AnyLayers | None) -> None:
    named = layers if isinstance(layers, list | tuple) else [layers]
    if any(isinstance(one, str) and one == PIXELS for one in named):
        raise UnconvError(f"transfer: a layer called {PIXELS!r} is taken for the pixels, which are always there")


def _pooled(value: Tensor, grid: int) -> Tensor:
    if value.ndim == 4 and (value.shape[2] > grid or value.shape[3] > grid):
        size = (min(grid, value.shape[2]), min(grid, value.shape[3]))
        value = F.adaptive_avg_pool2d(value, size)
    return value.flatten(1).float().cpu()


def _labels(labels: Sequence[int] | Tensor, count: int, folds: int) -> Tensor:
    classes = torch.as_tensor(labels).cpu()
    if classes.shape != (count,) or classes.is_floating_point() or (len(classes) and int(classes.min()) < 0):
        raise UnconvError(
            f"transfer: labels of shape {tuple(classes.shape)} and type {classes.dtype} for {count} images; give one "
            "integer from 0 for each"
        )
    if folds < 2:
        raise UnconvError(f"transfer: folds {folds}; give 2 or more, or nothing is held out")
    found, counts = torch.unique(classes.long(), return_counts=True)
    if len(found) < 2:
        raise UnconvError(f"transfer: {len(found)} class; give images of two or more")
    if int(counts.min()) < folds:
        rare = int(found[counts.argmin()])
        raise UnconvError(f"transfer: class {rare} has {int(counts.min())} images for {folds} folds; take fewer folds")
    return classes.long()


def _folds(classes: Tensor, folds: int, seed: int) -> Tensor:
    """The fold of each image, those of one class dealt out evenly."""
    random, held = generator(seed), torch.zeros(len(classes), dtype=torch.long)
    first = 0
    for label in torch.unique(classes):
        members = (classes == label).nonzero().flatten()
        order = members[torch.randperm(len(members), generator=random)]
        held[order] = (torch.arange(len(members)) + first) % folds
        first += len(members)
    return held
