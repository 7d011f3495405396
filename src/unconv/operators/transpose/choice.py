"""Choice of form: the one of the transposed convolution with the least work, counted from shapes alone.

What the constants were fitted to, and how well: docs/decisions/0002-forms-of-the-transposed-convolution.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Literal

from unconv.operators.transpose.arguments import TransposeArguments
from unconv.operators.transpose.blocks import Blocks, cut_into_blocks

Form = Literal["torch", "subpixel", "mixed", "scatter", "gather"]

LANES = 16
"""float32 numbers in a vector register; with fewer output channels than that, lanes stay idle."""

MANY_CHANNELS = 2 * LANES
"""Output channels from which on hardly a lane stays idle."""

FEW_CHANNELS = LANES // 2
"""Input channels below which a product has too little to do for its cost to be counted like this."""

# Costs, in multiply-adds of a matrix product:
READ = 24
"""Bringing one input into a product."""
ADD = 75
"""Adding one number to another in memory."""
MOVE = 110
"""Moving one number of the output to its place."""
RELAYOUT = 60
"""Turning one input of a contiguous tensor from planes of channels to pixels of channels, as oneDNN does."""
UNPACK = 250
"""Turning one output of torch's transposed convolution back into planes; of its convolution, half of that."""
TRANSPOSE = 20
"""Reading one channels-last input as planes."""
REARRANGE = 700
"""Sorting one weight by phase."""
CALL = 1e6
"""One more addition or product in a loop, once: some 5 µs."""
CALLS = 15 * CALL
"""The calls that every form needs beyond torch's one."""

PIECE = 2**22
"""Numbers in the planes of one piece of the scatter form, 16 MB of float32: beyond 32 MB, the C library returns memory
to the system after every call, and asking for it again costs more than the arithmetic."""

ONE_DNN_INPUT = 20480
"""A single input of this many numbers or fewer (batch × channels × first two axes) is too small for torch to give a
convolution to oneDNN."""

MARGIN = 1.2
"""How much less work than torch's a form must promise before it is taken."""


def choose_form(
    weight_shape: Sequence[int],
    arguments: TransposeArguments,
    channels_last: bool = True,
    input_shape: Sequence[int] | None = None,
) -> Form:
    """The form with the least work, by a count that sees shapes only.

    torch's kernels for the CPU (oneDNN) vectorise over the output channels: m of them take lanes(m) = 16·⌈m/16⌉, used
    or not. With C input channels, T = Π⌈k/s⌉ taps, t of them along the last axis, and S = m·Πs cells in a block, the
    products for one input cost

    * torch      C · Πk · lanes(m)
    * sub-pixel  C · T · lanes(S), and S cells are moved to their places
    * mixed      C · T/t · lanes(t·S), and t·S numbers are added
    * scatter    C · lanes(T·S), T·S numbers are added and S cells moved
    * gather     C · T · S, with T·C inputs copied; only where those are no more than the cells

    Few output channels leave torch's lanes idle, and there the others win. Groups share nothing that could fill them.
    With ``input_shape`` (batch, in, *size) the cost of the calls themselves counts; without, the input is taken to be
    large, as in a graph that is compiled for all sizes.

    >>> arguments = TransposeArguments((2, 2), (1, 1), (0, 0), (1, 1), groups=1)
    >>> choose_form((64, 3, 4, 4), arguments), choose_form((128, 64, 4, 4), arguments)
    ('subpixel', 'torch')
    >>> choose_form((64, 3, 4, 4), arguments, input_shape=(1, 64, 8, 8))
    'torch'
    """
    channels, out, *kernel = weight_shape
    if arguments.groups > 1 or max(arguments.dilation) > 1 or out >= MANY_CHANNELS or channels < FEW_CHANNELS:
        return "torch"
    blocks = [cut_into_blocks(1, *axis) for axis in zip(kernel, *arguments.spatial, strict=True)]
    work = _work_for_each_input(channels, out, blocks, channels_last)
    if input_shape is not None:
        once = _work_once(weight_shape, blocks, input_shape)
        inputs = prod(input_shape) / channels
        if input_shape[0] == 1 and prod(input_shape[:4]) <= ONE_DNN_INPUT:
            once["subpixel"] = once["mixed"] = float("inf")
        work = {form: amount + once[form] / inputs for form, amount in work.items()}
    cells = prod([axis.stride for axis in blocks]) * out
    relayout = 0 if channels_last else RELAYOUT * channels + UNPACK * cells
    best: Form = "torch"
    least = (channels * (READ + prod(kernel) * _lanes(out)) + relayout) / MARGIN
    for form, amount in work.items():
        if amount < least:
            best, least = form, amount
    return best


def _work_for_each_input(channels: int, out: int, blocks: list[Blocks], channels_last: bool) -> dict[Form, float]:
    axes, last = len(blocks), blocks[-1].taps
    taps, cells = prod([axis.taps for axis in blocks]), prod([axis.stride for axis in blocks]) * out
    crop = MOVE / 2 * cells if max(axis.cropped for axis in blocks) else 0
    read, shuffle = READ * channels + crop, MOVE * cells
    relayout = 0 if channels_last else RELAYOUT * channels + UNPACK / 2 * cells
    transpose = TRANSPOSE * channels if channels_last and axes > 1 else 0
    work: dict[Form, float] = {
        "scatter": read + channels * _lanes(taps * cells) + ADD * taps * cells + shuffle + transpose
    }
    # oneDNN takes milliseconds to reorder the weight of a channels-last 1×1×1 convolution.
    if taps > 1 or axes < 3:
        work["subpixel"] = read + channels * taps * _lanes(cells) + shuffle + relayout
    if axes > 1 and (taps > last or axes < 3):
        added = ADD * last * cells + (0 if channels_last else shuffle)
        work["mixed"] = read + channels * (taps // last) * _lanes(last * cells) + added + relayout
    if taps * channels <= cells:
        # In two dimensions channels-last rows of blocks are written in place.
        placed = 0 if axes == 2 and channels_last else 2 * shuffle
        work["gather"] = crop + channels * taps * cells + RELAYOUT * taps * channels + placed
    return work


def _work_once(weight_shape: Sequence[int], blocks: list[Blocks], input_shape: Sequence[int]) -> dict[Form, float]:
    """Calls, the rearranged weight, and pieces that have to be laid together, for all inputs together."""
    rearranged = REARRANGE * prod(weight_shape)
    taps, inputs = [axis.taps for axis in blocks], prod(input_shape) / weight_shape[0]
    cells = prod([axis.stride for axis in blocks]) * weight_shape[1]
    in_pieces = prod(taps) * cells * inputs > PIECE
    return {
        "subpixel": CALLS + rearranged,
        "mixed": CALLS + CALL * taps[-1] + rearranged,
        "scatter": CALLS + CALL * sum(taps) + (MOVE * cells * inputs if in_pieces else 0),
        "gather": CALLS + CALL * inputs / input_shape[-1],
    }


def _lanes(channels: int) -> int:
    """Vector lanes that so many channels take."""
    return LANES * -(-channels // LANES)
