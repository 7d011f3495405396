"""Confusion by class: how rightly classes are told apart, and the kernels that were learned for it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from unconv.data.arrays import save_image
from unconv.data.mosaic import columns_for, enlarge, kernel_picture, mosaic
from unconv.errors import UnconvError
from unconv.train.data.examples import Examples
from unconv.train.loop.trainer import evaluate

CELL = 10
"""Side of one weight in the picture of the kernels, in pixels."""


def confusion_matrix(network: nn.Module, examples: Examples, classes: int) -> Int64[Tensor, "classes classes"]:
    """Pictures by their class (row) and the class that the network takes them for (column).

    >>> from unconv.train.data.examples import TensorExamples
    >>> examples = TensorExamples(torch.eye(3)[[0, 1, 1, 2]], torch.tensor([0, 1, 2, 2]))
    >>> confusion_matrix(nn.Identity(), examples, classes=3)
    tensor([[1, 0, 0],
            [0, 1, 0],
            [0, 1, 1]])
    """
    table = torch.zeros(classes * classes, dtype=torch.int64)

    def count(outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        cells = targets * classes + outputs.argmax(1)
        table.add_(cells.cpu().bincount(minlength=classes * classes))
        return {"counted": torch.ones(len(targets))}

    evaluate(network, count, examples)
    return table.reshape(classes, classes)


class Share(NamedTuple):
    """What became of a class: how much of it was named rightly, and for what else it was taken most often."""

    right: float
    taken_for: int | None
    share: float


def shares(table: Int64[Tensor, "classes classes"]) -> list[Share | None]:
    """For each class of a confusion matrix what became of its pictures; None for one of which there were none.

    >>> shares(torch.tensor([[8, 2, 0], [0, 5, 0], [0, 0, 0]]))
    [Share(right=0.8, taken_for=1, share=0.2), Share(right=1.0, taken_for=None, share=0.0), None]
    """
    told: list[Share | None] = []
    for number, row in enumerate(table):
        if not row.any():
            told.append(None)
            continue
        part = row.double() / row.sum()
        right = float(part[number])
        part[number] = 0
        most = int(part.argmax())
        told.append(Share(right, most if part[most] else None, float(part[most])))
    return told


def first_kernels(network: nn.Module) -> Float[Tensor, "kernels channels height width"]:
    """The weights of a network's first two-dimensional convolution, in the order of its modules.

    Raises UnconvError where there is none.

    >>> first_kernels(nn.Sequential(nn.Conv2d(1, 6, 5), nn.Conv2d(6, 16, 5))).shape
    torch.Size([6, 1, 5, 5])
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            return module.weight.detach().cpu().float()
    raise UnconvError(f"plot: {type(network).__name__} has no two-dimensional convolution whose kernels could be drawn")


def draw_kernels(network: nn.Module, path: Path) -> Path:
    """Draw the kernels of the first convolution into a picture file, each scaled by itself: 0 is mid-grey.

    Kernels of three channels are in colour; of other numbers their channels stand side by side.

    Raises UnconvError where there is no convolution or the file cannot be written.

    >>> import tempfile
    >>> draw_kernels(nn.Conv2d(1, 6, 5), Path(tempfile.mkdtemp()) / "kernels.png").name
    'kernels.png'
    """
    pictures = [enlarge(kernel_picture(kernel), CELL) for kernel in first_kernels(network)]
    height, width = pictures[0].shape[:2]
    board = mosaic(pictures, columns_for(len(pictures), width, height), gap=CELL // 2)
    return save_image(board.permute(2, 0, 1), path)
