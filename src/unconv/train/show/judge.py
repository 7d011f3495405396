"""The judge of a generator: its distance from real pictures as a classifier sees them, and which classes it makes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import log

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

from unconv.data.arrays import LUMA
from unconv.errors import UnconvError
from unconv.models.dcgan import LATENT
from unconv.models.load.resolve import load_model
from unconv.models.zfnet28 import ZFNet28
from unconv.operators.checkerboard import stride_pattern
from unconv.results import Shown
from unconv.train.data.examples import Examples
from unconv.train.loop.device import where
from unconv.train.loop.trainer import EVALUATED_TOGETHER
from unconv.train.show.frechet import Gaussian, frechet_distance, gaussian

SAMPLES = 2000
# Of the noise that samples are judged by: the same after every epoch and in every training.
SEED = 0


def noise(count: int, seed: int) -> Float[Tensor, "count latent"]:
    """What pictures are made from: numbers uniform in [−1, 1), which follow from the seed alone.

    >>> noise(3, seed=1).shape, torch.equal(noise(3, seed=1)[:2], noise(2, seed=1))
    (torch.Size([3, 100]), True)
    """
    return torch.rand(count, LATENT, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def paint_samples(generator: nn.Module, latents: Float[Tensor, "count latent"]) -> Float[Tensor, "count channels h w"]:
    """The pictures of these latents, in [0, 1], a few hundred at a time, on the CPU."""
    device = where(generator)
    with torch.inference_mode():
        parts = [generator(part.to(device)).float().cpu() for part in torch.split(latents, EVALUATED_TOGETHER)]
    return torch.cat(parts).add(1).div(2).clamp(0, 1)


@dataclass(frozen=True, eq=False, repr=False)
class Seen(Shown):
    """What the classifier makes of pictures: ``features`` (count, 128) before the last layer, and the class of each."""

    features: Float[Tensor, "count features"]
    classes: Int64[Tensor, " count"]

    @property
    def shares(self) -> Float[Tensor, " classes"]:
        """The part of the pictures in each class."""
        return self.classes.bincount(minlength=10).double() / len(self.classes)


@dataclass(frozen=True, eq=False, repr=False)
class Reference(Shown):
    """Real pictures, to which samples are compared.

    Attributes:
        whole: their features as a distribution.
        of_halves: the distance of every other picture from the rest, of four pictures or more: what is no difference.
        stride_pattern: that of the first 2,000, at stride 2.
        skipped: pictures that could not be read, and why.
    """

    whole: Gaussian
    of_halves: float | None
    stride_pattern: float
    skipped: tuple[str, ...]


class Judge:
    """The classifier that comes with unconv (``zfnet-28``), as a judge of pictures.

    Args:
        margin: pixels on each side that frame pictures of 28×28 and are cut off again; 0: pictures are resized.
        clothes: whether they show what the classifier knows, so that shares of its classes mean something.
        samples: how many it asks of a generator.

    Raises UnconvError for fewer samples than two.

    >>> judge = Judge(margin=2)
    >>> seen = judge.look(torch.zeros(3, 1, 32, 32))
    >>> seen.features.shape, seen.classes.shape
    (torch.Size([3, 128]), torch.Size([3]))
    """

    def __init__(self, margin: int = 0, clothes: bool = True, samples: int = SAMPLES) -> None:
        if samples < 2:
            raise UnconvError(f"judge: {samples} samples have no covariance; ask for 2 at least")
        loaded = load_model("zfnet-28")
        assert isinstance(loaded.module, ZFNet28)
        self.network, self.preprocess = loaded.module, loaded.preprocess
        self.margin, self.clothes, self.samples = margin, clothes, samples
        self._known: tuple[Examples, Reference] | None = None

    def look(self, pictures: Float[Tensor, "count channels height width"]) -> Seen:
        """What the classifier makes of pictures in [0, 1]."""
        features, classes = [], []
        with torch.inference_mode():
            for part in torch.split(pictures, EVALUATED_TOGETHER):
                maps = self.network.features(self.preprocess.normalise(self._at_28(part)))
                hidden = self.network.classifier[:3](maps.flatten(1))
                features.append(hidden)
                classes.append(self.network.classifier[3:](hidden).argmax(1))
        return Seen(torch.cat(features), torch.cat(classes))

    def __call__(self, generator: nn.Module, held_out: Examples) -> tuple[dict[str, float], tuple[str, ...]]:
        """``distance`` of samples from real pictures; share of the ``rarest`` class, ``entropy`` of the shares.

        The entropy −Σ p ln p is ln 10 = 2.303 where all classes are equally frequent. Also tells which of the real
        pictures could not be read.
        """
        real = self.reference(held_out)
        return self.numbers(self.look(paint_samples(generator, noise(self.samples, SEED))), real.whole), real.skipped

    def numbers(self, seen: Seen, real: Gaussian) -> dict[str, float]:
        """The numbers of samples that were looked at."""
        told = {"distance": frechet_distance(gaussian(seen.features), real)}
        if self.clothes:
            shares = seen.shares.tolist()
            told["rarest"] = min(shares)
            told["entropy"] = sum(share * log(1 / share) for share in shares if share)
        return told

    def reference(self, held_out: Examples) -> Reference:
        """What the classifier makes of real pictures, looked at once."""
        if self._known is None or self._known[0] is not held_out:
            skipped: list[str] = []
            features, first = [], torch.empty(0)
            for part in _pictures(held_out, skipped):
                features.append(self.look(part).features)
                first = part if not len(first) else torch.cat([first, part[: SAMPLES - len(first)]])
            known = torch.cat(features)
            halves = (gaussian(known[::2]), gaussian(known[1::2])) if len(known) >= 4 else None
            reference = Reference(
                gaussian(known),
                None if halves is None else frechet_distance(*halves),
                stride_pattern(first, 2),
                tuple(skipped),
            )
            self._known = (held_out, reference)
        return self._known[1]

    def _at_28(self, pictures: Tensor) -> Tensor:
        if pictures.shape[1] == 3:
            pictures = torch.einsum("c,nchw->nhw", pictures.new_tensor(LUMA), pictures)[:, None]
        size = self.preprocess.size
        if self.margin:
            edge = slice(self.margin, -self.margin)
            return pictures[..., edge, edge]
        if pictures.shape[-2:] == size:
            return pictures
        return F.interpolate(pictures, size=size, mode="bilinear", align_corners=False, antialias=True)


def _pictures(held_out: Examples, skipped: list[str]) -> Iterator[Tensor]:
    for first in range(0, len(held_out), EVALUATED_TOGETHER):
        batch = held_out.fetch(range(first, min(first + EVALUATED_TOGETHER, len(held_out))))
        skipped.extend(batch.skipped)
        yield batch.inputs.add(1).div(2)
