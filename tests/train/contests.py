"""A small contest that tests share: grey pictures of 8×8, bright above."""

from __future__ import annotations

import torch
from torch import Generator as Chance, Tensor, nn

from unconv.models.dcgan import Discriminator, Form, Generator
from unconv.train.data.examples import Examples, TensorExamples
from unconv.train.loop.settings import Settings
from unconv.train.show.judge import noise
from unconv.train.tasks.adversarial import Adversaries, Contest

FORM = Form(channels=1, doublings=1, width=4, kernel_size=4)


def halves(count: int, seed: int = 0) -> TensorExamples:
    """Bright above, black below, with a little noise."""
    pictures = torch.rand(count, 1, 8, 8, generator=Chance().manual_seed(seed)) * 0.2 - 1
    pictures[:, :, :4] += 1.8
    return TensorExamples(pictures, torch.zeros(count))


def likeness(generator: nn.Module, examples: Examples) -> tuple[dict[str, float], tuple[str, ...]]:
    """How far pictures are from the mean of real ones."""
    with torch.no_grad():
        pictures = generator(noise(64, 0))
    mean = examples.fetch(range(len(examples))).inputs.mean(0)
    return {"distance": float((pictures - mean).square().mean())}, ()


def networks(seed: int = 0, form: Form = FORM) -> tuple[Generator, Discriminator]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Generator(form), Discriminator(form)


def adversaries(contest: Contest | None = None, **settings: object) -> Adversaries:
    told = {"rate": 0.004, "weight_decay": 0.0, "batch_size": 16, **settings}
    return Adversaries(*networks(), Settings(**told), contest or Contest(0.002), likeness)


def flat(weights: dict[str, Tensor]) -> Tensor:
    return torch.cat([value.flatten().double() for value in weights.values()])
