"""The network and the optimiser while they work: one step forward, and means over examples."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from unconv.data.arrays import one_line
from unconv.errors import UnconvError
from unconv.train.examples import Batch, Examples
from unconv.train.schedule import one_cycle

Measure: TypeAlias = Callable[[Tensor, Tensor], Mapping[str, Tensor]]
"""From outputs and targets of a batch to numbers by name, one an example; ``"loss"`` among them."""

EVALUATED_TOGETHER = 250


@dataclass(frozen=True, eq=False)
class Moment:
    """A network between two steps: its tensors by name, and the state dict of its optimiser."""

    weights: dict[str, Tensor]
    optimiser: dict[str, Any]


class Trainer:
    """A copy of a network and its optimiser, brought from moment to moment.

    Loading the moment that they are at costs nothing, so that a training that runs on pays for no copies.

    Raises UnconvError where no parameter requires a gradient.
    """

    def __init__(self, network: nn.Module, measure: Measure, rate: float, weight_decay: float, steps: int) -> None:
        self.network = deepcopy(network).train()
        self.measure, self.rate, self.steps = measure, rate, steps
        _channels_last(self.network)
        free = [parameter for parameter in self.network.parameters() if parameter.requires_grad]
        if not free:
            raise UnconvError(f"train: {type(network).__name__} has no parameter that requires a gradient")
        # Scales and offsets are not drawn to zero.
        groups = [
            {"params": [parameter for parameter in free if parameter.ndim > 1], "weight_decay": weight_decay},
            {"params": [parameter for parameter in free if parameter.ndim <= 1], "weight_decay": 0.0},
        ]
        self._optimiser = torch.optim.AdamW([group for group in groups if group["params"]], lr=rate)
        self._loaded: Moment | None = None

    def now(self) -> Moment:
        """Where they stand: the tensors themselves, which the next step changes."""
        self._loaded = Moment(dict(self.network.state_dict()), self._optimiser.state_dict())
        return self._loaded

    def kept(self) -> Moment:
        """Where they stand, as copies."""
        return deepcopy(Moment(dict(self.network.state_dict()), self._optimiser.state_dict()))

    def load(self, moment: Moment) -> None:
        """Go on from a moment."""
        if moment is self._loaded:
            return
        self.network.load_state_dict(moment.weights)
        # The optimiser would go on in the very tensors it is given.
        self._optimiser.load_state_dict(deepcopy(moment.optimiser))
        self._loaded = moment

    def step(self, batch: Batch, number: int, seed: int, place: str) -> dict[str, float]:
        """One step along the gradient; what is measured of the batch before it, summed over its examples.

        Raises UnconvError, with the place in the training, where the network fails or the loss is not finite.
        """
        self._loaded = None
        for group in self._optimiser.param_groups:
            group["lr"] = one_cycle(number, self.steps, self.rate)
        self.network.train()
        self._optimiser.zero_grad()
        with torch.enable_grad(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            measured = measured_on(self.network, self.measure, batch)
            loss = measured["loss"].mean()
            if not bool(loss.isfinite()):
                raise UnconvError(f"train: loss {loss.item()} in {place}; lower the learning rate ({self.rate})")
            loss.backward()  # type: ignore[no-untyped-call]
        self._optimiser.step()
        return summed(measured)


def measured_on(network: nn.Module, measure: Measure, batch: Batch) -> Mapping[str, Tensor]:
    """What is measured of a batch; whatever the network or the measure raises becomes one line."""
    inputs = batch.inputs
    if inputs.ndim == 4:
        inputs = inputs.contiguous(memory_format=torch.channels_last)
    try:
        return measure(network(inputs), batch.targets)
    except UnconvError:
        raise
    except Exception as error:
        raise UnconvError(
            f"train: {type(network).__name__} fails on inputs of shape {tuple(inputs.shape)}: {one_line(error)}"
        ) from error


def summed(measured: Mapping[str, Tensor]) -> dict[str, float]:
    """Sums over examples, in double precision.

    >>> summed({"accuracy": torch.tensor([1.0, 0.0, 1.0])})
    {'accuracy': 2.0}
    """
    return {name: values.detach().double().sum().item() for name, values in measured.items()}


def evaluate(network: nn.Module, measure: Measure, examples: Examples) -> tuple[dict[str, float], tuple[str, ...]]:
    """Means over examples, the network in evaluation mode; and which of them could not be read.

    Raises UnconvError where none could.

    >>> from unconv.train.examples import TensorExamples
    >>> examples = TensorExamples(torch.eye(4), torch.tensor([0, 1, 2, 2]))
    >>> def measure(outputs, targets): return {"accuracy": (outputs.argmax(1) == targets).float()}
    >>> evaluate(nn.Identity(), measure, examples)
    ({'accuracy': 0.75}, ())
    """
    sums: dict[str, float] = {}
    skipped: list[str] = []
    seen = 0
    with _evaluating(network), torch.inference_mode():
        for first in range(0, len(examples), EVALUATED_TOGETHER):
            batch = examples.fetch(range(first, min(first + EVALUATED_TOGETHER, len(examples))))
            skipped.extend(batch.skipped)
            if not len(batch.inputs):
                continue
            for name, value in summed(measured_on(network, measure, batch)).items():
                sums[name] = sums.get(name, 0.0) + value
            seen += len(batch.inputs)
    if not seen:
        raise UnconvError(f"evaluate: none of {len(examples)} examples could be used: {'; '.join(skipped[:3])}")
    return {name: value / seen for name, value in sums.items()}, tuple(skipped)


@contextmanager
def _evaluating(network: nn.Module) -> Iterator[None]:
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


def _channels_last(network: nn.Module) -> None:
    """Convolutions are quicker with channels last."""
    for tensor in (*network.parameters(), *network.buffers()):
        if tensor.ndim == 4:
            tensor.data = tensor.data.contiguous(memory_format=torch.channels_last)
