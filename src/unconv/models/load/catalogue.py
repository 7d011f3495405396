"""Catalogue of networks: what each is given, how large it is, its paper, and where its weights come from."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch

from unconv.errors import ModelError
from unconv.models.load.built_in import find_built_in
from unconv.models.load.resolve import BUILT_IN_SOURCE, list_models, recipe_of


@dataclass(frozen=True)
class ModelFacts:
    """What is known of a network before it is made.

    Attributes:
        model: its MODEL string.
        input_size: (channels, height, width) of the pictures it is given, or the shape of one input of another kind.
        parameters: how many numbers are trained, of its usual number of classes.
        paper: where it was published, empty where that is not known.
        weights: where its weights come from, ``none`` where it is to be trained.
        variants: what may follow after a colon.
    """

    model: str
    input_size: tuple[int, ...]
    parameters: int
    paper: str
    weights: str
    variants: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The fields, for JSON."""
        return asdict(self)


def describe_model(model: str) -> ModelFacts:
    """The facts of one network; it is built without memory for its weights, and nothing is downloaded.

    Raises ModelError as :func:`~unconv.models.load.resolve.load_model` does.

    >>> facts = describe_model("zfnet-28")
    >>> facts.input_size, facts.parameters, facts.paper
    ((1, 28, 28), 288618, 'after Zeiler & Fergus 2013, arXiv:1311.2901')
    """
    recipe = recipe_of(model)
    with torch.device("meta"):
        module = recipe.build(None)
    row = find_built_in(model.partition(":")[0])
    return ModelFacts(
        model=model,
        input_size=tuple(recipe.takes or recipe.preprocess.input_size),
        parameters=sum(parameter.numel() for parameter in module.parameters()),
        paper=recipe.paper if row is None else row.paper,
        weights=recipe.weights,
        variants=() if row is None else row.variants,
    )


def match_models(pattern: str | None = None) -> tuple[str, ...]:
    """MODEL strings that match a pattern, all built-in ones unless given.

    Args:
        pattern: as for :func:`~unconv.models.load.resolve.list_models`.

    Raises ModelError where nothing matches, and as list_models does.

    >>> match_models("zfnet*")
    ('zfnet', 'zfnet-28')
    >>> match_models("torchvision:resnet1*")
    ('torchvision:resnet101', 'torchvision:resnet152', 'torchvision:resnet18')
    """
    found = list_models(source=BUILT_IN_SOURCE) if pattern is None else list_models(pattern)
    if not found:
        raise ModelError(f"models: nothing matches {pattern!r}; 'resnet*' and 'torchvision:*' are patterns")
    return tuple(found)
