"""Packs the part of Fashion-MNIST that comes with the package: ``python tools/pack_garments.py DIR``.

DIR has the published files. Of each split the first garments of every class are taken, as many of each, and stay in
their order. The checksums that are printed, of pictures and labels
themselves, are those in ``src/unconv/data/shipped/README.md``; they do not depend on how the PNG was compressed.
"""

from __future__ import annotations

import hashlib
import sys

import torch

from unconv.data.fashion import CLASSES, EMBEDDED, SHIPPED, Fashion, whole_fashion
from unconv.data.fashion_files.sheets import write_sheet
from unconv.errors import ImageError


def balanced_part(garments: Fashion, count: int) -> Fashion:
    """The first garments of every class, in the order that they have."""
    each = count // len(CLASSES)
    chosen = [(garments.labels == number).nonzero()[:each, 0] for number in range(len(CLASSES))]
    order = torch.cat(chosen).sort().values
    return Fashion(garments.images[order], garments.labels[order])


def main(folder: str) -> None:
    """Pack both splits, and print what was packed."""
    source = whole_fashion(folder)
    for split in ("train", "test"):
        part = balanced_part(source.read(split), EMBEDDED[split])
        images, labels = part.images[:, 0], part.labels.to(torch.uint8)
        path = SHIPPED / f"fashion-{split}.png"
        write_sheet(path, images, labels)
        content = images.numpy().tobytes() + labels.numpy().tobytes()
        print(f"{path.name}: {len(labels):,} garments, {path.stat().st_size:,} bytes, sha256 of what it holds")
        print(hashlib.sha256(content).hexdigest())


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("python tools/pack_garments.py DIR, where DIR has Fashion-MNIST's files")
    try:
        main(sys.argv[1])
    except ImageError as error:
        sys.exit(str(error))
