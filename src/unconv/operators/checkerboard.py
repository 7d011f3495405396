"""Checkerboard artifacts: where the stride of a transposed convolution shows in what it returns.

A transposed convolution writes every s-th output cell with the same taps of its kernel, its *phase*. Where phases
write different amounts, a constant input comes out as a pattern of period s. Three things are measured here, from
cause to effect: how many taps each cell receives (:func:`overlap`, Odena, Dumoulin & Olah 2016), how much each phase
of actual weights passes of a constant (:func:`phase_gains`, Sugawara, Shiota & Kiya 2018), and how strong the pattern
is in an actual output, or in the gradient of a strided convolution, a transposed one (:func:`stride_pattern`).
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from unconv.arguments import tell_wrong_arguments
from unconv.errors import GeometryError, UnconvError
from unconv.operators.geometry.conv import ConvTransposeGeometry
from unconv.operators.geometry.sizes import Size, per_axis


def overlap(geometry: ConvTransposeGeometry) -> Int[Tensor, "*output_size"]:
    """How many taps are added up in each output cell (Odena, Dumoulin & Olah 2016).

    Unequal numbers away from the borders are what :attr:`ConvTransposeGeometry.uneven_overlap` says.

    >>> overlap(ConvTransposeGeometry(input_size=4, kernel_size=3, stride=2)).tolist()
    [1, 1, 2, 1, 2, 1, 2, 1, 1]
    """
    counts = torch.ones((), dtype=torch.int64)
    rows = zip(
        geometry.input_size,
        geometry.kernel_size,
        geometry.stride,
        geometry.padding,
        geometry.dilation,
        geometry.output_size,
        strict=True,
    )
    for inputs, kernel, step, (before, _), holes, outputs in rows:
        cells = torch.arange(inputs)[:, None] * step + torch.arange(kernel) * holes - before
        inside = cells[(cells >= 0) & (cells < outputs)]
        counts = counts[..., None] * inside.bincount(minlength=outputs)
    return counts


@tell_wrong_arguments
def phase_gains(
    weight: Float[Tensor, "in out *kernel"], stride: Size, dilation: Size = 1
) -> Float[Tensor, "in out *stride"]:
    """What each phase of a transposed convolution passes of a constant input: the sum of the taps that write it.

    g[r] = Σ w[u] over all taps u with d·u ≡ r (mod s). Padding only turns the phases round. A strided convolution's
    weights, as torch stores them, give the phases of its gradient.

    Args:
        weight: as torch stores that of a transposed convolution.
        stride: an int, or one per axis.
        dilation: the same.

    >>> phase_gains(torch.ones(1, 1, 3), stride=2)
    tensor([[[2., 1.]]])
    """
    steps, holes = _spelled(weight, stride, dilation)
    gains = weight
    for axis, (step, hole) in enumerate(zip(steps, holes, strict=True), start=2):
        phases = torch.arange(gains.shape[axis], device=gains.device) * hole % step
        shape = (*gains.shape[:axis], step, *gains.shape[axis + 1 :])
        gains = gains.new_zeros(shape).index_add(axis, phases, gains)
    return gains


def checkerboard_score(
    weight: Float[Tensor, "in out *kernel"],
    stride: Size,
    dilation: Size = 1,
    inputs: Float[Tensor, " in"] | None = None,
    groups: int = 1,
) -> float:
    """How much of what a constant input becomes is pattern: 0, nothing; 1, all of it.

    The root mean square, over output channels and phases, of what deviates from the mean of the phases, by that of
    everything. It is also the amplitude at the stride's frequencies by the amplitude of all. Which constant that is
    decides what the score can tell:

    - with ``inputs``, the mean of each channel of what actually comes in: the pattern of actual outputs, which it
      foretells (rank correlation 0.99 over 36 trained networks: ``benchmarks/checkerboard.py``);
    - without, every input channel is taken to be independent of the others, and as strong: what the weights alone
      allow. 0 says that no constant comes out as a pattern, whatever it is. More than 0 does not say that one does:
      training lets the patterns of channels cancel each other (rank correlation 0.53), and random weights of stride s
      on n axes have about √(1 − s⁻ⁿ).

    Weights that pass nothing of a constant have a score of 0.

    Args:
        weight: as torch stores that of a transposed convolution.
        stride: an int, or one per axis.
        dilation: the same.
        inputs: the mean of each input channel, as ``features.mean((0, 2, 3))``.
        groups: of the convolution.

    Raises :class:`~unconv.errors.UnconvError` where these are not as many as the channels.

    >>> checkerboard_score(torch.ones(1, 1, 4, 4), stride=2), round(checkerboard_score(torch.ones(1, 1, 3, 3), 2), 3)
    (0.0, 0.436)
    """
    gains = phase_gains(weight.detach().double(), stride, dilation).flatten(2)
    if inputs is not None:
        means = _one_each(inputs, weight.shape[0]).reshape(groups, -1)
        gains = torch.einsum("gi,giop->gop", means, gains.reshape(groups, -1, *gains.shape[1:]))
    return share_of_pattern(gains, dims=(-1,))


def subpixel_score(
    weight: Float[Tensor, "out_phases in *kernel"], phases: int, inputs: Float[Tensor, " in"] | None = None
) -> float:
    """:func:`checkerboard_score` of a convolution whose output channels are, in turn, the phases of a pixel shuffle.

    With and without ``inputs`` as there; the bias is left out.

    >>> subpixel_score(torch.ones(4, 1, 3, 3), phases=4)
    0.0
    """
    gains = weight.detach().double().flatten(2).sum(2)
    if inputs is not None:
        gains = gains @ _one_each(inputs, weight.shape[1])[:, None]
    return share_of_pattern(gains.reshape(-1, phases, gains.shape[1]), dims=(1,))


@tell_wrong_arguments
def stride_pattern(values: Float[Tensor, "batch channel *size"], stride: Size) -> float:
    """How much of an actual output, or gradient, repeats with the stride: 0, nothing; 1, all of it.

    Cells of the same phase are averaged over each map; what their means deviate from each other, root mean square, by
    that of all values. By Parseval it is the amplitude of the spectrum at the frequencies n/s, n ≠ 0, by that of all.
    Cells behind the last whole period are left out.

    >>> stride_pattern(torch.tensor([[[1.0, 3.0, 1.0, 3.0, 1.0]]]), stride=2)
    0.4472135954999579
    """
    count = values.ndim - 2
    if count < 1:
        raise UnconvError(f"stride pattern: shape {tuple(values.shape)} is not (batch, channel, *size)")
    steps = per_axis("stride pattern", "stride", stride, count, least=1)
    folded = values.detach().double()
    for axis, step in enumerate(steps):
        dim = 2 + axis
        periods = folded.shape[dim] // step
        if periods == 0:
            raise GeometryError(
                f"stride pattern: size {tuple(values.shape[2:])} holds no whole period of stride {steps}"
            )
        # From (..., size, ...) to (..., period, ...) with the phase behind all others.
        whole = folded.narrow(dim, 0, periods * step)
        folded = whole.reshape(*whole.shape[:dim], periods, step, *whole.shape[dim + 1 :]).movedim(dim + 1, -1)
    means = folded.mean(tuple(range(2, 2 + count))).flatten(2)
    total = float(folded.square().mean())
    pattern = float((means - means.mean(2, keepdim=True)).square().mean())
    return (pattern / total) ** 0.5 if total > 0 else 0.0


@tell_wrong_arguments
def equalised(
    weight: Float[Tensor, "in out *kernel"], stride: Size, dilation: Size = 1
) -> Float[Tensor, "in out *kernel"]:
    """The nearest kernels, by least squares, whose phases all pass the same of a constant (Sugawara et al. 2018).

    A phase of n taps and gain g is brought to the common gain m by adding (m − g)/n to each tap; m = Σ(g/n) / Σ(1/n) is
    the one for which least is added. Raises :class:`~unconv.errors.GeometryError` where a phase has no tap.

    >>> checkerboard_score(equalised(torch.randn(8, 4, 3, 3), stride=2), stride=2) < 1e-6
    True
    """
    steps, holes = _spelled(weight, stride, dilation)
    taps = phase_gains(weight.new_ones((1, 1, *weight.shape[2:])), steps, holes)
    if not bool((taps > 0).all()):
        raise GeometryError(
            f"equalised: kernel {tuple(weight.shape[2:])} with stride {steps} and dilation {holes} leaves output cells "
            "without a tap; take a kernel that is no smaller than the stride"
        )
    gains = phase_gains(weight, steps, holes)
    axes = tuple(range(2, weight.ndim))
    common = (gains / taps).sum(axes, keepdim=True) / (1 / taps).sum(axes, keepdim=True)
    added = (common - gains) / taps
    for axis, (step, hole) in enumerate(zip(steps, holes, strict=True), start=2):
        phases = torch.arange(weight.shape[axis], device=weight.device) * hole % step
        added = added.index_select(axis, phases)
    return weight + added


def _one_each(inputs: Tensor, channels: int) -> Tensor:
    if not isinstance(inputs, Tensor):
        raise UnconvError(f"checkerboard score: inputs are a {type(inputs).__name__}; give a tensor, the mean of each")
    if inputs.shape != (channels,):
        raise UnconvError(
            f"checkerboard score: inputs of shape {tuple(inputs.shape)} for {channels} input channels; "
            "give the mean of each"
        )
    return inputs.detach().double()


def share_of_pattern(gains: Tensor, dims: tuple[int, ...]) -> float:
    """The root mean square of what deviates along the dimensions of the phases, by that of everything.

    >>> round(share_of_pattern(torch.tensor([[2.0, 2.0], [1.0, -1.0]]), dims=(1,)) ** 2, 3)
    0.2
    """
    total = float(gains.square().sum())
    uneven = float((gains - gains.mean(dims, keepdim=True)).square().sum())
    return (uneven / total) ** 0.5 if total > 0 else 0.0


def _spelled(weight: Tensor, stride: Size, dilation: Size) -> tuple[tuple[int, ...], tuple[int, ...]]:
    count = weight.ndim - 2
    if count < 1:
        raise UnconvError(f"phase gains: weights of shape {tuple(weight.shape)} are not (in, out, *kernel)")
    return (
        per_axis("phase gains", "stride", stride, count, least=1),
        per_axis("phase gains", "dilation", dilation, count, least=1),
    )
