"""A network of another package, with what it takes and what a counter of operations misses or has too much."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn


@dataclass(frozen=True)
class Network:
    """A network that others wrote.

    Attributes:
        make: builds it, untrained; the package is imported in there.
        sizes: of its inputs, without the batch.
        names: what its ``forward`` calls the inputs; in order unless given.
        axes: what those of the first input are, for the trace; (channels, places) unless told.
        arguments: what its ``forward`` wants beside the inputs, by name.
        beside: MACs that torch's counter has no formula for, and less those that no picture takes part in.
        formula: where those MACs come from.
    """

    make: Callable[[], nn.Module]
    sizes: tuple[tuple[int, ...], ...]
    names: tuple[str, ...] = ()
    arguments: Mapping[str, Any] = field(default_factory=dict)
    axes: str | None = None
    beside: int = 0
    formula: str = ""

    def build(self) -> nn.Module:
        """The network, as one that takes tensors in order."""
        network = self.make()
        return Called(network, self.names, self.arguments) if self.names or self.arguments else network


class Called(nn.Module):
    """A network whose ``forward`` is called by names, some of which never change, as the step of a diffusion."""

    def __init__(self, network: nn.Module, names: tuple[str, ...], arguments: Mapping[str, Any]) -> None:
        super().__init__()
        self.network = network
        self.names = names
        self.arguments = dict(arguments)

    def forward(self, *inputs: Tensor) -> Any:
        named = dict(zip(self.names, inputs, strict=False))
        return self.network(*inputs[len(named) :], **named, **self.arguments)


def pictures(side: int, channels: int = 3) -> tuple[tuple[int, ...], ...]:
    """The size of one square picture."""
    return ((channels, side, side),)
