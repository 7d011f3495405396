"""Gradient steps and evaluation of one network with its optimiser."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from math import isfinite
from typing import TypeAlias

import torch
from torch import Tensor, nn

from unconv.errors import UnconvError, one_line
from unconv.network.run.model_state import at_rest
from unconv.train.data.examples import Batch, Examples
from unconv.train.loop.device import autocast, device_of, placed, where
from unconv.train.loop.learner import Conclude, Moment, scalars
from unconv.train.loop.muon import Muon
from unconv.train.loop.schedule import one_cycle
from unconv.train.loop.settings import Settings

Measure: TypeAlias = Callable[[Tensor, Tensor], Mapping[str, Tensor]]
"""From outputs and targets of a batch to numbers by name, one an example, or one table an example (a confusion matrix);
``"loss"`` among them."""

EVALUATED_TOGETHER = 250


class Trainer:
    """A copy of a network and its optimiser (with one cycle of the learning rate), brought from moment to moment.

    Args:
        network: what is copied.
        measure: what is minimised (``"loss"``) and told.
        settings: optimiser, rate, decay, precision, device.
        steps: how many there will be in all.
        conclude: what is told of examples held out, from the means of what is measured.

    Raises UnconvError where no parameter requires a gradient, or the device cannot be used.
    """

    def __init__(
        self, network: nn.Module, measure: Measure, settings: Settings, steps: int, conclude: Conclude = scalars
    ) -> None:
        self.device = device_of(settings.device)
        # Channels last, as convolutions are quicker; also where one channel makes both orders the same.
        self.network = deepcopy(network).train().to(self.device).to(memory_format=torch.channels_last)
        self.measure, self.settings, self.steps, self.conclude = measure, settings, steps, conclude
        free = [parameter for parameter in self.network.parameters() if parameter.requires_grad]
        if not free:
            raise UnconvError(f"train: {type(network).__name__} has no parameter that requires a gradient")
        # Scales and offsets are not drawn to zero.
        groups = [
            {"params": [parameter for parameter in free if parameter.ndim > 1], "weight_decay": settings.weight_decay},
            {"params": [parameter for parameter in free if parameter.ndim <= 1], "weight_decay": 0.0},
        ]
        kind = Muon if settings.optimiser == "muon" else torch.optim.AdamW
        self._optimiser = kind([group for group in groups if group["params"]], lr=settings.rate)
        # Half precision loses gradients below 6e-8, unless the loss is large.
        self._scaler = torch.amp.GradScaler(self.device.type, enabled=settings.precision == "float16")

    def now(self) -> Moment:
        """Where they stand: the tensors themselves, which the next step changes."""
        return Moment(dict(self.network.state_dict()), self._optimiser.state_dict(), self._scaler.state_dict())

    def kept(self) -> Moment:
        """Where they stand, as copies."""
        return deepcopy(self.now())

    def load(self, moment: Moment) -> None:
        """Go on from a moment."""
        self.network.load_state_dict(moment.weights)
        # The optimiser would go on in the very tensors it is given.
        self._optimiser.load_state_dict(deepcopy(moment.optimiser))
        if moment.scaler:
            self._scaler.load_state_dict(moment.scaler)

    def step(self, batch: Batch, number: int, seed: int, place: str) -> dict[str, Tensor]:
        """One step along the gradient; what is measured of the batch before it, summed over its examples.

        Raises UnconvError, with the place in the training, where the network fails or the loss is not finite.
        """
        rate = one_cycle(number, self.steps, self.settings.rate)
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        self._optimiser.zero_grad()
        with torch.enable_grad(), _drawing(seed, self.device):
            measured = measured_on(self.network, self.measure, batch, self.device, self.settings.precision)
            loss = measured["loss"].mean()
            value = loss.item()
            if not isfinite(value):
                raise UnconvError(f"train: loss {value} in {place}; lower the learning rate ({self.settings.rate})")
            self._scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        self._scaler.step(self._optimiser)
        self._scaler.update()
        return summed(measured)

    def evaluate(self, examples: Examples) -> tuple[dict[str, float], tuple[str, ...]]:
        """What is concluded of examples held out, and which of them could not be read."""
        # What a step holds in memory, a measurement does.
        together = min(self.settings.batch_size, EVALUATED_TOGETHER)
        return evaluate(self.network, self.measure, examples, self.conclude, together)


def measured_on(
    network: nn.Module, measure: Measure, batch: Batch, device: torch.device, precision: str = "float32"
) -> Mapping[str, Tensor]:
    """What is measured of a batch, in float32; whatever the network or the measure raises becomes one line."""
    inputs, targets = placed(batch, device)
    try:
        with autocast(device, precision):
            outputs = network(inputs)
        if precision != "float32" and isinstance(outputs, Tensor):
            outputs = outputs.float()
        return measure(outputs, targets)
    except UnconvError:
        raise
    except Exception as error:
        raise UnconvError(
            f"train: {type(network).__name__} fails on inputs of shape {tuple(inputs.shape)}: {one_line(error)}"
        ) from error


def summed(measured: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Sums over examples, in double precision.

    >>> summed({"accuracy": torch.tensor([1.0, 0.0, 1.0])})
    {'accuracy': tensor(2., dtype=torch.float64)}
    """
    return {name: values.detach().sum(0, dtype=torch.float64) for name, values in measured.items()}


def evaluate(
    network: nn.Module,
    measure: Measure,
    examples: Examples,
    conclude: Conclude = scalars,
    together: int = EVALUATED_TOGETHER,
) -> tuple[dict[str, float], tuple[str, ...]]:
    """What is concluded from means over examples, the network in evaluation mode; and which could not be read.

    Raises UnconvError where none could.

    >>> from unconv.train.data.examples import TensorExamples
    >>> examples = TensorExamples(torch.eye(4), torch.tensor([0, 1, 2, 2]))
    >>> def measure(outputs, targets): return {"accuracy": (outputs.argmax(1) == targets).float()}
    >>> evaluate(nn.Identity(), measure, examples)
    ({'accuracy': 0.75}, ())
    """
    sums: dict[str, Tensor] = {}
    skipped: list[str] = []
    seen = 0
    with at_rest(network, frozen=False), torch.inference_mode():
        for first in range(0, len(examples), together):
            batch = examples.fetch(range(first, min(first + together, len(examples))))
            skipped.extend(batch.skipped)
            if not len(batch.inputs):
                continue
            for name, value in summed(measured_on(network, measure, batch, where(network))).items():
                sums[name] = sums[name] + value if name in sums else value
            seen += len(batch.inputs)
    if not seen:
        raise UnconvError(f"evaluate: none of {len(examples)} examples could be used: {'; '.join(skipped[:3])}")
    return dict(conclude({name: value / seen for name, value in sums.items()})), tuple(skipped)


@contextmanager
def _drawing(seed: int, device: torch.device) -> Iterator[None]:
    """What is drawn inside follows from the seed, and the generators are afterwards as they were."""
    if device.type != "cpu":
        with torch.random.fork_rng([device], device_type=device.type):
            torch.manual_seed(seed)
            yield
        return
    # The same for the one generator of the CPU, without the tenth of a millisecond that seeding all devices takes.
    before = torch.default_generator.get_state()
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        torch.default_generator.set_state(before)
