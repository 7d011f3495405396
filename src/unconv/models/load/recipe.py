"""Recipes: what a source of networks says about one of them; ``unconv.models.load.resolve`` does the rest."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from torch import Tensor, nn

from unconv.errors import ModelError
from unconv.models.load.preprocess import Preprocess
from unconv.results import Shown

Classes: TypeAlias = tuple[str, ...]


class Fitted(NamedTuple):
    """A network with weights, and what was done to fit them."""

    module: nn.Module
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False, repr=False)
class Recipe(Shown):
    """How to make one network.

    Attributes:
        name: as the user wrote it.
        build: makes it without trained weights, of its usual number of classes or of a number given.
        pretrained: makes it with the weights it is published with, and says what was done to fit them where that is
            more than loading; raises ModelError saying why where it cannot.
        weights: where those weights come from, as a phrase.
        preprocess: the picture transform of those weights.
        classes: names the classes of those weights, None where they have no names; asked only if they are used.
        names: turns another naming of the tensors into the network's own.
        seedless: the source decides about weights itself, so asking for random ones has no meaning.
        assumed: the sentence that says so, where the picture transform is a guess.
        notes: what else a reader should know.
        takes: shape of one input, where the network takes something else than pictures.
        paper: where it was published, where its source says so.
    """

    name: str
    build: Callable[[int | None], nn.Module]
    pretrained: Callable[[], nn.Module | Fitted]
    weights: str
    preprocess: Preprocess
    classes: Callable[[], Classes | None]
    names: Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]] = dict
    seedless: bool = False
    assumed: str = ""
    notes: tuple[str, ...] = ()
    takes: tuple[int, ...] = ()
    paper: str = ""


def unpublished(
    name: str,
    build: Callable[[int | None], nn.Module],
    preprocess: Preprocess,
    train: str,
    notes: tuple[str, ...] = (),
    takes: tuple[int, ...] = (),
) -> Recipe:
    """The recipe of a network that no trained weights come with: asked for them, it says how to get some.

    Args:
        name: as the user wrote it, with its variant.
        build: makes it, of its usual number of classes or of a number given.
        preprocess: the picture transform that it is to be trained with.
        train: what trains it: ``"classify"``, ``"segment"`` or ``"generate"``.
        notes: what else a reader should know.
        takes: shape of one input, where it takes something else than pictures.

    >>> unpublished("lenet9", lambda classes: nn.Linear(2, classes or 10), Preprocess(), "classify").pretrained()
    Traceback (most recent call last):
    unconv.errors.ModelError: lenet9: no trained weights come with it; random_weights=True leaves it untrained
    and weights=FILE takes yours; unconv train classify --model lenet9 makes some
    """

    def pretrained() -> nn.Module:
        raise ModelError(
            f"{name}: no trained weights come with it; random_weights=True leaves it untrained and weights=FILE "
            f"takes yours; unconv train {train} --model {name} makes some"
        )

    return Recipe(name, build, pretrained, "none", preprocess, classes=lambda: None, notes=notes, takes=takes)


def ready_made(
    name: str, module: nn.Module, weights: str, preprocess: Preprocess, assumed: str, classes: Classes | None = None
) -> Recipe:
    """The recipe of a network that is there already, with its weights: trained or not, it is the same.

    >>> ready_made("net.py:build", nn.Linear(2, 3), "as net.py:build made them", Preprocess(), "").build(None)
    Linear(in_features=2, out_features=3, bias=True)
    """
    return Recipe(
        name=name,
        build=lambda _classes: module,
        pretrained=lambda: module,
        weights=weights,
        preprocess=preprocess,
        classes=lambda: classes,
        seedless=True,
        assumed=assumed,
    )


def nearest(name: str, names: Iterable[str] | Mapping[str, str], source: str = "") -> str:
    """The end of a message about an unknown name: what was perhaps meant, with its source in front.

    Names in a mapping are told as it says.

    >>> nearest("resnet5", ["resnet50", "resnet18", "vgg16"], "torchvision:")
    '; did you mean torchvision:resnet50, torchvision:resnet18?'
    >>> nearest("zzz", {"resnet50": "torchvision:resnet50"})
    ''
    """
    told = names if isinstance(names, Mapping) else {known: source + known for known in names}
    close = difflib.get_close_matches(name, list(told), n=3)
    return f"; did you mean {', '.join(told[match] for match in close)}?" if close else ""
