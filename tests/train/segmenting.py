"""What tests of segmentation share: garments that are rectangles, tiny networks in a file, folders of masks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from unconv.data.fashion_files.idx import write_idx

NETWORKS = """
import torch
from torch import nn


class Tiny(nn.Module):
    def __init__(self, classes=11, channels=3):
        super().__init__()
        self.conv = nn.Conv2d(channels, 8, 5, padding=2)
        self.norm = nn.BatchNorm2d(8)
        self.drop = nn.Dropout(0.1)
        self.score = nn.Conv2d(8, classes, 1)

    def forward(self, x):
        return self.score(self.drop(self.norm(self.conv(x)).relu()))


class Told(Tiny):
    def forward(self, x):
        scores = super().forward(x)
        return {"out": scores, "aux": 0.5 * scores}


def tiny():
    torch.manual_seed(3)
    return Tiny()


def told():
    torch.manual_seed(3)
    return Told()


def three():
    torch.manual_seed(3)
    return Tiny(3)


def grey():
    return Tiny(channels=1)


def small():
    return nn.Sequential(Tiny(), nn.AvgPool2d(2))


def whole():
    return nn.Sequential(Tiny(), nn.AdaptiveAvgPool2d(1), nn.Flatten())


def other():
    class Other(Tiny):
        def forward(self, x):
            return {"logits": super().forward(x)}
    return Other()
"""


def write_networks(folder: Path) -> Path:
    path = folder / "net.py"
    path.write_text(NETWORKS)
    return path


def write_garments(folder: Path, count: int = 30) -> Path:
    """Fashion-MNIST's files with rectangles in them, wider and brighter from class to class."""
    folder.mkdir(parents=True, exist_ok=True)
    for split in ("train", "t10k"):
        labels = np.arange(count, dtype=np.uint8) % 10
        images = np.zeros((count, 28, 28), np.uint8)
        for image, label in zip(images, labels, strict=True):
            image[4:24, 4 : 10 + 2 * label] = 80 + 15 * label
        write_idx(folder / f"{split}-images-idx3-ubyte.gz", images)
        write_idx(folder / f"{split}-labels-idx1-ubyte.gz", labels)
    return folder


def write_masks(folder: Path, count: int = 6, classes: int = 3, size: tuple[int, int] = (12, 16)) -> Path:
    """Pictures of bands, and their masks as PNG: even ones grey, odd ones with a palette."""
    rng = np.random.default_rng(0)
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for number in range(count):
        labels = rng.permutation(np.arange(size[0]) * classes // size[0])[:, None].repeat(size[1], 1).astype(np.uint8)
        labels[0, 0] = 255
        picture = (60 * labels[..., None] + rng.integers(0, 40, (*size, 3))).astype(np.uint8)
        Image.fromarray(picture).save(folder / "images" / f"p{number}.jpg", quality=95)
        mask = Image.fromarray(labels)
        if number % 2:
            mask.putpalette([value for colour in range(256) for value in (colour, 255 - colour, 7)])
        mask.save(folder / "masks" / f"p{number}.png")
    return folder
