"""The loss of scores for pixels: cross-entropy, and the soft intersection over union, with the gradient of both.

Thousands of pixels times classes are walked through in every step, by torch's functions for a third of the time that
a small network takes to make them. So :class:`PixelLoss` has value and gradient from one softmax: on a CPU in C++, a
picture at a time, whose planes stay in the cache; elsewhere written over in place. :func:`cross_entropy` and
:func:`soft_jaccard` are the same to be read and compared.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor
from torch.autograd.function import once_differentiable

from unconv import _native
from unconv.train.data.label_images import NOT_COUNTED
from unconv.train.show.confusion import by_pixel


def pixel_loss(
    scores: Float[Tensor, "batch classes height width"],
    targets: Int64[Tensor, "batch height width"],
    weights: Float[Tensor, " classes"] | None = None,
    jaccard: float = 0.0,
) -> Float[Tensor, " batch"]:
    """:func:`cross_entropy` + ``jaccard`` · (1 − :func:`soft_jaccard`) of each picture, in float32 or float64.

    Args:
        scores: before the softmax, in any dtype and layout.
        targets: numbers of the classes; 255 is not counted.
        weights: one a class, of the first part.
        jaccard: weight of the second part.

    >>> scores = torch.tensor([[2.0, 0.0], [0.0, 0.0]])[None, :, None]  # two classes, a row of two pixels
    >>> pixel_loss(scores, torch.tensor([[[0, 255]]]), jaccard=1.0)
    tensor([0.2461])
    """
    found: Tensor = PixelLoss.apply(scores, targets, weights, jaccard)
    return found


def cross_entropy(
    scores: Float[Tensor, "batch classes height width"],
    targets: Int64[Tensor, "batch height width"],
    weights: Float[Tensor, " classes"] | None = None,
) -> Float[Tensor, " batch"]:
    """Σ w_t · (−log softmax(s)_t) / Σ w_t over the pixels of a picture whose target t is not 255, w = 1 unless given.

    0 where no pixel counts.

    >>> cross_entropy(torch.zeros(1, 2, 1, 3), torch.tensor([[[0, 1, 255]]]))
    tensor([0.6931])
    """
    if weights is not None:
        weights = weights.to(scores)
    losses = F.cross_entropy(scores, targets, weights, ignore_index=NOT_COUNTED, reduction="none")
    counted = targets != NOT_COUNTED
    each = counted.to(scores.dtype) if weights is None else weights[targets.where(counted, 0)] * counted
    return losses.sum((1, 2)) / each.sum((1, 2)).clamp(min=torch.finfo(scores.dtype).tiny)


def soft_jaccard(
    scores: Float[Tensor, "batch classes height width"], targets: Int64[Tensor, "batch height width"]
) -> Float[Tensor, " batch"]:
    """The mean of Σ p y / Σ (p + y − p y) over the classes that a picture has, p = softmax(s) and y where the class is.

    The intersection over union with probabilities in the place of decisions (Rahman & Wang 2016), of the
    pixels that count; 1 where none does.

    >>> scores = torch.tensor([[100.0, 100.0], [0.0, 0.0]])[None, :, None]  # the first class for sure, in both pixels
    >>> soft_jaccard(scores, torch.tensor([[[0, 1]]]))
    tensor([0.2500])
    """
    counted = (targets != NOT_COUNTED)[:, None]
    chances = scores.softmax(1) * counted
    places = torch.zeros_like(chances).scatter_(1, targets[:, None].where(counted, 0), counted.to(scores.dtype))
    pixels = places.sum((2, 3))
    met = (chances * places).sum((2, 3))
    there = pixels > 0
    each = met / (chances.sum((2, 3)) + pixels - met).where(there, 1)
    return ((each * there).sum(1) / there.sum(1).clamp(min=1)).where(there.any(1), 1)


class PixelLoss(torch.autograd.Function):
    """Value and gradient together; see :func:`pixel_loss`."""

    @staticmethod
    def forward(ctx: Any, scores: Tensor, targets: Tensor, weights: Tensor | None, jaccard: float) -> Tensor:
        """The loss; its gradient is kept, in the layout of the scores."""
        dtype = torch.promote_types(scores.dtype, torch.float32)
        if weights is not None:
            weights = weights.to(scores.device, dtype)
        walk = _walked_on_cpu if scores.is_cpu else _walked
        losses, gradient = walk(scores.detach().to(dtype), targets, weights, jaccard, ctx.needs_input_grad[0])
        if gradient is not None:
            ctx.save_for_backward(gradient.to(scores.dtype))
        return losses

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, ...]:
        """The gradient of each picture, times its factor."""
        (gradient,) = ctx.saved_tensors
        return gradient * outer[0].to(gradient.dtype)[:, None, None, None], None, None, None


def _walked_on_cpu(
    scores: Tensor, targets: Tensor, weights: Tensor | None, jaccard: float, wanted: bool
) -> tuple[Tensor, Tensor | None]:
    """The losses of pictures, and their gradient in the layout of the scores, where it is wanted."""
    planes = by_pixel(scores)
    losses = scores.new_empty(len(scores))
    slopes = torch.empty_like(planes) if wanted else None
    truth = targets.flatten(1).contiguous()
    _native.pixel_loss(planes, truth, weights, jaccard, torch.get_num_threads(), losses, slopes)
    return losses, None if slopes is None else slopes.view(scores.shape)


def _walked(
    scores: Tensor, targets: Tensor, weights: Tensor | None, jaccard: float, wanted: bool
) -> tuple[Tensor, Tensor | None]:
    """The same on any device."""
    planes, targets = scores.flatten(2).clone(memory_format=torch.contiguous_format), targets.flatten(1)
    counted = targets != NOT_COUNTED
    truth = targets.where(counted, 0)
    own = truth[:, None]
    numbers = counted.to(planes.dtype)
    each = numbers if weights is None else weights[truth] * numbers
    part = (each / each.sum(1, keepdim=True).clamp(min=torch.finfo(planes.dtype).tiny))[:, None]

    planes -= planes.amax(1, keepdim=True)
    chosen = planes.gather(1, own)
    chances = planes.exp_()
    total = chances.sum(1, keepdim=True)
    loss = (part * (total.log() - chosen)).sum((1, 2))
    if not wanted and not jaccard:
        return loss, None
    chances /= total
    slopes = None
    if jaccard:
        overlap, *slopes = _overlap(chances, truth, numbers)
        loss = loss + jaccard * (1 - overlap)
    if not wanted:
        return loss, None
    # Through p = softmax(s), ∂/∂s = p (g − Σ p g) for ∂/∂p = g; of the cross-entropy that is p − 1 at the truth.
    if slopes is None:
        chances *= part
    else:
        # g = a where the class is, b where it is not: Σ p g = Σ p b + p_t (a_t − b_t), for pixels that count.
        there, elsewhere = (-jaccard * one for one in slopes)
        more = chances.gather(1, own) * (there - elsewhere).gather(1, truth)[:, None] * numbers[:, None]
        along = elsewhere[:, None] @ chances * numbers[:, None]
        chances *= torch.baddbmm(part - along - more, elsewhere[:, :, None], numbers[:, None])
        chances.scatter_add_(1, own, more)
    return loss, torch.empty_like(scores).copy_(chances.scatter_add_(1, own, -part).view(scores.shape))


def _overlap(chances: Tensor, truth: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """:func:`soft_jaccard`, and its derivatives by the chance of a class: where the class is, and where it is not."""
    zeros = chances.new_zeros(chances.shape[:2])
    pixels = zeros.scatter_add(1, truth, numbers)
    met = zeros.scatter_add(1, truth, chances.gather(1, truth[:, None])[:, 0] * numbers)
    there = pixels > 0
    union = ((chances * numbers[:, None]).sum(2) + pixels - met).where(there, 1)
    count = there.sum(1, keepdim=True)
    share = there / count.clamp(min=1)
    overlap = (met / union * share).sum(1).where(count[:, 0] > 0, 1)
    return overlap, share / union, -share * met / union.square()
