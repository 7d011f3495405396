"""Readings of a network's outputs: classes of which one is true, labels each for itself, numbers; of dense maps too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jaxtyping import Float, Int
from torch import Tensor

from unconv.describe import by_size, counted
from unconv.errors import ModelError, UnconvError
from unconv.network.run.outputs import main_output
from unconv.visualize.outputs.endings import LOGARITHMS
from unconv.visualize.outputs.maps import as_maps

AUTO, CLASS, SCORE, SIGMOID, SOFTMAX = "auto", "class", "score", "sigmoid", "softmax"
READINGS = (AUTO, CLASS, SCORE, SIGMOID, SOFTMAX)
# How far the sum of probabilities may be from 1, in half precision too.
ROUNDING = 4e-3
# Names that a message lists.
LISTED = 5


@dataclass(frozen=True)
class Reading:
    """How the outputs of a network are read.

    Attributes:
        kind: ``softmax``: one class of several is true; ``sigmoid``: each output is a label of its own; ``score``: they
            are numbers, and there is no probability.
        applied: whether the function is applied here; not where the network ends with it.
        outputs: how many there are.
        names: of the classes; None where they are not known. Of a single output: what it is not, and what it is.
        note: in words, what was taken for what.
        image: (channel, height, width) of what goes in; its size tells maps ``(batch, height, width)``.
    """

    kind: str
    applied: bool
    outputs: int
    names: tuple[str, ...] | None = None
    note: str = ""
    image: tuple[int, ...] = ()

    @property
    def probable(self) -> bool:
        """Whether there are probabilities."""
        return self.kind != SCORE

    @property
    def single(self) -> bool:
        """Whether there is one output, that says yes or no."""
        return self.kind == SIGMOID and self.outputs == 1

    def scores(self, output: Any, batch: int, operation: str) -> Float[Tensor, "batch output"]:
        """What the network returns for each output; of maps the mean over their places."""
        return self._checked(output, batch, operation).mean(2)

    def values(self, output: Any, batch: int, operation: str) -> Float[Tensor, "batch output"]:
        """The probability of each output, the score where there is none; of maps the mean over their places."""
        maps = self._checked(output, batch, operation)
        if self.applied:
            maps = maps.softmax(1) if self.kind == SOFTMAX else maps.sigmoid()
        return maps.mean(2)

    def best(self, values: Float[Tensor, "batch output"]) -> Int[Tensor, " batch"]:
        """The most probable class, or the largest number; of a single label 1 where it is more likely than not.

        >>> import torch
        >>> Reading("sigmoid", True, 1).best(torch.tensor([[0.2], [0.7]]))
        tensor([0, 1])
        """
        return (values[:, 0] >= 0.5).long() if self.single else values.argmax(1)

    def name(self, output: int) -> str:
        """The name of an output.

        >>> Reading("softmax", True, 3).name(2), Reading("score", False, 1).name(0)
        ('class 2', 'output 0')
        """
        if self.names is not None and not (self.outputs == 1 and self.kind == SCORE):
            return self.names[1 if self.outputs == 1 else output]
        return f"class {output}" if self.probable and self.outputs > 1 else f"output {output}"

    def best_name(self, best: int) -> str:
        """The name of what :meth:`best` has found.

        >>> Reading("sigmoid", True, 1, ("cat", "dog")).best_name(0), Reading("sigmoid", True, 1).best_name(0)
        ('cat', 'not output 0')
        """
        if not self.single:
            return self.name(best)
        return self.name(0) if best else self.names[0] if self.names is not None else f"not {self.name(0)}"

    def find(self, target: Any, operation: str, argument: str = "target") -> int:
        """The output of that index or name; UnconvError for one that is not there, with those near it.

        >>> Reading("softmax", True, 2, ("cat", "dog")).find("Dog", "occlusion")
        1
        """
        if isinstance(target, str):
            return self._named(target, operation, argument)
        index = getattr(target, "__index__", None)
        if index is None or isinstance(target, bool):
            raise UnconvError(f"{operation}: {argument} {target!r}; give the index of an output, or its name")
        number = int(index())
        if 0 <= number < self.outputs:
            return number
        kind = "class" if self.probable else "output"
        has = f"{kind}es 0 to {self.outputs - 1}" if self.probable else f"outputs 0 to {self.outputs - 1}"
        if self.outputs == 1:
            has = "one output, 0"
        raise UnconvError(f"{operation}: {kind} {number} is not there; the model has {has}")

    def _named(self, text: str, operation: str, argument: str) -> int:
        if self.names is None:
            raise UnconvError(
                f"{operation}: {argument} {text!r}: no class of that name, as the outputs have no names here; give an "
                "index"
            )
        same = [index for index, name in enumerate(self.names) if name.lower() == text.lower()]
        if self.outputs == 1 and same == [0]:
            raise UnconvError(
                f"{operation}: {argument} {text!r}: the one output is for {self.name(0)!r}, and this is what remains "
                "of 1; look at that"
            )
        if len(same) == 1:
            return 0 if self.outputs == 1 else same[0]
        if same:
            indices = ", ".join(map(str, same))
            raise UnconvError(f"{operation}: {argument} {text!r}: classes {indices} are called so; give an index")
        near = [name for name in self.names if text.lower() in name.lower()][:LISTED]
        hint = f"; near it: {', '.join(near)}" if near else "; give its index"
        raise UnconvError(f"{operation}: {argument} {text!r}: no class of that name{hint}")

    def _checked(self, output: Any, batch: int, operation: str) -> Tensor:
        maps = as_maps(output, batch, self.image, operation)
        if maps.shape[1] != self.outputs:
            raise ModelError(
                f"{operation}: the model returns {maps.shape[1]} outputs, and {self.outputs} before; give it images "
                "that it makes equally many of"
            )
        return maps


def read_outputs(
    output: Any,
    batch: int,
    operation: str,
    asked: str = AUTO,
    *,
    classes: Sequence[str] | None = None,
    ending: str | None = None,
    image: Sequence[int] = (),
) -> Reading:
    """How the outputs of a network are to be read, from what it returns for some images.

    Args:
        output: what it returns: a tensor ``(batch, output)``, dense maps ``(batch, output, *size)``, a number an image,
            or a tuple, dict or dataclass with such a tensor, see :func:`~unconv.network.run.outputs.main_output`.
        batch: how many images it is for.
        operation: who asks; messages begin with it.
        asked: ``softmax``, ``sigmoid`` (not applied where the network ends with it), ``score``; ``class``:
            probabilities in any case, by softmax of several outputs and sigmoid of one; ``auto``: what the network ends
            with, else softmax of several outputs; one output is a score unless it has a name, and so are maps of the
            image's own size and channels.
        classes: names of the outputs; two, or one, for a single output.
        ending: what the network ends with, see :func:`~unconv.visualize.outputs.endings.ending_of`.
        image: (channel, height, width) of what goes in.

    Raises:
        UnconvError: another word.
        ModelError: no numbers for each image.

    >>> import torch
    >>> read_outputs(torch.zeros(1, 4), 1, "see", classes=("a", "b", "c", "d")).kind
    'softmax'
    >>> read_outputs(torch.zeros(1, 1), 1, "see").note
    "score: the one output as it is; output='sigmoid' where it is the logit of a class"
    """
    if asked not in READINGS:
        raise UnconvError(f"{operation}: output {asked!r} is unknown; it is {', '.join(READINGS)}")
    maps = as_maps(output, batch, image, operation)
    count = maps.shape[1]
    names, told = _fitting(classes, count)
    ends = _confirmed(ending, maps)
    main = main_output(output)
    pictures = main.tensor is not None and tuple(main.tensor.shape[1:]) == tuple(image)
    kind = _kind(asked, SOFTMAX if ending == LOGARITHMS else ends, count, names is not None, pictures)
    if kind == SOFTMAX and count == 1:
        raise UnconvError(f"{operation}: softmax of one output is always 1; read it as sigmoid or score")
    places = () if main.tensor is None else main.tensor.shape[1 if main.tensor.ndim == 3 else 2 :]
    over = f"averaged over {by_size(places)} places" if maps.shape[2] > 1 else ""
    parts = [
        main.note,
        _sentence(kind, asked, LOGARITHMS if ending == LOGARITHMS else ends, count, names is not None),
        over,
        told,
    ]
    applied = kind != SCORE and ends is None
    return Reading(kind, applied, count, names, "; ".join(filter(None, parts)), tuple(image))


def _confirmed(ending: str | None, maps: Tensor) -> str | None:
    """The ending, as far as the numbers bear it out; softmax where they are probabilities whoever made them."""
    inside = bool(((maps >= 0) & (maps <= 1 + ROUNDING)).all())
    one = maps.shape[1] > 1 and inside and bool(((maps.sum(1) - 1).abs() < ROUNDING).all())
    if one:
        return SOFTMAX
    if ending == LOGARITHMS or ending is None or not inside:
        return None
    # Softmax along another axis, or one column of it: probabilities, each for itself.
    return SIGMOID


def _kind(asked: str, ends: str | None, count: int, named: bool, pictures: bool) -> str:
    """The reading; ``pictures``: what comes out is as large as what goes in."""
    if asked not in (AUTO, CLASS):
        return asked
    if ends is not None:
        return ends
    known = asked == CLASS or named
    if count > 1:
        return SCORE if pictures and not known else SOFTMAX
    return SIGMOID if known else SCORE


def _sentence(kind: str, asked: str, ends: str | None, count: int, named: bool) -> str:
    outputs = f"the {count} outputs" if count > 1 else "the one output"
    if kind == SCORE:
        logits = "it is the logit of a class" if count == 1 else "they are logits of labels, 'softmax' of classes"
        other = "" if asked != AUTO else f"; output='sigmoid' where {logits}"
        return f"score: {outputs} as {'they are' if count > 1 else 'it is'}{other}"
    what = "one class of several" if kind == SOFTMAX else "each a label of its own" if count > 1 else "a label"
    if ends == LOGARITHMS and kind == SOFTMAX:
        return f"{kind} of {outputs}, {what}, whose logarithms the network returns"
    if ends not in (None, LOGARITHMS):
        return f"{kind}: {outputs}, {what}, probabilities as the network returns them"
    guess = asked == AUTO and not named
    other = ", as nothing says otherwise; output='sigmoid' where each is a label, 'score' for numbers" if guess else ""
    return f"{kind} of {outputs}, {what}{other}"


def _fitting(classes: Sequence[str] | None, count: int) -> tuple[tuple[str, ...] | None, str]:
    """The names that fit so many outputs, and what is to be said where there are others."""
    if classes is None:
        return None, ""
    names = tuple(classes)
    if count == 1 and len(names) in (1, 2):
        return (names if len(names) == 2 else (f"not {names[0]}", names[0])), ""
    if len(names) == count:
        return names, ""
    verb = "is" if len(names) == 1 else "are"
    return None, f"{counted(len(names), 'class name')} for {counted(count, 'output')}: {verb} left out"
