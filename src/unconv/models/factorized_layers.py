"""Factorized convolutions: the spatial and the channel part of a convolution, one after the other.

M. Wang, B. Liu, H. Foroosh, "Factorized Convolutional Neural Networks", arXiv:1608.04337 (2016). A convolution of n
maps to n maps with kernels k×k takes n²k² multiply-accumulates (MACs) at each position. The paper's layers:

- single intra-channel convolution: each map filtered and added to itself, then a linear projection, nk² + n²;
- topological subdivisioning: the projection only joins maps that are neighbours on a torus, nk² + n·Πc_i;
- spatial bottleneck: the projection runs on one position of k², between a strided convolution of each map and the
  deconvolution that undoes its stride, 2n + n²/k².

All take and return (batch, n, height, width).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import ceil, prod

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor

from unconv.errors import ModelError
from unconv.upsample import ConvTransposeTo2d


def standard_macs(channels: int, kernel_size: int, size: tuple[int, int]) -> int:
    """MACs of a convolution that keeps the size (height, width): n²k² at each position.

    >>> standard_macs(64, 3, (14, 14))
    7225344
    """
    return prod(size) * channels**2 * kernel_size**2


def single_macs(channels: int, kernel_size: int, size: tuple[int, int]) -> int:
    """MACs of a single intra-channel convolution and its projection: nk² + n² at each position.

    >>> single_macs(64, 3, (14, 14))
    915712
    """
    return prod(size) * (channels * kernel_size**2 + channels**2)


def topological_macs(channels: int, kernel_size: int, neighbourhood: Sequence[int], size: tuple[int, int]) -> int:
    """MACs with topological subdivisioning: nk² + n·Πc_i at each position, c the neighbourhood.

    >>> topological_macs(64, 3, (4, 4), (14, 14))
    313600
    """
    return prod(size) * channels * (kernel_size**2 + prod(neighbourhood))


def bottleneck_macs(channels: int, kernel_size: int, size: tuple[int, int]) -> int:
    """MACs of a spatial bottleneck: nk² + n² + nk² at each of ⌈h/k⌉·⌈w/k⌉ positions.

    Where k divides the sides these are 2n + n²/k² at each position of the maps.

    >>> bottleneck_macs(64, 2, (14, 14)), 14 * 14 * (2 * 64 + 64**2 // 2**2)
    (225792, 225792)
    """
    positions = prod(ceil(side / kernel_size) for side in size)
    return positions * (2 * channels * kernel_size**2 + channels**2)


class IntraChannel(nn.Module):
    """Each map filtered on its own and added to itself: I′ = I + K ∗ I.

    The residual connection is around the spatial part alone, so that the projection that follows is not skipped.

    >>> IntraChannel(8, 3)(torch.zeros(2, 8, 5, 7)).shape
    torch.Size([2, 8, 5, 7])
    """

    def __init__(self, channels: int, kernel_size: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, kernel_size, padding="same", groups=channels, bias=False)

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch channels height width"]:
        """The maps, filtered, plus themselves."""
        filtered: Tensor = self.conv(x)
        return x + filtered


class SingleIntraChannel(nn.Sequential):
    """Single intra-channel convolution, then a linear projection of the channels at each position.

    >>> layer = SingleIntraChannel(8, 3)
    >>> layer(torch.zeros(2, 8, 5, 7)).shape, layer.project
    (torch.Size([2, 8, 5, 7]), Conv2d(8, 8, kernel_size=(1, 1), stride=(1, 1)))
    """

    def __init__(self, channels: int, kernel_size: int) -> None:
        super().__init__()
        self.spatial = IntraChannel(channels, kernel_size)
        self.project = nn.Conv2d(channels, channels, 1)


def neighbours(torus: Sequence[int], neighbourhood: Sequence[int]) -> Int64[Tensor, "channels near"]:
    """For each map on a torus, the maps of the box around it; with an even side, the one further on counts.

    Args:
        torus: d_1 … d_m; maps are numbered along its last axis first.
        neighbourhood: c_1 … c_m, each at most the side of the torus.

    Raises ModelError where these do not fit together.

    >>> neighbours((6,), (3,)).tolist()
    [[5, 0, 1], [0, 1, 2], [1, 2, 3], [2, 3, 4], [3, 4, 5], [4, 5, 0]]
    """
    fits = len(torus) == len(neighbourhood) > 0
    if not fits or not all(1 <= near <= side for near, side in zip(neighbourhood, torus, strict=True)):
        raise ModelError(
            f"factorized: neighbourhood {_by(neighbourhood)} on a torus of {_by(torus)}; "
            "it needs as many sides, each from 1 to that of the torus"
        )
    steps = list(product(*(range(-((near - 1) // 2), near // 2 + 1) for near in neighbourhood)))
    numbers = torch.arange(prod(torus)).reshape(tuple(torus))
    places = tuple(range(len(torus)))
    # Rolled by −t, a map's place holds its neighbour at +t.
    near = [numbers.roll([-step for step in shift], places) for shift in steps]
    return torch.stack([one.flatten() for one in near], 1)


class TorusProjection(nn.Module):
    """A linear projection in which each map is computed from its neighbours on a torus alone: n·Πc_i MACs.

    Two forms return the same. ``gathered`` lays the neighbours of each map side by side and multiplies what exists and
    nothing else; ``dense`` is a 1×1 convolution with zeros for what does not exist, Πd_i/Πc_i times the MACs, and on a
    CPU many times as fast nevertheless. So that is what runs; ``trace``, which computes nothing, is shown the form
    that has the layer's own MACs.

    >>> layer = TorusProjection((4, 8), (2, 4))
    >>> layer(torch.zeros(1, 32, 5, 5)).shape, layer.weight.shape
    (torch.Size([1, 32, 5, 5]), torch.Size([32, 8]))
    """

    near: Int64[Tensor, " connections"]

    def __init__(self, torus: Sequence[int], neighbourhood: Sequence[int]) -> None:
        super().__init__()
        near = neighbours(torus, neighbourhood)
        self.torus, self.neighbourhood = tuple(torus), tuple(neighbourhood)
        self.register_buffer("near", near.flatten(), persistent=False)
        bound = near.shape[1] ** -0.5
        self.weight = nn.Parameter(torch.empty(near.shape).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(len(near)).uniform_(-bound, bound))

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch channels height width"]:
        """The maps, projected."""
        traced = isinstance(x, FakeTensor) and not torch.compiler.is_compiling()
        return self.gathered(x) if traced else self.dense(x)

    def gathered(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch channels height width"]:
        """The projection as n groups of neighbours."""
        return F.conv2d(x[:, self.near], self.weight[:, :, None, None], self.bias, groups=len(self.bias))

    def dense(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch channels height width"]:
        """The projection as one matrix with zeros."""
        count = len(self.bias)
        columns = self.near.view(count, -1)
        matrix = self.weight.new_zeros(count, count).scatter(1, columns, self.weight)
        return F.conv2d(x, matrix[:, :, None, None], self.bias)

    def extra_repr(self) -> str:
        """Torus and neighbourhood."""
        return f"torus={self.torus}, neighbourhood={self.neighbourhood}"


class Topological(nn.Sequential):
    """Single intra-channel convolution, then a projection between neighbours on a torus.

    >>> Topological((4, 8), 3, (2, 4))(torch.zeros(1, 32, 5, 5)).shape
    torch.Size([1, 32, 5, 5])
    """

    def __init__(self, torus: Sequence[int], kernel_size: int, neighbourhood: Sequence[int]) -> None:
        super().__init__()
        self.spatial = IntraChannel(prod(torus), kernel_size)
        self.project = TorusProjection(torus, neighbourhood)


class SpatialBottleneck(nn.Module):
    """Convolution of each map with stride k, projection, deconvolution of each map with stride k.

    The deconvolution is told the size that it has to come to. Where k does not divide it, both pad as SAME does.

    >>> SpatialBottleneck(8, 3)(torch.zeros(2, 8, 14, 16)).shape
    torch.Size([2, 8, 14, 16])
    """

    def __init__(self, channels: int, kernel_size: int) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.down = nn.Conv2d(channels, channels, kernel_size, stride=kernel_size, groups=channels, bias=False)
        self.project = nn.Conv2d(channels, channels, 1)
        self.up = ConvTransposeTo2d(channels, channels, kernel_size, stride=kernel_size, groups=channels)

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch channels height width"]:
        """The maps, of the size they had."""
        missing = [-side % self.kernel_size for side in x.shape[:1:-1]]
        padded = F.pad(x, [amount for side in missing for amount in (side // 2, side - side // 2)])
        wide: Tensor = self.up(self.project(self.down(padded)), x)
        return wide


def _by(sides: Sequence[int]) -> str:
    return "×".join(map(str, sides)) or "no sides"
