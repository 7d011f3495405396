"""Feature invariance to translation, scale and rotation (Zeiler & Fergus 2013, section 4.1, figure 5)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from unconv.arguments import tell_wrong_arguments
from unconv.choices import OutputReading
from unconv.describe import by_size, counted, spread
from unconv.errors import ModelError, UnconvError
from unconv.models.load.open_model import AnyModel, OpenedModel
from unconv.network.kept_traces import keep_trace
from unconv.network.run.held_inputs import Inputs, Keywords
from unconv.network.run.name_layers import AnyLayers
from unconv.network.run.outputs import main_output
from unconv.results import Plotted, Tabled, draw_with
from unconv.visualize.experiments.labelled_network import as_batch, layers_or_some, open_network, spread_layers
from unconv.visualize.experiments.partial_forward import forward_values
from unconv.visualize.experiments.transforms import VALUES, transformed
from unconv.visualize.outputs.endings import ending_of
from unconv.visualize.outputs.reading import AUTO, Reading, read_outputs

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False, repr=False)
class Invariance(Plotted, Tabled):
    """Distances of the features and probabilities of the classes, against how much the images were transformed.

    Attributes:
        transform: ``translation``, ``scale`` or ``rotation``.
        values: how much: pixels downwards, a factor, degrees counter-clockwise.
        layers: where the features are from, in the order given.
        distance: by layer, ‖f(x) − f(T x)‖, ``(image, value)``.
        normalised: by layer, the same by ‖f(x)‖; NaN where that is 0.
        targets: the output that is followed in each image, its class often; none where no output is.
        names: of these outputs.
        probability: of the class, ``(image, value)``; empty, ``(image, 0)``, where outputs are numbers, or none is
            followed.
        score: what the model returns for it, ``(image, value)``; empty where none is followed.
        output: how the network's outputs are read, in words.
    """

    transform: str
    values: tuple[float, ...]
    layers: tuple[str, ...]
    distance: dict[str, Float[Tensor, "image value"]]
    normalised: dict[str, Float[Tensor, "image value"]]
    targets: Int[Tensor, " followed"]
    names: tuple[str, ...]
    probability: Float[Tensor, "image count"]
    score: Float[Tensor, "image followed_values"]
    output: str = ""

    def plot(self) -> Figure:
        """Draw it, as :func:`~unconv.visualize.experiments.figures.curves.plot_invariance` does.

        Raises MissingExtraError where matplotlib is not installed.
        """
        figure: Figure = draw_with("unconv.visualize.experiments.figures.curves:plot_invariance", self)
        return figure

    def _heading(self) -> str:
        count = len(next(iter(self.distance.values()), ()))
        return f"Invariance of {counted(len(self.layers), 'layer')} to {self.transform}, {counted(count, 'image')}"

    def _facts(self) -> Iterator[tuple[str, str]]:
        yield self.transform, f"{counted(len(self.values), 'value')}, {spread(self.values)}"
        for layer in self.layers:
            yield layer, f"normalised distance {spread(self.normalised[layer].nanmean(0))}"
        for name, values, scores in zip(self.names, self.probability, self.score, strict=False):
            yield name, f"probability {spread(values)}" if len(values) else f"score {spread(scores)}"
        yield "read as", self.output

    def _rows(self) -> Iterator[Mapping[str, Any]]:
        for layer in self.layers:
            for image, (far, share) in enumerate(zip(self.distance[layer], self.normalised[layer], strict=True)):
                for place, value in enumerate(self.values):
                    known, followed = self.probability.shape[1] > place, self.score.shape[1] > place
                    yield {
                        "layer": layer,
                        "image": image,
                        self.transform: value,
                        "distance": float(far[place]),
                        "normalised": float(share[place]),
                        "probability": float(self.probability[image, place]) if known else None,
                        "score": float(self.score[image, place]) if followed else None,
                    }


@tell_wrong_arguments
def invariance(
    model: AnyModel,
    images: Any,
    transform: str = "translation",
    values: Sequence[float | int] | None = None,
    layers: AnyLayers | None = None,
    *,
    targets: Sequence[int | str] | None = None,
    output: OutputReading = "auto",
    fill: float | int | Sequence[float | int] = 0.0,
    inputs: Inputs = None,
    kwargs: Keywords = None,
) -> Invariance:
    """Transform images by more and more, and follow features and class probabilities.

    d(v) = ‖f(x) − f(T_v x)‖₂ over all features of a layer, and d(v) / ‖f(x)‖₂, which layers can be compared by
    (Zeiler & Fergus 2013, section 4.1, figure 5).

    Args:
        model: a MODEL string, a loaded model or a module that takes images as its one argument.
        images: (batch, channel, height, width) or (channel, height, width), as the model wants them; or pictures
            (files, folders, Pillow's, arrays), which go through the transform of a loaded model.
        transform: ``translation``, ``scale`` or ``rotation``.
        values: pixels downwards, factors, or degrees counter-clockwise; the paper's range unless given.
        layers: any that return tensors: a name, one of the model's modules, a pattern or a list of these, see
            :func:`~unconv.network.run.name_layers.name_layers`; six over the depth unless given.
        targets: the class to follow in each image, by index or name; the most probable one (the largest output) unless
            given.
        output: how the network's outputs are read: ``softmax``, ``sigmoid``, ``score``, ``class`` or ``auto``, as for
            :func:`~unconv.visualize.experiments.occlusion.sensitivity.occlusion`. Maps that nothing is known of are
            followed where it is given, or ``targets`` are.
        fill: what comes in from outside the image, one number or one for each channel.
        inputs: what the model takes behind the image, one or several, ``...`` marking where else the image goes; see
            :func:`~unconv.network.run.held_inputs.hold_inputs`.
        kwargs: arguments by keyword, likewise.

    Raises:
        UnconvError: an unknown transform, impossible values, classes that are not there.
        ModelError: unknown layers, a model that fails, outputs asked of a model that returns no numbers for an image.

    >>> from torch import nn
    >>> model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4))
    >>> found = invariance(model, torch.rand(2, 3, 20, 20), "rotation", [0, 90], ["1", "2"])
    >>> found.distance["1"].shape, bool((found.distance["2"][:, 0] == 0).all()), found.probability.shape
    (torch.Size([2, 2]), True, torch.Size([2, 2]))
    """
    network = open_network(model, "invariance", inputs, kwargs)
    module = network.module
    batch = as_batch(network, images, "invariance")
    if values is None and transform in VALUES:
        values = VALUES[transform]
    if not values:
        raise UnconvError(f"invariance: no values for transform {transform!r}; give one or more")
    colour = batch.new_tensor([fill] if isinstance(fill, int | float) else list(fill))
    if len(colour) not in (1, batch.shape[1]):
        raise UnconvError(f"invariance: fill has {len(colour)} values for {batch.shape[1]} channels")
    colour = colour.expand(batch.shape[1])[:, None, None]
    moved = [transformed(batch, transform, float(value), colour) for value in values]
    names = layers_or_some(module, layers, batch, lambda: spread_layers(module, batch))
    clean, made = forward_values(module, batch, names, output=True)
    reading, told = _reading(network, batch, made, output, targets is not None)
    chosen = torch.zeros(0, dtype=torch.long) if reading is None else _targets(reading, made, targets, len(batch))
    distances: dict[str, list[Tensor]] = {layer: [] for layer in names}
    probabilities: list[Tensor] = []
    scores: list[Tensor] = []
    for images_moved in moved:
        found, made = forward_values(module, images_moved, names, output=True)
        for layer in names:
            distances[layer].append((found[layer] - clean[layer]).flatten(1).norm(dim=1))
        if reading is not None:
            place = chosen.to(batch.device)[:, None]
            scores.append(reading.scores(made, len(batch), "invariance").gather(1, place)[:, 0])
            if reading.probable:
                probabilities.append(reading.values(made, len(batch), "invariance").gather(1, place)[:, 0])
    by_layer = {layer: torch.stack(parts, dim=1) for layer, parts in distances.items()}
    norms = {layer: clean[layer].flatten(1).norm(dim=1, keepdim=True) for layer in names}
    return Invariance(
        transform=transform,
        values=tuple(float(value) for value in values),
        layers=names,
        distance=by_layer,
        normalised={layer: by_layer[layer] / torch.where(norm > 0, norm, torch.nan) for layer, norm in norms.items()},
        targets=chosen,
        names=() if reading is None else tuple(reading.name(int(target)) for target in chosen),
        probability=torch.stack(probabilities, dim=1) if probabilities else batch.new_zeros(len(batch), 0),
        score=torch.stack(scores, dim=1) if scores else batch.new_zeros(len(batch), 0),
        output=told,
    )


def _reading(network: OpenedModel, batch: Tensor, output: Any, asked: str, targets: bool) -> tuple[Reading | None, str]:
    """How the outputs are read, None where none is followed; and what is to be said of it."""
    ending = ending_of(keep_trace(network.module, tuple(batch.shape[1:])).graph, output)
    wanted = targets or asked != AUTO
    try:
        reading = read_outputs(
            output,
            len(batch),
            "invariance",
            asked,
            classes=network.classes,
            ending=ending,
            image=batch.shape[1:],
        )
    except ModelError as refusal:
        if wanted:
            raise
        return None, f"no output is followed: {refusal}"
    main = main_output(output).tensor
    if not wanted and ending is None and network.classes is None and main is not None and main.ndim > 2:
        return None, f"no output is followed: maps {by_size(main.shape[1:])}, of what is not known; say output="
    return reading, reading.note


def _targets(reading: Reading, output: Any, targets: Sequence[int | str] | None, count: int) -> Tensor:
    """The output of each image that is followed."""
    if targets is None:
        return reading.values(output, count, "invariance").argmax(1).cpu()
    if isinstance(targets, str) or len(targets) != count:
        given = 1 if isinstance(targets, str) else len(targets)
        raise UnconvError(f"invariance: {given} classes for {count} images; give one for each")
    return torch.tensor([reading.find(target, "invariance", "targets") for target in targets])
