"""Transposed convolution as torch's layer: its arguments, their order and defaults, by the fastest form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from unconv._renamed import warn_renamed
from unconv.arguments import tell_wrong_arguments
from unconv.errors import UnconvError
from unconv.operators.geometry.sizes import Size, per_axis
from unconv.operators.transpose.arguments import TransposeArguments
from unconv.operators.transpose.conv_transpose import conv_transpose
from unconv.upsample.refusals import refusing
from unconv.upsample.sized import conv_transpose_to
from unconv.upsample.to_size import TO_SIZE


class _AsTorch:
    """What the layers below do otherwise than torch's: words for what does not fit, and the form that is fastest."""

    axes: int

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """A layer; of the kind that it was in 0.1, with a DeprecationWarning, where only that takes such a padding."""
        padding = args[4] if len(args) > 4 else kwargs.get("padding")
        if isinstance(padding, str) or _has_pairs(padding):
            other = TO_SIZE[cls.axes]
            warn_renamed(f"{cls.__name__}: it is torch's layer now; padding {padding!r} is that of {other.__name__}")
            names = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "groups", "bias", "dilation")
            return other(**dict(zip((*names, "device", "dtype"), args, strict=False)), **kwargs)
        return super().__new__(cls)

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size = 0,
        output_padding: Size = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Size = 1,
        padding_mode: str = "zeros",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        name = type(self).__name__
        if padding_mode != "zeros":
            raise UnconvError(
                f"{name}: padding_mode {padding_mode!r} is for convolutions; a transposed one has 'zeros' alone"
            )
        per_axis(name, "kernel_size", kernel_size, self.axes, least=1)
        TransposeArguments.of(self.axes, stride, padding, output_padding, groups, dilation)
        with refusing(name, in_channels, out_channels):
            super().__init__(  # type: ignore[call-arg]
                in_channels,
                out_channels,
                kernel_size,
                stride,
                padding,
                output_padding,
                groups,
                bias,
                dilation,
                device=device,
                dtype=dtype,
            )

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # type: ignore[misc]
        # A layer that 0.1 wrote whole came to a size: it still does.
        if "sized_padding" in state:
            self.__class__ = TO_SIZE[self.axes]

    def forward(
        self,
        input: Float[Tensor, "*batch_channels_size"],
        output_size: Sequence[int] | Tensor | None = None,
    ) -> Float[Tensor, "*batch_out_size"]:
        """The output; ``output_size`` instead of the output padding, as in torch, or a tensor that has it."""
        layer: Any = self
        if output_size is None:
            return conv_transpose(
                input,
                layer.weight,
                layer.bias,
                layer.stride,
                layer.padding,
                layer.output_padding,
                layer.groups,
                layer.dilation,
            )
        return conv_transpose_to(
            input,
            layer.weight,
            layer.bias,
            output_size=output_size,
            stride=layer.stride,
            padding=layer.padding,
            dilation=layer.dilation,
            groups=layer.groups,
        )


def _has_pairs(padding: Any) -> bool:
    return isinstance(padding, Sequence) and any(isinstance(one, Sequence) for one in padding)


@tell_wrong_arguments
class ConvTranspose1d(_AsTorch, nn.ConvTranspose1d):
    """:class:`ConvTranspose2d` along one axis."""

    axes = 1


@tell_wrong_arguments
class ConvTranspose2d(_AsTorch, nn.ConvTranspose2d):
    """:class:`torch.nn.ConvTranspose2d`, computed by :func:`unconv.conv_transpose`: the same arguments and outputs.

    Order and defaults of the arguments, weights, names in a state dict and initial values are torch's. A layer that
    comes to the size it is told is :class:`~unconv.upsample.to_size.ConvTransposeTo2d`.

    Args:
        in_channels: of the input.
        out_channels: of the output.
        kernel_size: an int, or one per axis; the same for all that follow up to ``output_padding``, and for
            ``dilation``.
        stride, padding, output_padding, groups, bias, dilation, device, dtype: as in torch.
        padding_mode: ``"zeros"``, the only one that torch has for this layer.

    Raises :class:`~unconv.errors.UnconvError` for what torch would refuse, in one line.

    >>> up, theirs = ConvTranspose2d(8, 4, 3, 2, 1, 1), nn.ConvTranspose2d(8, 4, 3, 2, 1, 1)
    >>> _ = theirs.load_state_dict(up.state_dict())
    >>> x = torch.randn(1, 8, 16, 16)
    >>> up(x).shape, bool(torch.allclose(up(x), theirs(x), atol=1e-5))
    (torch.Size([1, 4, 32, 32]), True)
    """

    axes = 2


@tell_wrong_arguments
class ConvTranspose3d(_AsTorch, nn.ConvTranspose3d):
    """:class:`ConvTranspose2d` along three axes."""

    axes = 3
