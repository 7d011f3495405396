"""Class scores brought to a higher resolution by a transposed convolution that begins as bilinear interpolation."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import ceil

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from unconv.operators.transpose.conv_transpose import conv_transpose


class Upscore(nn.Module):
    """A transposed convolution of class scores, stride ``factor``, that begins as bilinear interpolation.

    Along an axis w[u] = max(0, 1 − |u − m|/s), each class to itself: output o of unit q's kernel is s·q + u, and m is
    where the unit itself lies in it. With m = s − ½ that is a kernel of 2s taps, as published (Long, Shelhamer &
    Darrell 2015, section 3.3; k4 s2, k16 s8, k32 s16, k64 s32); a whole m needs 2s − 1 taps.

    Args:
        channels: how many classes are scored.
        factor: the stride s.
        learned: kernels are parameters, from each class to every class, as published; else a buffer, one for all.
        middle: m in [s − 1, s), one number for both axes or one for each; s − ½ unless given.

    >>> up = Upscore(21, 2)
    >>> up(torch.zeros(1, 21, 7, 5)).shape, up.weight.shape, Upscore(21, 2, learned=False).weight.shape
    (torch.Size([1, 21, 16, 12]), torch.Size([21, 21, 4, 4]), torch.Size([21, 1, 4, 4]))
    """

    weight: Tensor

    def __init__(
        self,
        channels: int,
        factor: int,
        learned: bool = True,
        middle: Fraction | Sequence[Fraction] | None = None,
    ) -> None:
        super().__init__()
        self.channels = channels
        self.factor = factor
        middles = (middle,) if middle is None or isinstance(middle, Fraction) else tuple(middle)
        self.middle = tuple(factor - Fraction(1, 2) if one is None else one for one in middles) * (2 // len(middles))
        kernel = tuple(2 * factor - (one.denominator == 1) for one in self.middle)
        weight = torch.empty(channels, channels if learned else 1, *kernel)
        if learned:
            self.weight = nn.Parameter(weight)
        else:
            self.register_buffer("weight", weight)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Back to interpolation."""
        rows, columns = (
            (1 - (torch.arange(size, dtype=torch.float64) - float(middle)).abs() / self.factor).clamp(min=0)
            for size, middle in zip(self.weight.shape[2:], self.middle, strict=True)
        )
        with torch.no_grad():
            self.weight.zero_()
            own = torch.arange(self.channels)
            self.weight[own, own if self.learned else 0] = torch.outer(rows, columns).to(self.weight)

    @property
    def learned(self) -> bool:
        """Whether its kernels are parameters."""
        return isinstance(self.weight, nn.Parameter)

    def forward(self, x: Float[Tensor, "batch classes height width"]) -> Float[Tensor, "batch classes rows columns"]:
        """All that the kernels reach: s(n − 1) + k cells along an axis."""
        y: Tensor = conv_transpose(x, self.weight, stride=self.factor, groups=1 if self.learned else self.channels)
        return y

    def extra_repr(self) -> str:
        """Arguments."""
        kernel = tuple(self.weight.shape[2:])
        return f"{self.channels}, kernel_size={kernel}, stride={self.factor}, learned={self.learned}"


class AlignedUpscore(nn.Module):
    """Scores on a coarse grid, brought to a finer one so that both look at the same pixels.

    Unit q of a grid of stride s looks at pixel s·q + c, where c is the middle of unit 0's receptive field. On a finer
    grid of stride s′ = s/f and middle c′ that is the place

        o = f·q + δ,    δ = (c − c′)/s′

    so the kernel's middle and the crop are chosen for δ, whatever it is; the offsets 5, 9, 19, 27 and 31 of the
    published networks follow from the same line. At the borders the outermost units are repeated.

    Args:
        channels: how many classes are scored.
        factor: f.
        shift: δ for each axis, in cells of the finer grid.
        learned: as in :class:`Upscore`.

    >>> up = AlignedUpscore(1, 2, (Fraction(0), Fraction(1, 2)))
    >>> up(torch.tensor([[[[0.0, 4.0], [8.0, 12.0]]]]), (3, 4))
    tensor([[[[ 0.,  1.,  3.,  4.],
              [ 4.,  5.,  7.,  8.],
              [ 8.,  9., 11., 12.]]]], grad_fn=...)
    """

    def __init__(self, channels: int, factor: int, shift: Sequence[Fraction], learned: bool = True) -> None:
        super().__init__()
        self.shift = tuple(shift)
        self.crop = tuple(ceil(factor - 1 - one) for one in self.shift)
        self.up = Upscore(channels, factor, learned, [one + crop for one, crop in zip(shift, self.crop, strict=True)])

    def forward(
        self, x: Float[Tensor, "batch classes height width"], size: Sequence[int]
    ) -> Float[Tensor, "batch classes rows columns"]:
        """The scores on the finer grid, which has ``size`` cells."""
        sides: list[int] = []
        starts: list[int] = []
        for axis, wanted in enumerate(size):
            before, after = self._repeats(axis, x.shape[2 + axis], wanted)
            sides[:0] = [before, after]
            starts.append(self.crop[axis] + self.up.factor * before)
        if any(sides):
            x = F.pad(x, sides, mode="replicate")
        y: Tensor = self.up(x)
        for axis, (start, wanted) in enumerate(zip(starts, size, strict=True), start=2):
            y = y.narrow(axis, start, wanted)
        return y

    def _repeats(self, axis: int, units: int, wanted: int) -> tuple[int, int]:
        """How many units more are needed before the first and behind the last, so that cells 0 … wanted − 1 have two.

        Cell o lies between units ⌊(o − δ)/f⌋ and the next.
        """
        factor, middle, crop = self.up.factor, self.up.middle[axis], self.crop[axis]
        whole = crop - factor + (middle.denominator == 1)
        first, last = whole // factor, (wanted - 1 + whole) // factor + 1
        return max(0, -first), max(0, last - (units - 1))

    def extra_repr(self) -> str:
        """Arguments that the layer inside does not show."""
        return f"shift=({', '.join(map(str, self.shift))})"
