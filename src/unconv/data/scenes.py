"""Fashion scenes: real garments laid over real photographs, with the class of every pixel.

Garments are Fashion-MNIST's, backgrounds the photographs inside scikit-image, so that segmentation is trained and
measured without a download. Scenes of the test split show other garments before other photographs than those of the
training split. A scene follows from split, seed, number and size alone, see :func:`~unconv.data.philox.uniform`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

from unconv.data import fashion
from unconv.data.backdrops import Backdrops, backdrops
from unconv.data.philox import Numbers, between, uniform
from unconv.data.photos import photographs
from unconv.data.silhouettes import Silhouettes, silhouettes
from unconv.errors import ImageError
from unconv.results import Shown

VERSION = 1
SPLITS = {"train": 0, "test": 1}
NOISE_KEY = 2
WHITE = 255
SMALLEST, MAX_PIXELS = 16, 4_000_000
CLASSES = ("background", *fashion.CLASSES)
SIZE = (96, 96)
MOST_GARMENTS = 3

SIDES = (0.5, 0.9)
"""Side of a garment's picture, as a part of the scene's shorter side."""
TURN = 12.0
"""Most degrees that a garment is turned by."""
MARGIN = 0.2
"""How near to the border, as a part of the scene's side, the middle of a garment may lie."""
TINT, DARKEST = (0.5, 1.0), 0.2
"""Colour channels of a garment where it is white, and the most light of it where it is black."""
BACKGROUND_GAIN, LIGHT, NOISE = (0.7, 1.2), (0.8, 1.15), 0.04
"""Gains of the background's colour channels, of the light on the whole scene, most deviation of the noise."""

# So many are computed together: their layers stay in the cache.
TOGETHER = 32
OF_SCENE, OF_GARMENT, COUNT = 13, 11, 12


class Drawn(NamedTuple):
    """Scenes: pictures, and the number of the class of each pixel."""

    pictures: UInt8[Tensor, "batch 3 height width"]
    labels: UInt8[Tensor, "batch height width"]


@dataclass(frozen=True, eq=False, repr=False)
class Scenes(Shown):
    """Numbered scenes of one split, drawn when they are asked for.

    Attributes:
        split: ``"train"`` or ``"test"``.
        garments: what is laid over the backgrounds.
        backdrops: the backgrounds; their size is that of the scenes.
        noise: twice the scenes' height and width of normal numbers, of which each shows a part.
        seed: of all of them.
        source: where the garments were read from.
    """

    split: fashion.Split
    garments: Silhouettes
    backdrops: Backdrops
    noise: Float[Tensor, "3 rows columns"]
    seed: int = 0
    source: fashion.FashionSource | None = None

    def draw(self, numbers: Sequence[int], dressed: bool = True) -> Drawn:
        """The scenes of these numbers, each the same in whatever company; without their garments unless dressed.

        >>> pictures, labels = fashion_scenes("test").draw([5, 17])
        >>> pictures.shape, labels.shape, sorted({CLASSES[label] for label in labels[0].flatten()})
        (torch.Size([2, 3, 96, 96]), torch.Size([2, 96, 96]), ['Pullover', 'background'])
        """
        height, width = self.backdrops.size
        pictures = torch.empty(len(numbers), 3, height, width, dtype=torch.uint8)
        labels = torch.empty(len(numbers), height, width, dtype=torch.uint8)
        draws = uniform((self.seed, SPLITS[self.split]), numbers, OF_SCENE + OF_GARMENT * MOST_GARMENTS)
        order = np.argsort(-draws[:, COUNT], kind="stable")
        for first in range(0, len(numbers), TOGETHER):
            some = order[first : first + TOGETHER]
            composed, named = self._compose(draws[some], dressed)
            places = torch.from_numpy(some)
            pictures[places] = composed.clamp_(0, 1).mul_(WHITE).round_().to(torch.uint8)
            labels[places] = named
        return Drawn(pictures, labels)

    def fingerprint(self) -> dict[str, Any]:
        """What tells these scenes from others."""
        return {"Fashion scenes": VERSION, "split": self.split, "seed": self.seed, "size": list(self.backdrops.size)}

    def _compose(self, draws: Numbers, dressed: bool) -> tuple[Tensor, Tensor]:
        """Pictures in [0, 1] and labels of some draws."""
        height, width = self.backdrops.size
        scene, garments = draws[:, :OF_SCENE], draws[:, OF_SCENE:].reshape(len(draws), MOST_GARMENTS, OF_GARMENT)
        canvas = torch.from_numpy(self.backdrops.cut(scene[:, :4], scene[:, 4] < 0.5)).to(torch.float32)
        canvas *= column(between(BACKGROUND_GAIN, scene[:, 5:8]) / WHITE)[..., None, None]
        labels = torch.zeros(len(draws), height, width, dtype=torch.uint8)
        counts = 1 + (scene[:, COUNT] * MOST_GARMENTS).astype(np.int64)
        for layer in range(int(counts.max()) if dressed else 0):
            # Those with the most garments come first, see draw.
            having = int((counts > layer).sum())
            self._lay(garments[:having, layer], canvas[:having], labels[:having])
        canvas *= column(between(LIGHT, scene[:, 8]))[:, None, None, None]
        for picture, (deviation, down, right) in zip(canvas, scene[:, 9:12].tolist(), strict=True):
            top, left = int(down * height), int(right * width)
            picture.add_(self.noise[:, top : top + height, left : left + width], alpha=NOISE * deviation)
        return canvas, labels

    def _lay(self, draws: Numbers, canvas: Tensor, labels: Tensor) -> None:
        """Lay one garment over each scene."""
        first = self.garments.first.numpy()
        classes = (draws[:, 0] * (len(first) - 1)).astype(np.int64)
        chosen = first[classes] + (draws[:, 1] * (first[classes + 1] - first[classes])).astype(np.int64)
        layers = self.garments.layers[torch.from_numpy(chosen)].to(torch.float32).div_(WHITE)
        grid = where_from(draws[:, 2:7], self.backdrops.size)
        grey, cover = F.grid_sample(layers, grid, align_corners=False).unbind(1)
        inside = (cover > 0.5).to(torch.uint8)
        labels.mul_(1 - inside).add_(inside * torch.from_numpy(classes + 1).to(torch.uint8)[:, None, None])
        # From its outline to half a pixel of its own inside a garment turns opaque; outside nothing is touched.
        alpha = (2 * cover - 1).clamp_(0, 1)
        darkest = column(DARKEST * draws[:, 7])[:, None, None]
        shade = grey.div_(cover.clamp_(min=0.5)).mul_(1 - darkest).add_(darkest)
        tint = column(between(TINT, draws[:, 8:11]))[..., None, None]
        canvas.lerp_(tint * shade[:, None], alpha[:, None])


def where_from(draws: Numbers, size: tuple[int, int]) -> Float[Tensor, "batch height width 2"]:
    """For each pixel of a scene the place in the garment's picture that it shows, as ``grid_sample`` counts places.

    Args:
        draws: side, turn, down, right, mirrored of each garment, in [0, 1).
        size: height and width of the scene.

    >>> upright = np.array([[0.5, 0.5, 0.5, 0.5, 0.9]])  # in the middle, not mirrored
    >>> where_from(upright, (4, 4))[0, 0, :2].round(decimals=2)
    tensor([[-1.0700, -1.0700],
            [-0.3600, -1.0700]])
    """
    height, width = size
    side, turn, down, right, mirrored = draws.T
    scale = 2 / (between(SIDES, side) * min(size))
    angle = np.radians(TURN) * (2 * turn - 1)
    across, along = scale * np.cos(angle), scale * np.sin(angle)
    middle = between((MARGIN, 1 - MARGIN), down) * height - 0.5, between((MARGIN, 1 - MARGIN), right) * width - 0.5
    turned = np.where(mirrored < 0.5, -1.0, 1.0)
    factors = np.stack([turned * across, turned * along, -along, across], 1)
    rows, columns = (
        column(np.arange(length)[None] - place[:, None]) for length, place in zip(size, middle, strict=True)
    )
    x_right, x_down, y_right, y_down = column(factors).unbind(1)
    grid = torch.empty(len(draws), height, width, 2)
    for axis, (by_right, by_down) in enumerate(((x_right, x_down), (y_right, y_down))):
        torch.add((by_right[:, None] * columns)[:, None], (by_down[:, None] * rows)[:, :, None], out=grid[..., axis])
    return grid


def column(numbers: Numbers) -> Tensor:
    """Numbers as the canvas has them."""
    return torch.from_numpy(numbers).to(torch.float32)


def fashion_scenes(
    split: fashion.Split = "train",
    seed: int = 0,
    size: tuple[int, int] = SIZE,
    folder: fashion.Place = None,
) -> Scenes:
    """The scenes of one split.

    Args:
        split: ``"train"`` or ``"test"``: garments of this split of Fashion-MNIST before photographs of this split.
        seed: of the scenes.
        size: their height and width in pixels.
        folder: where Fashion-MNIST is, as for :func:`~unconv.data.fashion.find_fashion`.

    Raises ImageError where the folder has no Fashion-MNIST and for a size or a seed that is none, MissingExtraError
    without scikit-image.
    """
    if min(size) < SMALLEST or size[0] * size[1] > MAX_PIXELS:
        raise ImageError(
            f"scenes: size {size[0]}x{size[1]}; both sides must be at least {SMALLEST}, "
            f"and {MAX_PIXELS:,} pixels are the most"
        )
    if not 0 <= seed < 2**64:
        raise ImageError(f"scenes: seed {seed}; give a whole number from 0 to 2^64 - 1")
    garments = fashion.fashion(split, folder)
    grounds = backdrops(photographs(split), size)
    return Scenes(split, silhouettes(garments), grounds, normal_noise(size), seed, garments.source)


def normal_noise(size: tuple[int, int]) -> Float[Tensor, "3 rows columns"]:
    """Normal numbers, always the same, over twice the height and width.

    >>> noise = normal_noise((48, 64))
    >>> noise.shape, noise.mean().abs() < 0.02, (noise.std() - 1).abs() < 0.02
    (torch.Size([3, 96, 128]), tensor(True), tensor(True))
    """
    rows, columns = 2 * size[0], 2 * size[1]
    uniformly = uniform((0, NOISE_KEY), [0], 3 * rows * columns).reshape(3, rows, columns)
    # 0 would become −∞.
    normal: Tensor = torch.special.ndtri(torch.from_numpy(uniformly).clamp_(min=2**-53))
    return normal.to(torch.float32)
