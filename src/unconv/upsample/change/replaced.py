"""What an exchange of upsamplers did: layer by layer, with parameters, sizes and weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import nn

from unconv.describe import by_size, counted, listed
from unconv.results import Shown, Tabled


@dataclass(frozen=True)
class Exchange:
    """One layer that was exchanged.

    Attributes:
        name: of the layer in the model; of one that stands in several places, all of them, by commas.
        old, new: what it was and is, in a few words.
        parameters_before, parameters_after: how many it had and has.
        input_size, output_size: (channels, *size) of the run that checked the sizes; None where none was made, and for
            a layer that it did not reach.
        carried: parameters of the old layer that the new one has.
        fresh: parameters of the new layer that are new, and have to be trained.
    """

    name: str
    old: str
    new: str
    parameters_before: int
    parameters_after: int
    input_size: tuple[int, ...] | None
    output_size: tuple[int, ...] | None
    carried: tuple[str, ...]
    fresh: tuple[str, ...]


@dataclass(frozen=True)
class Left:
    """One layer of the kind that was left as it is.

    Attributes:
        name: of the layer in the model.
        layer: what it is, in a few words.
        reason: why.
    """

    name: str
    layer: str
    reason: str


@dataclass(frozen=True, eq=False, repr=False)
class Replaced(Shown, Tabled):
    """A model whose upsamplers were exchanged, and what that changed.

    Attributes:
        model: with the new layers.
        exchanges: what was exchanged.
        left: what was not.
        parameters_before, parameters_after: of the whole model.
        checked: the input sizes with which outputs of layers and model were found to have the sizes of before; None
            where no size was given.
    """

    model: nn.Module
    exchanges: tuple[Exchange, ...]
    left: tuple[Left, ...]
    parameters_before: int
    parameters_after: int
    checked: tuple[tuple[int, ...], ...] | None

    def _heading(self) -> str:
        told = f"{type(self.model).__name__}: {counted(len(self.exchanges), 'upsampler')} exchanged"
        return told + (f", {len(self.left)} left" if self.left else "")

    def _facts(self) -> Iterator[tuple[str, str]]:
        for one in self.exchanges:
            sizes = "" if one.input_size is None else f"; {_sizes(one)}"
            weights = f"new: {listed(one.fresh)}; carried over: {listed(one.carried)}"
            counts = f"{one.parameters_before:,} → {one.parameters_after:,} parameters"
            yield one.name or "the model", f"{one.old} → {one.new}; {counts}{sizes}; {weights}"
        for entry in self.left:
            yield entry.name or "the model", f"left, {entry.layer}: {entry.reason}"
        yield "parameters", f"{self.parameters_before:,} → {self.parameters_after:,}"
        if self.checked is None:
            yield "output sizes", "not run; equal by their formula (input_size= runs both)"
        else:
            yield "output sizes", f"equal, run with {', '.join(map(by_size, self.checked))}"

    def _rows(self) -> Iterator[dict[str, Any]]:
        for one in self.exchanges:
            yield {
                "name": one.name,
                "old": one.old,
                "new": one.new,
                "parameters_before": one.parameters_before,
                "parameters_after": one.parameters_after,
                "input_size": one.input_size,
                "output_size": one.output_size,
                "carried": ", ".join(one.carried),
                "fresh": ", ".join(one.fresh),
                "left": "",
            }
        for entry in self.left:
            yield {"name": entry.name, "old": entry.layer, "new": entry.layer, "left": entry.reason}


def _sizes(one: Exchange) -> str:
    """Both sizes of a run, without channels."""
    return f"{by_size((one.input_size or ())[1:])} → {by_size((one.output_size or ())[1:])}"
