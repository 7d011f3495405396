"""Sheets of segmentations: pictures, the truth and what a network says, side by side. Needs matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from unconv.data.figure import INK, Plot, bare, blank, save_figure
from unconv.models.load.resolve import LoadedModel
from unconv.train.data.examples import Examples
from unconv.train.data.label_images import NOT_COUNTED

# P. Tol, "Colour schemes", SRON technical note EPS/TN/09-002 (2021): "muted", told apart with any kind of sight.
PALETTE = (
    "CC6677", "332288", "DDCC77", "117733", "88CCEE", "882255", "44AA99", "999933", "AA4499", "8A8A8A",
)  # fmt: skip
GROUND, UNASKED = (1.0, 1.0, 1.0), (0.0, 0.0, 0.0)
# Beyond ten classes the colours come again, paler each time.
PALER = 0.55

Colours = npt.NDArray[np.float64]


def sheet(network: LoadedModel, examples: Examples, count: int = 8) -> Plot:
    """A figure: the first pictures, their masks and the predicted ones, with the classes in a legend.

    Args:
        network: returns scores (batch, classes, height, width), or a dict with them as ``"out"``.
        examples: as they are prepared for it.
        count: of pictures, at most.
    """
    batch = examples.fetch(range(min(count, len(examples))))
    predicted = predict(network, batch.inputs)
    pictures = network.preprocess.denormalise(batch.inputs).clamp(0, 1)
    classes = network.classes or tuple(f"class {number}" for number in range(int(predicted.max()) + 1))
    rows = len(batch.inputs)
    height, width = batch.inputs.shape[2:]
    columns = 2 if rows > 3 else 1
    lines = -(-rows // columns)
    figure = blank(1.35 * 3 * columns + 1.9, max(1.45 * lines * height / width + 0.4, 0.24 * len(classes) + 0.6))
    grid = figure.subplots(lines, 3 * columns, squeeze=False)
    colours = class_colours(len(classes))
    for axes in grid.flat:
        axes.set_axis_off()
    for number in range(rows):
        line, column = number % lines, 3 * (number // lines)
        shown = (
            pictures[number].permute(1, 2, 0).expand(-1, -1, 3).numpy(),
            coloured(batch.targets[number], colours),
            coloured(predicted[number], colours),
        )
        for place, (image, title) in enumerate(zip(shown, ("picture", "truth", "prediction"), strict=True)):
            axes = bare(grid[line, column + place], title if line == 0 else "")
            axes.set_axis_on()
            axes.imshow(image, interpolation="nearest")
            for spine in axes.spines.values():
                spine.set(visible=True, color="#c9d0d6", linewidth=0.5)
    _legend(figure, classes, colours, bool((batch.targets == NOT_COUNTED).any()))
    return figure


def save_sheet(network: LoadedModel, examples: Examples, path: str | PathLike[str], count: int = 8) -> Path:
    """Write the figure of :func:`sheet`; the ending of the file says in which format."""
    return save_figure(sheet(network, examples, count), path, dpi=150)


def predict(
    network: LoadedModel, inputs: Float[Tensor, "batch channels height width"]
) -> Int64[Tensor, "batch height width"]:
    """The class of the largest score of each pixel."""
    with torch.inference_mode():
        outputs = network.module(inputs)
    scores: Tensor = outputs["out"] if not isinstance(outputs, Tensor) else outputs
    return scores.argmax(1)


def class_colours(count: int) -> Colours:
    """Red, green and blue of each label in 256: white for class 0, black for what is not counted.

    >>> class_colours(3)[[0, 1, 255]].round(2).tolist()
    [[1.0, 1.0, 1.0], [0.8, 0.4, 0.47], [0.0, 0.0, 0.0]]
    """
    colours = np.tile(UNASKED, (256, 1)).astype(np.float64)
    colours[0] = GROUND
    for number in range(1, min(count, NOT_COUNTED)):
        again, place = divmod(number - 1, len(PALETTE))
        full = np.array([int(PALETTE[place][at : at + 2], 16) / 255 for at in (0, 2, 4)])
        colours[number] = 1 - (1 - full) * PALER**again
    return colours


def coloured(labels: Int64[Tensor, "height width"], colours: Colours) -> Colours:
    """A label image in colours."""
    return np.asarray(colours[labels.numpy()])


def _legend(figure: Plot, classes: Sequence[str], colours: Colours, unasked: bool) -> None:
    from matplotlib.patches import Patch

    named = [*enumerate(classes), *([(NOT_COUNTED, "not counted")] if unasked else [])]
    patches = [Patch(facecolor=tuple(colours[n]), edgecolor="#8a949c", linewidth=0.5, label=name) for n, name in named]
    figure.legend(handles=patches, loc="outside right upper", frameon=False, fontsize=8, labelcolor=INK)
