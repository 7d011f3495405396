"""Transposed convolution as a layer that is told the size to come to."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from unconv.arguments import tell_wrong_arguments
from unconv.operators.geometry.conv import ConvTransposeGeometry
from unconv.operators.geometry.sizes import Padding, Size
from unconv.upsample.refusals import refusing
from unconv.upsample.sized import conv_transpose_to, padding_by_axis


class _ToSize:
    """What the layers below add to torch's: SAME, two paddings an axis, and the size that is asked for."""

    sized_padding: Padding

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Padding = "same_upper",
        *,
        groups: int = 1,
        bias: bool = True,
        dilation: Any = 1,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        with refusing(type(self).__name__, in_channels, out_channels):
            super().__init__(  # type: ignore[call-arg]
                in_channels,
                out_channels,
                kernel_size,
                stride,
                groups=groups,
                bias=bias,
                dilation=dilation,
                device=device,
                dtype=dtype,
            )
        layer: Any = self
        padding_by_axis(padding, layer.stride, len(layer.kernel_size))
        self.sized_padding = padding

    def forward(
        self, x: Float[Tensor, "*batch_channels_size"], output_size: Size | Tensor | None = None
    ) -> Float[Tensor, "*batch_out_size"]:
        """The output, in the size asked for: ints, or a tensor that has it; else s·i′ with SAME, else the smallest."""
        layer: Any = self
        return conv_transpose_to(
            x,
            layer.weight,
            layer.bias,
            output_size=output_size,
            stride=layer.stride,
            padding=self.sized_padding,
            dilation=layer.dilation,
            groups=layer.groups,
        )

    def geometry(self, input_size: Size) -> ConvTransposeGeometry:
        """The geometry for an input of some size, where no size is asked for."""
        layer: Any = self
        return ConvTransposeGeometry(
            input_size, layer.kernel_size, layer.stride, self.sized_padding, dilation=layer.dilation
        )

    def extra_repr(self) -> str:
        """Torch's line, with the padding as it was given."""
        return f"{super().extra_repr()}, padding={self.sized_padding!r}"  # type: ignore[misc]


@tell_wrong_arguments
class ConvTransposeTo1d(_ToSize, nn.ConvTranspose1d):
    """:class:`ConvTransposeTo2d` along one axis."""


@tell_wrong_arguments
class ConvTransposeTo2d(_ToSize, nn.ConvTranspose2d):
    """A transposed convolution that comes to the size it is told, instead of asking for an output padding.

    Weights are those of :class:`torch.nn.ConvTranspose2d`: state dicts go both ways. Where a skip connection has to be
    met, give its tensor as ``output_size``.

    Args:
        in_channels: of the input.
        out_channels: of the output.
        kernel_size: an int, or one per axis; the same for ``stride`` and ``dilation``.
        padding: ``"same_upper"`` (TensorFlow, ONNX), ``"same_lower"`` (ONNX), an int, one per axis, or (before, after)
            pairs, that of the convolution whose transpose this is.
        groups, bias, device, dtype: as in torch, by name.

    Raises :class:`~unconv.errors.GeometryError`, naming those that can be reached, for a size that cannot.

    >>> up = ConvTransposeTo2d(8, 5, kernel_size=3, stride=2)
    >>> up(torch.randn(1, 8, 22, 23)).shape, up(torch.randn(1, 8, 22, 23), torch.randn(1, 5, 43, 46)).shape
    (torch.Size([1, 5, 44, 46]), torch.Size([1, 5, 43, 46]))
    """


@tell_wrong_arguments
class ConvTransposeTo3d(_ToSize, nn.ConvTranspose3d):
    """:class:`ConvTransposeTo2d` along three axes."""


TO_SIZE: dict[int, Any] = {1: ConvTransposeTo1d, 2: ConvTransposeTo2d, 3: ConvTransposeTo3d}
