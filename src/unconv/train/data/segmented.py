"""Data for semantic segmentation: Fashion scenes, or the user's pictures with their masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any

import torch
from torch import Tensor

from unconv.data.arrays import LUMA
from unconv.data.fashion import FashionSource, find_fashion, holds_fashion
from unconv.data.scenes import CLASSES, SIZE, Scenes, fashion_scenes
from unconv.errors import UnconvError
from unconv.jobs import fingerprint_arrays
from unconv.models.load.preprocess import Preprocess
from unconv.results import Shown
from unconv.train.data.examples import WHITE, Batch
from unconv.train.data.masked import Masked, masked_pictures

SCENES = "scenes"
TEST_SEED, TEST_COUNT = 0, 500
# Enough of them for the part of the pixels that each class has.
COUNTED = 500


@dataclass(frozen=True, eq=False, repr=False)
class SceneExamples(Shown):
    """The first so many of numbered scenes, drawn whenever they are fetched.

    Attributes:
        scenes: of one split and size.
        count: how many.
        prepare: mean and deviation are the network's; one channel: grey.
    """

    scenes: Scenes
    count: int
    prepare: Preprocess

    def __len__(self) -> int:
        return self.count

    def fetch(self, numbers: Sequence[int]) -> Batch:
        """The scenes of these numbers."""
        pictures, labels = self.scenes.draw(numbers)
        inputs = pictures.to(torch.float32).div_(WHITE)
        if len(self.prepare.mean) == 1:
            inputs = torch.einsum("c,bchw->bhw", inputs.new_tensor(LUMA), inputs)[:, None]
        return Batch(self.prepare.normalise(inputs), labels.to(torch.int64))

    def fingerprint(self) -> Any:
        """Version, split, seed and size of the scenes, and the garments and photographs that they are made of."""
        garments, levels = self.scenes.garments.layers, self.scenes.backdrops.levels
        return {
            **self.scenes.fingerprint(),
            **fingerprint_arrays(garments=garments, backgrounds=[level for picture in levels for level in picture]),
            "count": self.count,
        }


@dataclass(frozen=True)
class FashionScenes:
    """Fashion scenes to train on, and others to measure on: the same 500 whatever the seed.

    Attributes:
        source: where the garments are read from.
        seed: of the scenes that are trained on.
        count: how many different ones.
    """

    source: FashionSource
    seed: int
    count: int

    classes = CLASSES

    @property
    def name(self) -> str:
        """What they are, as a phrase."""
        return "Fashion scenes" if self.source.folder is not None else f"Fashion scenes of {self.source.name}"

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should be told who has not named the garments."""
        return self.source.notes

    def prepared(self, preprocess: Preprocess) -> tuple[SceneExamples, SceneExamples]:
        """Those to train on and those held out, as a network wants them."""
        size = (preprocess.size[-2], preprocess.size[-1])
        train = fashion_scenes("train", self.seed, size, self.source)
        test = fashion_scenes("test", TEST_SEED, size, self.source)
        return SceneExamples(train, self.count, preprocess), SceneExamples(test, TEST_COUNT, preprocess)

    def pixels(self) -> tuple[int, ...]:
        """How many pixels each class has in 500 scenes."""
        labels = fashion_scenes("train", self.seed, SIZE, self.source).draw(range(COUNTED)).labels
        return tuple(labels.flatten().bincount(minlength=len(CLASSES)).tolist())


def segmented(data: str | PathLike[str] = SCENES, seed: int = 0, scenes: int = 6000) -> FashionScenes | Masked:
    """Find pictures of which the class of every pixel is known.

    Args:
        data: ``"scenes"``: Fashion scenes, of Fashion-MNIST from where :func:`~unconv.data.fashion.find_fashion` finds
            it; ``"scenes:DIR"``, or a folder with Fashion-MNIST alone: the same of what is there; or a folder with
            pictures and masks, see :func:`~unconv.train.data.masked.masked_pictures`.
        seed: of the scenes, or of the choice of what is held out.
        scenes: how many different ones.

    Raises ImageError where there is nothing of the kind, UnconvError for no scenes.

    >>> segmented("scenes", scenes=100).classes[:3]
    ('background', 'T-shirt/top', 'Trouser')
    """
    if scenes < 1:
        raise UnconvError(f"train: {scenes} scenes; give 1 or more")
    if str(data) == SCENES:
        return FashionScenes(find_fashion(), seed, scenes)
    kind, colon, folder = str(data).partition(":")
    if colon and kind == SCENES:
        return FashionScenes(find_fashion(folder), seed, scenes)
    if holds_fashion(data):
        return FashionScenes(find_fashion(data), seed, scenes)
    return masked_pictures(data, seed)


def balanced(pixels: Sequence[int]) -> Tensor:
    """Weights of classes in inverse proportion to their pixels: Σ n / (classes · n), as scikit-learn has it.

    >>> balanced([30, 10])
    tensor([0.6667, 2.0000])
    """
    counts = torch.tensor(pixels, dtype=torch.float64)
    return (counts.sum() / (len(counts) * counts)).to(torch.float32)
