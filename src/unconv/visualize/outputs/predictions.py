"""Predictions: what a network makes of a whole picture, its outputs read as they are meant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from unconv.errors import ModelError
from unconv.network.run.forward import run_model
from unconv.network.run.model_state import at_rest
from unconv.network.trace.graph import Graph
from unconv.visualize.outputs.endings import ending_of, endings_of
from unconv.visualize.outputs.reading import AUTO, Reading, read_outputs


class Predictions(NamedTuple):
    """What a network says of a picture.

    Attributes:
        classes: names of outputs and their probabilities, most probable first; outputs that are numbers as they come.
        probable: whether these are probabilities.
        note: how the outputs were read, or why there are none.
    """

    classes: tuple[tuple[str, float], ...] = ()
    probable: bool = True
    note: str = ""


NO_PREDICTIONS = Predictions()


def predict(
    model: nn.Module,
    image: Float[Tensor, "1 channel *size"],
    classes: Sequence[str] | None,
    top: int = 5,
    *,
    asked: str = AUTO,
    graph: Graph | None = None,
) -> Predictions:
    """What a network's outputs say of an image, read as :func:`~unconv.visualize.outputs.reading.read_outputs` tells.

    Empty where nothing is known of them: no names of classes, no probabilities at the end, and nobody says. Raises
    ModelError where the model fails, as it can behind the layers that were looked into, and where its outputs cannot be
    read as they were asked to be.

    Args:
        model: any module that takes the image as its one argument.
        image: as the model wants it.
        classes: names of its outputs, None where they are not known.
        top: how many.
        asked: how its outputs are read.
        graph: the traced network, which tells what it ends with.

    >>> model = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))
    >>> _ = nn.init.zeros_(model[1].weight), nn.init.constant_(model[1].bias, 0.0)
    >>> predict(model, torch.rand(1, 3, 2, 2), ["cat", "dog"]).classes
    (('cat', 0.5), ('dog', 0.5))
    """
    if not classes and asked == AUTO and not any(endings_of(graph)):
        return NO_PREDICTIONS
    with at_rest(model), torch.no_grad(), torch.compiler.set_stance("force_eager"):
        output = run_model(model, image)
    ending = ending_of(graph, output)
    if not classes and asked == AUTO and ending is None:
        return NO_PREDICTIONS
    try:
        reading = read_outputs(output, 1, "see", asked, classes=classes, ending=ending, image=image.shape[1:])
        values = reading.values(output, 1, "see")[0]
    except ModelError as refusal:
        if asked != AUTO:
            raise
        return Predictions(note=f"nothing: {refusal}")
    if asked == AUTO and not reading.probable and reading.names is None:
        # Numbers without names say nothing to a reader who has not asked for them.
        return Predictions((), False, reading.note)
    return Predictions(_named(reading, values, top), reading.probable, reading.note)


def _named(reading: Reading, values: Tensor, top: int) -> tuple[tuple[str, float], ...]:
    if not reading.probable:
        return tuple((reading.name(output), float(value)) for output, value in enumerate(values[:top]))
    if reading.single:
        # Yes or no: both are said, so that the first is the answer.
        likely = float(values[0])
        both = ((reading.best_name(1), likely), (reading.best_name(0), 1 - likely))
        return tuple(sorted(both, key=lambda named: -named[1]))[:top]
    ordered, order = values.sort(descending=True, stable=True)
    best = zip(ordered[:top].tolist(), order[:top].tolist(), strict=True)
    return tuple((reading.name(output), value) for value, output in best)
