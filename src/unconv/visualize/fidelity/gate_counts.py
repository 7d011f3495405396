"""Gate counts: switches of max-poolings and gates of rectifiers through which a picture enters its projection."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from unconv.operators.by_axes import CONV_TRANSPOSE
from unconv.visualize.reverse.autograd_nodes import is_reversed, is_switch, nodes_behind, rectifier_of
from unconv.visualize.reverse.passage import Passage
from unconv.visualize.reverse.rules import find_rule


@dataclass(frozen=True)
class GateCounts:
    """Switches and gates between a unit and the pixels, one for each cell of a max-pooling or rectifier.

    A switch says which pixel of its pooling window was largest, a gate what the derivative of its rectifier was there.
    They are all through which the picture itself enters a projection, but for operations that have no rule.

    Attributes:
        switches: those inside the cone: that some path from the unit to the pixels leads through.
        switches_used: those that a signal reaches under the rule; each has decided where it went.
        gates: those inside the cone.
        gates_used: those that a signal reaches under a rule that asks for them.
        gates_changed: those of the used ones whose derivative is not 1: they have changed the signal, or stopped it.
    """

    switches: int = 0
    switches_used: int = 0
    gates: int = 0
    gates_used: int = 0
    gates_changed: int = 0

    @property
    def used(self) -> int:
        """All that carry something of the picture."""
        return self.switches_used + self.gates_used

    def __add__(self, other: GateCounts) -> GateCounts:
        return GateCounts(
            self.switches + other.switches,
            self.switches_used + other.switches_used,
            self.gates + other.gates,
            self.gates_used + other.gates_used,
            self.gates_changed + other.gates_changed,
        )


class CountGates:
    """Counts switches and gates of the first some picks.

    To be handed to :func:`~unconv.visualize.reverse.project_units.project_units`, which goes back under its watch.

    The cone is found by a second way back on which nothing stops the signal: rectifiers let it pass, max-poolings
    spread it over their windows, and its magnitudes are drawn anew at each of them, so that no two paths cancel. Behind
    adaptive poolings and maxima over axes only what their switches point to counts as inside. Images lead in all
    tensors.

    Args:
        layer: the layer of the units.
        picks: how many picks, from the first, are counted.
    """

    def __init__(self, layer: str, picks: int) -> None:
        self.layer = layer
        self.counts: list[GateCounts] = [GateCounts()] * picks

    @contextmanager
    def __call__(self, passage: Passage, signal: Tensor, placed: Mapping[int, tuple[int, ...]]) -> Iterator[None]:
        wanted = {number: place[0] for number, place in placed.items() if number < len(self.counts)}
        if not wanted:
            yield
            return
        nodes = list(nodes_behind(passage.values[self.layer]))
        cone, used = _Tally(len(signal)), _Tally(len(signal))
        with _hook_nodes(nodes, _make_spreader(cone)):
            passage.back(self.layer, signal)
        with _hook_nodes(nodes, _make_counter(used, passage.rule)):
            yield
        for number, row in wanted.items():
            self.counts[number] = GateCounts(
                cone.switches[row], used.switches[row], cone.gates[row], used.gates[row], used.changed[row]
            )


class _Tally:
    """Cells by row of the batch."""

    def __init__(self, batch: int) -> None:
        self.batch = batch
        self.switches, self.gates, self.changed = [0] * batch, [0] * batch, [0] * batch

    def add(self, counts: list[int], cells: Tensor) -> None:
        for row, count in enumerate((cells != 0).reshape(self.batch, -1).sum(1).tolist()):
            counts[row] += count


# What is called with a node, the signal that it was given and the one that it gives; a result takes the latter's place.
_Observer = Callable[[Any, Tensor, Tensor], "Tensor | None"]


@contextmanager
def _hook_nodes(nodes: Sequence[Any], look: _Observer) -> Iterator[None]:
    with ExitStack() as stack:
        for node in nodes:
            if node is not None and (is_switch(node) or rectifier_of(node) is not None):
                stack.callback(node.register_hook(_make_hook(node, look)).remove)
        yield


def _make_hook(node: Any, look: _Observer) -> Callable[[Any, Any], Any]:
    def hook(given_back: Any, signals: Any) -> Any:
        if signals[0] is None or given_back[0] is None:
            return None
        instead = look(node, signals[0], given_back[0])
        return None if instead is None else (instead, *given_back[1:])

    return hook


def _make_counter(tally: _Tally, rule: str) -> _Observer:
    asks = find_rule(rule).asks

    def look(node: Any, signal: Tensor, given: Tensor) -> None:
        if is_switch(node):
            if _chooses(node):
                tally.add(tally.switches, signal)
            return
        if not is_reversed(node):
            used = signal != 0
        elif asks is None:
            return
        else:
            used = asks(signal)
        tally.add(tally.gates, used)
        tally.add(tally.changed, used & (given != signal))

    return look


def _make_spreader(tally: _Tally) -> _Observer:
    generator = torch.Generator().manual_seed(0)

    def look(node: Any, signal: Tensor, given: Tensor) -> Tensor:
        if is_switch(node):
            if _chooses(node):
                tally.add(tally.switches, signal)
            reached = _spread(node, signal, given)
        else:
            tally.add(tally.gates, signal)
            reached = signal
        drawn = torch.rand(reached.shape, generator=generator).add_(0.5).to(reached)
        return torch.where(reached != 0, drawn, 0)

    return look


def _chooses(node: Any) -> bool:
    """Whether there is anything to choose from: a pooling over single cells has no switch."""
    return prod(getattr(node, "_saved_kernel_size", ()) or (2,)) > 1


def _spread(node: Any, signal: Tensor, given: Tensor) -> Tensor:
    """The signal at a max-pooling, sent to all cells of the windows that it comes from."""
    kernel = tuple(getattr(node, "_saved_kernel_size", ()))
    count = len(kernel)
    if count not in CONV_TRANSPOSE or given.ndim < count + 1:
        return given
    stride = tuple(node._saved_stride) or kernel
    flat = signal.reshape(-1, 1, *signal.shape[-count:]).ne(0).to(given.dtype)
    spread = CONV_TRANSPOSE[count](
        flat, flat.new_ones(1, 1, *kernel), stride=stride, dilation=tuple(node._saved_dilation)
    )
    size = given.shape[-count:]
    # Cells behind the last window are in none; what was padded is no cell.
    margins = [
        (-pad, whole + pad - long) for pad, whole, long in zip(node._saved_padding, size, spread.shape[2:], strict=True)
    ]
    return F.pad(spread, [side for pair in reversed(margins) for side in pair]).reshape(given.shape)
