"""A substitute: an upsampler in the place of another, which comes to the sizes that that one came to."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from unconv.operators.geometry.sizes import Size
from unconv.upsample.sized import wanted_sizes


class Substitute(nn.Module):
    """An upsampler whose output has s·i + c cells along each axis, as that of a transposed convolution has.

    Attributes:
        layer: what upsamples; it takes an input and a size.
        scale_factor: s, for each axis.
        more: c = d(k − 1) + 1 − 2p + a − s of the transposed convolution, for each axis.

    >>> import torch
    >>> from unconv.upsample.resize import ResizeConv2d
    >>> like_k3_s2 = Substitute(ResizeConv2d(8, 3), scale_factor=(2, 2), more=(1, 1))
    >>> like_k3_s2(torch.zeros(1, 8, 5, 7)).shape, nn.ConvTranspose2d(8, 3, 3, 2)(torch.zeros(1, 8, 5, 7)).shape
    (torch.Size([1, 3, 11, 15]), torch.Size([1, 3, 11, 15]))
    """

    def __init__(self, layer: nn.Module, scale_factor: tuple[int, ...], more: tuple[int, ...]) -> None:
        super().__init__()
        self.layer = layer
        self.scale_factor = scale_factor
        self.more = more

    def forward(
        self, x: Float[Tensor, "*batch_channels_size"], output_size: Size | Tensor | None = None
    ) -> Float[Tensor, "*batch_out_size"]:
        """The output, with or without a batch; in the size asked for, as torch's transposed convolutions take it."""
        axes = len(self.scale_factor)
        sizes = wanted_sizes("substitute", output_size, x.ndim, axes)
        if sizes is None:
            rows = zip(x.shape[x.ndim - axes :], self.scale_factor, self.more, strict=True)
            sizes = tuple(step * size + more for size, step, more in rows)
        if x.ndim == axes + 1:
            return self._upsampled(x.unsqueeze(0), sizes).squeeze(0)
        return self._upsampled(x, sizes)

    def _upsampled(self, x: Tensor, sizes: tuple[int, ...]) -> Tensor:
        last = self.layer
        if isinstance(last, nn.Sequential):
            # A convolution of one cell before what upsamples.
            *first, last = last
            for one in first:
                x = one(x)
        y: Tensor = last(x, sizes)
        return y

    def extra_repr(self) -> str:
        """The size that it comes to."""
        return f"scale_factor={self.scale_factor}, more={self.more}"
