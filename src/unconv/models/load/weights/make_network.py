"""Networks made from their recipes, with published weights, those of a file, or random ones."""

from __future__ import annotations

from typing import NamedTuple

from torch import nn

from unconv.errors import printable
from unconv.models.load.recipe import Fitted, Recipe
from unconv.models.load.trained import trained_classes
from unconv.models.load.weights.files import WeightsPath, read_weights
from unconv.models.load.weights.fit import fit_weights

# Of random weights.
SEED = 0


class Made(NamedTuple):
    """A network, the names of its outputs, where its weights came from, and what was done to fit them."""

    module: nn.Module
    classes: tuple[str, ...] | None
    source: str
    notes: tuple[str, ...] = ()


def make_network(recipe: Recipe, weights: WeightsPath | None, random: bool) -> Made:
    """Make the network of a recipe: with the weights of a file, with random ones, or with those it is published with.

    Raises ModelError for weights that cannot be had or do not fit.

    >>> from unconv.models.zfnet28 import zfnet28_recipe
    >>> make_network(zfnet28_recipe(), None, random=True).source
    'random (seed 0)'
    """
    if weights is not None:
        file, contents = printable(weights.path), read_weights(weights.path)
        module, notes = fit_weights(
            recipe.build, contents, recipe.names, f"weights {file}", recipe.name, part=weights.part, file=file
        )
        classes = trained_classes(weights.path) or _classes_for(recipe, module)
        return Made(module, classes, f"from {weights}", notes)
    if random:
        return Made(recipe.build(None), None, f"random (seed {SEED})")
    made = recipe.pretrained()
    fitted = made if isinstance(made, Fitted) else Fitted(made)
    return Made(fitted.module, recipe.classes(), recipe.weights, fitted.notes)


def _classes_for(recipe: Recipe, module: nn.Module) -> tuple[str, ...] | None:
    """The published names, if the network still tells as many classes apart."""
    classes = recipe.classes()
    last = [layer for layer in module.modules() if isinstance(layer, nn.Linear | nn.Conv2d)][-1:]
    outputs = [layer.out_features if isinstance(layer, nn.Linear) else layer.out_channels for layer in last]
    return classes if classes is not None and outputs == [len(classes)] else None
