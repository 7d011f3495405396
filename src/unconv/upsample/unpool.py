"""Unpooling: each value back to where max-pooling found it."""

from __future__ import annotations

from math import prod

from jaxtyping import Float, Int
from torch import Tensor, nn

from unconv.arguments import tell_wrong_arguments
from unconv.errors import GeometryError
from unconv.operators.geometry.sizes import Size, per_axis


class _Unpool(nn.Module):
    axes: int

    def __init__(self, kernel_size: Size, stride: Size | None = None, padding: Size = 0) -> None:
        super().__init__()
        self.kernel_size = per_axis("unpool", "kernel_size", kernel_size, self.axes, least=1)
        steps = self.kernel_size if stride is None else stride
        self.stride = per_axis("unpool", "stride", steps, self.axes, least=1)
        self.padding = per_axis("unpool", "padding", padding, self.axes, least=0)

    def forward(
        self,
        x: Float[Tensor, "batch channel *size"],
        switches: Int[Tensor, "batch channel *size"],
        output_size: Size | Tensor | None = None,
    ) -> Float[Tensor, "batch channel *larger_size"]:
        """The values at their switches; ``output_size``: ints, or a tensor that has it; else s(i′ − 1) + k − 2p."""
        if x.ndim != self.axes + 2 or switches.shape != x.shape:
            raise GeometryError(
                f"unpool: values of shape {tuple(x.shape)} with switches of shape {tuple(switches.shape)}; both are "
                f"(batch, channel, {', '.join(['size'] * self.axes)})"
            )
        sizes = self._sizes(x, output_size)
        flat = x.new_zeros((*x.shape[:2], prod(sizes)))
        spread = flat.scatter_add(2, switches.flatten(2), x.flatten(2))
        return spread.reshape(*x.shape[:2], *sizes)

    def _sizes(self, x: Tensor, output_size: Size | Tensor | None) -> tuple[int, ...]:
        if output_size is None:
            rows = zip(x.shape[2:], self.kernel_size, self.stride, self.padding, strict=True)
            return tuple(s * (i - 1) + k - 2 * p for i, k, s, p in rows)
        asked = tuple(output_size.shape[2:]) if isinstance(output_size, Tensor) else output_size
        sizes = per_axis("unpool", "output_size", asked, self.axes, least=1)
        geometry = zip(self.kernel_size, self.stride, self.padding, strict=True)
        for axis, (k, s, p) in enumerate(geometry):
            size, i = sizes[axis], x.shape[2 + axis]
            least, most = s * (i - 1) + 1 - p, s * i + k - 1 - 2 * p
            if not least <= size <= most:
                raise GeometryError(
                    f"unpool: output size {size} on axis {axis} cannot have been pooled to {i} with k={k}, s={s}, "
                    f"p={p}; sizes from {least} to {most} can"
                )
        return sizes

    def extra_repr(self) -> str:
        """The geometry."""
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


@tell_wrong_arguments
class Unpool1d(_Unpool):
    """:class:`Unpool2d` along one axis."""

    axes = 1


@tell_wrong_arguments
class Unpool2d(_Unpool):
    """Values to the places that the switches of a max-pooling name; zero elsewhere (Zeiler & Fergus 2013).

    Switches are the ``return_indices`` of :class:`torch.nn.MaxPool2d`. Where windows overlap, and two of them found the
    same maximum, both values are added up: the transpose of the pooling, where :class:`torch.nn.MaxUnpool2d` keeps one
    of the two.

    Args:
        kernel_size: of the pooling; an int, or one per axis.
        stride: the kernel's size unless given.
        padding: of the pooling.

    Raises :class:`~unconv.errors.GeometryError` for an output size that the pooling does not map to the input's.

    >>> import torch
    >>> pooled, switches = nn.MaxPool2d(2, return_indices=True)(torch.arange(16.0).reshape(1, 1, 4, 4))
    >>> Unpool2d(2)(pooled, switches)[0, 0, 3]
    tensor([ 0., 13.,  0., 15.])
    """

    axes = 2


@tell_wrong_arguments
class Unpool3d(_Unpool):
    """:class:`Unpool2d` along three axes."""

    axes = 3
