"""The rule that picks a form of the transposed convolution: the least work, counted from shapes alone.

Why, and from which measurements: docs/decisions/0002-forms-of-the-transposed-convolution.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, prod
from typing import Literal

from unconv.operators.transpose_arguments import TransposeArguments
from unconv.operators.transpose_blocks import cut_into_blocks

Form = Literal["torch", "subpixel", "scatter", "gather"]

LANES = 16
"""float32 numbers in a vector register; with fewer output channels than that, lanes stay idle."""

MANY_CHANNELS = 2 * LANES
"""Output channels from which on hardly a lane stays idle."""

ADD = 60
"""Adding one number to another in memory, in multiply-adds at the rate of a matrix product."""

MOVE = 60
"""Moving one number to its place in the output, in the same unit."""

COPY = 40
"""Copying one input in another memory layout, in the same unit."""

CALLS = 2**22
"""The calls that a form needs beyond torch's one, in the same unit: some 50 µs."""

MARGIN = 1.4
"""How much less work than torch's a form must promise before it is taken."""


def choose_form(
    weight_shape: Sequence[int],
    arguments: TransposeArguments,
    channels_last: bool = True,
    positions: float = inf,
) -> Form:
    """The form with the least work for each of ``positions`` inputs (batch × size), by a count that sees shapes only.

    torch's kernels for the CPU (oneDNN) vectorise over the output channels: m of them take lanes(m) = 16·⌈m/16⌉, used
    or not. With C input channels, T = Π⌈k/s⌉ taps and S = m·Πs cells in a block, one input costs, in multiply-adds,

    * torch      C · Πk · lanes(m)
    * sub-pixel  C · T · lanes(S), moving S cells to their places, rearranging the kernel
    * scatter    C · lanes(m·Πk), adding T·S numbers, moving S cells
    * gather     C · T · S, copying T·C inputs (only where those are no more than the cells)

    Few output channels leave torch's lanes idle, and there the others win. Groups share nothing that could fill them.

    >>> arguments = TransposeArguments((2, 2), (1, 1), (0, 0), (1, 1), groups=1)
    >>> choose_form((64, 3, 4, 4), arguments), choose_form((128, 64, 4, 4), arguments)
    ('subpixel', 'torch')
    """
    channels, out, *kernel = weight_shape
    if arguments.groups > 1 or max(arguments.dilation) > 1 or out >= MANY_CHANNELS:
        return "torch"
    blocks = [cut_into_blocks(1, *axis) for axis in zip(kernel, *arguments[:4], strict=True)]
    taps, cells = prod([axis.taps for axis in blocks]), prod([axis.stride for axis in blocks]) * out
    crop = MOVE * cells / 2 if any(axis.cropped for axis in blocks) else 0
    weights = channels * out * prod(kernel)
    work: dict[Form, float] = {"scatter": channels * _lanes(out * prod(kernel)) + (ADD * taps + MOVE) * cells + crop}
    # oneDNN takes milliseconds to reorder the weight of a channels-last 1×1×1 convolution.
    if taps > 1 or len(kernel) < 3:
        relayout = 0 if channels_last else COPY * channels
        work["subpixel"] = channels * taps * _lanes(cells) + MOVE * (cells + weights / positions) + relayout + crop
    if taps * channels <= cells:
        # In two dimensions rows of blocks are written in place.
        shuffle = 0 if len(kernel) == 2 else MOVE * cells
        work["gather"] = channels * taps * cells + COPY * taps * channels + shuffle + crop
    best: Form = "torch"
    least = channels * prod(kernel) * _lanes(out) / MARGIN - CALLS / positions
    for form, amount in work.items():
        if amount < least:
            best, least = form, amount
    return best


def _lanes(channels: int) -> int:
    """Vector lanes that so many channels take."""
    return LANES * -(-channels // LANES)
