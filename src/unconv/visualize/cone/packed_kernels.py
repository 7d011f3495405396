"""Packed kernels: a convolution's kernels in oneDNN's order, and by factors, made once for many calls.

torch hands oneDNN the kernels as they lie, and oneDNN reorders them each time. Where maps are small and kernels many
that is half of the work: 512 kernels of 3×3×512 on two maps of 7² take 6.3 ms, and 4.0 when they lie as they should;
the products and their order stay, and so do all bits of the result.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor

OPERATIONS = (
    "_reorder_convolution_weight",
    "_convolution_pointwise",
    "_reorder_convolution_transpose_weight",
    "_convolution_transpose_pointwise",
)


def can_pack(x: Tensor, weight: Tensor, groups: int) -> bool:
    """Whether torch would hand a convolution in two dimensions to oneDNN, in channels last and as it is."""
    return (
        x.ndim == 4
        and groups == 1
        and x.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and x.numel() > 0
        and x.is_contiguous(memory_format=torch.channels_last)
        and _offered()
        and torch._C._get_mkldnn_enabled()
        and not torch.is_autocast_enabled("cpu")
    )


@cache
def _offered() -> bool:
    """Whether this torch has what its compiler packs kernels by; names with an underscore may go."""
    available: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return available and all(hasattr(torch.ops.mkldnn, name) for name in OPERATIONS)


class Packs:
    """Kernels of one convolution, packed for its way forward and its way back, and by factors, when first asked for.

    For whole maps, always of one size: oneDNN chooses the order by it, and where that is not the one that it wants it
    takes 45 ms instead of 2.

    >>> x, weight = torch.rand(2, 16, 9, 9).to(memory_format=torch.channels_last), torch.rand(8, 16, 3, 3)
    >>> y = Packs(weight).convolve(x, None, (1, 1), (0, 0), (1, 1))
    >>> y.shape, torch.allclose(y, torch.nn.functional.conv2d(x, weight), rtol=1e-5)
    (torch.Size([2, 8, 7, 7]), True)
    """

    def __init__(self, weight: Tensor) -> None:
        self.weight = weight
        self._packed: dict[tuple[Any, ...], Tensor] = {}
        self._scaled: dict[tuple[Any, ...], tuple[Packs, Sequence[Tensor | None]]] = {}

    def convolve(
        self,
        x: Tensor,
        bias: Tensor | None,
        stride: Sequence[int],
        padding: Sequence[int],
        dilation: Sequence[int],
    ) -> Tensor:
        """The convolution."""
        key = "forward", tuple(x.shape[2:]), stride, padding, dilation
        if key not in self._packed:
            self._packed[key] = torch.ops.mkldnn._reorder_convolution_weight(
                self.weight, padding, stride, dilation, 1, x.shape
            )
        result: Tensor = torch.ops.mkldnn._convolution_pointwise(
            x, self._packed[key], bias, padding, stride, dilation, 1, "none", [], ""
        )
        return result

    def transpose(
        self,
        signal: Tensor,
        stride: Sequence[int],
        padding: Sequence[int],
        extra: Sequence[int],
        dilation: Sequence[int],
    ) -> Tensor:
        """Cᵀ of a signal; ``extra``: cells at the end that no kernel reached."""
        key = "back", tuple(signal.shape[2:]), stride, padding, dilation
        if key not in self._packed:
            self._packed[key] = torch.ops.mkldnn._reorder_convolution_transpose_weight(
                self.weight, padding, extra, stride, dilation, 1, signal.shape
            )
        result: Tensor = torch.ops.mkldnn._convolution_transpose_pointwise(
            signal, self._packed[key], None, padding, extra, stride, dilation, 1, "none", [], ""
        )
        return result

    def scale(self, factor: Callable[[], Tensor], parts: Sequence[Tensor | None], number: float) -> Packs:
        """The same kernels, each by a factor, which is known by the tensors and the number that it is made of."""
        key = number, *((id(part), part._version) for part in parts if part is not None)
        if key not in self._scaled:
            factors = factor().view(-1, *(1,) * (self.weight.ndim - 1))
            self._scaled[key] = Packs(self.weight * factors), parts
        return self._scaled[key][0]
