"""Adversarial training: one network makes pictures, the other tells them from real ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from math import isfinite
from typing import Any, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unconv.errors import UnconvError
from unconv.train.data.examples import Batch, Examples
from unconv.train.loop.device import autocast, device_of, placed
from unconv.train.loop.learner import Moment, Numbers
from unconv.train.loop.settings import Settings
from unconv.train.show.judge import noise

BETAS = (0.5, 0.999)

Judged: TypeAlias = Callable[[nn.Module, Examples], tuple[Numbers, tuple[str, ...]]]
"""From a generator and real pictures to numbers, and which of the pictures could not be read."""


@dataclass(frozen=True)
class Contest:
    """What two networks against each other are told beyond the settings of the loop, whose rate is the generator's.

    Attributes:
        discriminator_rate: learning rate of the discriminator.
        smoothing: real pictures are to be told as real with the probability 1 − smoothing: one-sided label smoothing
            (T. Salimans et al., "Improved Techniques for Training GANs", 2016, section 3.4).
        average: part of the old weights in the moving average of the generator's, which is what comes out of the
            training; 0: the last weights themselves.

    Raises UnconvError for impossible numbers.

    >>> Contest(smoothing=1.0)
    Traceback (most recent call last):
    unconv.errors.UnconvError: train: smoothing 1.0; give 0 or more, less than 0.5
    """

    discriminator_rate: float = 2e-4
    smoothing: float = 0.1
    average: float = 0.999

    def __post_init__(self) -> None:
        if not (isfinite(self.discriminator_rate) and self.discriminator_rate > 0):
            raise UnconvError(
                f"train: discriminator_rate {self.discriminator_rate} makes no steps; give a positive number"
            )
        for name, limit in (("smoothing", 0.5), ("average", 1)):
            if not 0 <= getattr(self, name) < limit:
                raise UnconvError(f"train: {name} {getattr(self, name)}; give 0 or more, less than {limit}")


class Adversaries:
    """Copies of a generator and a discriminator with their optimisers, brought from moment to moment.

    I. Goodfellow et al., "Generative Adversarial Nets" (2014), with Adam at β₁ = 0.5 as Radford et al. (2015) have it.
    A step minimises, on n real pictures x and n of noise z,

        L_D = mean(−(1 − s) log D(x) − s log(1 − D(x))) + mean(−log(1 − D(G(z))))    along the discriminator's weights,
        L_G = mean(−log D(G(z)))    along the generator's, with the new D ("non-saturating", section 3).

    Either batch is normalised by itself. The noise of a step follows from its seed.

    Args:
        generator: from noise to pictures in [−1, 1].
        discriminator: from pictures to logits.
        settings: rate of the generator, decay (L2), precision, device.
        contest: the rest.
        judge: measures the generator, in evaluation mode, after an epoch.
    """

    def __init__(
        self, generator: nn.Module, discriminator: nn.Module, settings: Settings, contest: Contest, judge: Judged
    ) -> None:
        if settings.optimiser != Settings.optimiser:
            raise UnconvError(f"train: optimiser {settings.optimiser!r}; generator and discriminator are Adam's")
        self.settings, self.contest, self.judge = settings, contest, judge
        self.device = device_of(settings.device)
        self.networks = {
            name: _ready(network, self.device)
            for name, network in (("generator", generator), ("discriminator", discriminator))
        }
        self._average = _ready(generator, self.device).requires_grad_(False) if contest.average else None
        rates = {"generator": settings.rate, "discriminator": contest.discriminator_rate}
        self._optimisers = {
            name: torch.optim.Adam(network.parameters(), rates[name], BETAS, weight_decay=settings.weight_decay)
            for name, network in self.networks.items()
        }
        scaled = settings.precision == "float16"
        self._scalers = {name: torch.amp.GradScaler(self.device.type, enabled=scaled) for name in self.networks}

    @property
    def shown(self) -> nn.Module:
        """The generator that counts: the average, where there is one."""
        return self.networks["generator"] if self._average is None else self._average

    def now(self) -> Moment:
        """Where they stand: the tensors themselves, which the next step changes."""
        parts: dict[str, Any] = {name: dict(network.state_dict()) for name, network in self.networks.items()}
        optimisers = {name: optimiser.state_dict() for name, optimiser in self._optimisers.items()}
        scalers = {name: scaler.state_dict() for name, scaler in self._scalers.items()}
        return Moment(dict(self.shown.state_dict()), {"networks": parts, "optimisers": optimisers}, scalers)

    def kept(self) -> Moment:
        """Where they stand, as copies."""
        return deepcopy(self.now())

    def load(self, moment: Moment) -> None:
        """Go on from a moment."""
        for name, network in self.networks.items():
            network.load_state_dict(moment.optimiser["networks"][name])
            # The optimiser would go on in the very tensors it is given.
            self._optimisers[name].load_state_dict(deepcopy(moment.optimiser["optimisers"][name]))
            if moment.scaler.get(name):
                self._scalers[name].load_state_dict(moment.scaler[name])
        self.shown.load_state_dict(moment.weights)

    def step(self, batch: Batch, number: int, seed: int, place: str) -> dict[str, Tensor]:
        """One step of the discriminator, then one of the generator; their losses, times the examples.

        Raises UnconvError, with the place in the training, where a loss is not finite.
        """
        generator, discriminator = self.networks["generator"].train(), self.networks["discriminator"].train()
        real, _ = placed(batch, self.device)
        # One number alone cannot be normalised.
        latents = noise(max(2, len(real)), seed).to(self.device)
        with torch.enable_grad():
            with autocast(self.device, self.settings.precision):
                fake = generator(latents)
            told = self._judged(real), self._judged(fake.detach())
            ideal = torch.full_like(told[0], 1 - self.contest.smoothing)
            loss = F.binary_cross_entropy_with_logits(told[0], ideal) + F.softplus(told[1]).mean()
            self._minimise("discriminator", loss, place)
            with _fixed(discriminator):
                answer = F.softplus(-self._judged(fake)).mean()
                self._minimise("generator", answer, place)
        if self._average is not None:
            _move(self._average, generator, min(self.contest.average, (1 + number) / (10 + number)))
        losses = {"discriminator": loss, "generator": answer}
        return {name: value.detach().double().cpu() * len(real) for name, value in losses.items()}

    def evaluate(self, examples: Examples) -> tuple[Numbers, tuple[str, ...]]:
        """What the judge says of the generator."""
        return self.judge(self.shown.eval(), examples)

    def _judged(self, pictures: Tensor) -> Tensor:
        with autocast(self.device, self.settings.precision):
            logits: Tensor = self.networks["discriminator"](pictures)
        return logits if self.settings.precision == "float32" else logits.float()

    def _minimise(self, name: str, loss: Tensor, place: str) -> None:
        value = loss.item()
        if not isfinite(value):
            # Either may have spoiled it: what one network has made, the other is given.
            raise UnconvError(
                f"train: loss {value} of the {name} in {place}; lower the learning rates (generator "
                f"{self.settings.rate}, discriminator {self.contest.discriminator_rate})"
            )
        self._optimisers[name].zero_grad()
        self._scalers[name].scale(loss).backward()  # type: ignore[no-untyped-call]
        self._scalers[name].step(self._optimisers[name])
        self._scalers[name].update()


def _ready(network: nn.Module, device: torch.device) -> nn.Module:
    # Convolutions are quicker with channels last.
    return deepcopy(network).train().to(device).to(memory_format=torch.channels_last)


@contextmanager
def _fixed(network: nn.Module) -> Iterator[None]:
    """No gradient for the weights of a network: only what is before it learns, and nothing is computed in vain."""
    network.requires_grad_(False)
    try:
        yield
    finally:
        network.requires_grad_(True)


@torch.no_grad()
def _move(average: nn.Module, network: nn.Module, keep: float) -> None:
    """average ← keep · average + (1 − keep) · network, running means of norms included."""
    state: Mapping[str, Tensor] = network.state_dict()
    for name, value in average.state_dict().items():
        if value.is_floating_point():
            value.lerp_(state[name], 1 - keep)
        else:
            value.copy_(state[name])
