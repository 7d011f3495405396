"""Confusion matrix of pixels, and the intersection over union that follows from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from unconv import _native
from unconv.train.data.label_images import NOT_COUNTED


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


def confusion_of(
    scores: Float[Tensor, "batch classes height width"], targets: Int64[Tensor, "batch height width"]
) -> Float[Tensor, "batch classes classes"]:
    """:func:`confusion` of the classes with the largest scores, the first of equals.

    >>> confusion_of(torch.tensor([[1.0, 2.0, 0.0], [3.0, 2.0, 0.0]])[None, :, None], torch.tensor([[[0, 0, 255]]]))
    tensor([[[1., 1.],
             [0., 0.]]])
    """
    count, classes, *_ = scores.shape
    if not scores.is_cpu:
        return confusion(scores.argmax(1), targets, classes)
    planes = by_pixel(scores.detach().to(torch.promote_types(scores.dtype, torch.float32)))
    tables = torch.zeros(count, classes, classes)
    _native.confusion(planes, targets.flatten(1).contiguous(), torch.get_num_threads(), tables)
    return tables


def by_pixel(scores: Float[Tensor, "batch classes height width"]) -> Float[Tensor, "batch classes pixels"]:
    """Scores with one step from pixel to pixel, as C++ reads them: a view, of planes or of channels last.

    >>> by_pixel(torch.zeros(2, 3, 4, 5).contiguous(memory_format=torch.channels_last)).stride()
    (60, 1, 3)
    """
    if not scores.is_contiguous(memory_format=torch.channels_last):
        scores = scores.contiguous()
    return scores.flatten(2)


def class_ious(table: Float[Tensor, "classes classes"]) -> Float[Tensor, " classes"]:
    """Intersection over union of each class: n_ii / (Σ_j n_ij + Σ_j n_ji − n_ii), section 4 of Long et al. (2015).

    NaN for a class that neither is there nor was seen.

    >>> class_ious(torch.tensor([[3.0, 1.0, 0.0], [0.0, 4.0, 0.0], [0.0, 0.0, 0.0]]))
    tensor([0.7500, 0.8000,    nan])
    """
    hits = table.diagonal()
    return hits / (table.sum(0) + table.sum(1) - hits)


def conclude_confusion(means: Mapping[str, Tensor], classes: Sequence[str]) -> dict[str, float]:
    """Loss, pixel accuracy, the mean of the classes' IoU, and each of these, from means over pictures.

    The mean is over classes that occur; one that neither is there nor was seen has no number.

    Args:
        means: ``"loss"``, and ``"confusion"`` (classes, classes).
        classes: their names.

    >>> means = {"loss": torch.tensor(0.5), "confusion": torch.tensor([[3.0, 1.0], [0.0, 4.0]])}
    >>> {name: round(value, 3) for name, value in conclude_confusion(means, ("ground", "shoe")).items()}
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
