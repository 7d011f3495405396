"""How well pixels are named: the confusion matrix, and what follows from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor

NOT_COUNTED = 255
"""The label of pixels that nobody is asked about, as PASCAL VOC has it."""

MOST_BYTES = 255
"""Classes that a byte can tell apart."""

CACHED = 2**18
"""Numbers that stay in the cache of a core while they are worked on."""


def confusion(
    predicted: Int64[Tensor, "batch height width"], targets: Int64[Tensor, "batch height width"], classes: int
) -> Float[Tensor, "batch classes classes"]:
    """Pixels of each picture by their class (row) and the class they were taken for (column).

    >>> confusion(torch.tensor([[[0, 1, 1, 1]]]), torch.tensor([[[0, 0, 1, 255]]]), classes=2)
    tensor([[[1., 1.],
             [0., 1.]]])
    """
    count = len(targets)
    cells = (torch.arange(count, device=targets.device)[:, None, None] * classes + targets) * classes + predicted
    # Pixels that do not count have a cell of their own behind all tables.
    last = count * classes * classes
    table = cells.where(targets != NOT_COUNTED, last).flatten().bincount(minlength=last + 1)[:last]
    return table.reshape(count, classes, classes).to(torch.float32)


def strongest(scores: Float[Tensor, "batch classes height width"]) -> Int64[Tensor, "batch height width"]:
    """The class of the largest score, the first of equals: ``scores.argmax(1)`` in a fraction of its time.

    >>> strongest(torch.tensor([[1.0, 2.0, 0.0], [3.0, 2.0, 0.0]])[None, :, None])
    tensor([[[1, 0, 0]]])
    """
    count, classes, height, width = scores.shape
    if classes > MOST_BYTES:
        return scores.argmax(1)
    # The largest of n, n − 1, … where the maximum is: of planes, and of bytes, that is found in no time.
    places = torch.arange(classes, 0, -1, dtype=torch.uint8, device=scores.device).view(-1, 1, 1)
    found = torch.empty(count, height, width, dtype=torch.int64, device=scores.device)
    for few in pieces(scores):
        planes = scores[few].contiguous()
        first = ((planes == planes.amax(1, keepdim=True)) * places).amax(1)
        found[few] = classes - first.to(torch.int64)
    # Where a score is not a number nothing is the maximum.
    return found.clamp_(max=classes - 1)


def pieces(scores: Float[Tensor, "batch classes height width"]) -> Iterator[slice]:
    """Pictures so few that their scores stay in a core's cache; all of them on another device.

    >>> list(pieces(torch.zeros(5, 11, 96, 96)))
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    count = len(scores)
    few = max(1, CACHED // max(1, scores[:1].numel())) if scores.is_cpu else max(1, count)
    return (slice(first, min(first + few, count)) for first in range(0, count, few))


def class_ious(table: Float[Tensor, "classes classes"]) -> Float[Tensor, " classes"]:
    """Intersection over union of each class: n_ii / (Σ_j n_ij + Σ_j n_ji − n_ii), section 4 of Long et al. (2015).

    NaN for a class that neither is there nor was seen.

    >>> class_ious(torch.tensor([[3.0, 1.0, 0.0], [0.0, 4.0, 0.0], [0.0, 0.0, 0.0]]))
    tensor([0.7500, 0.8000,    nan])
    """
    hits = table.diagonal()
    return hits / (table.sum(0) + table.sum(1) - hits)


def concluded(means: Mapping[str, Tensor], classes: Sequence[str]) -> dict[str, float]:
    """Loss, pixel accuracy, the mean of the classes' IoU, and each of these, from means over pictures.

    The mean is over classes that occur; one that neither is there nor was seen has no number.

    Args:
        means: ``"loss"``, and ``"confusion"`` (classes, classes).
        classes: their names.

    >>> means = {"loss": torch.tensor(0.5), "confusion": torch.tensor([[3.0, 1.0], [0.0, 4.0]])}
    >>> {name: round(value, 3) for name, value in concluded(means, ("ground", "shoe")).items()}
    {'loss': 0.5, 'pixel_accuracy': 0.875, 'miou': 0.775, 'iou/ground': 0.75, 'iou/shoe': 0.8}
    """
    table = means["confusion"]
    ious = class_ious(table)
    told = {
        "loss": float(means["loss"]),
        "pixel_accuracy": float(table.diagonal().sum() / table.sum()),
        "miou": float(ious.nanmean()),
    }
    by_class = {f"iou/{name}": iou for name, iou in zip(classes, ious.tolist(), strict=True) if iou == iou}
    return {**told, **by_class}
