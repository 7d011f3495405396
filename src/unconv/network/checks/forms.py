"""Layers that another form computes sooner: measured, since it depends on the machine."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from unconv.network.finding import Finding, Subject
from unconv.operators.geometry import ConvTransposeGeometry
from unconv.operators.transpose_forms import subpixel_form

FEW, ROUNDS, GAIN = 16, 5, 1.2
"""Layers with at most so many output channels are tried, so many times, and reported from this gain on."""


def forms(subject: Subject) -> Iterator[Finding]:
    """``faster-form``: torch's transposed convolution against a convolution with a pixel shuffle behind."""
    for layer in subject.graph:
        geometry = layer.geometry
        few = bool(layer.output_shape) and layer.output_shape[0] <= FEW
        if not isinstance(geometry, ConvTransposeGeometry) or layer.groups != 1 or not few or max(geometry.stride) == 1:
            continue
        if any(before != after for before, after in geometry.padding):
            continue
        torch_time, other_time = _times(layer.input_shape[0], layer.output_shape[0], geometry)
        if torch_time > GAIN * other_time:
            yield Finding(
                "faster-form",
                layer.name,
                f"{torch_time / other_time:.1f} times as fast as a convolution with a pixel shuffle behind "
                f"({1000 * torch_time:.2g} ms against {1000 * other_time:.2g} ms here, one input)",
                f'model.{layer.name} = uc.upsample.convert(model.{layer.name}, "sub-pixel")',
            )


def _times(inputs: int, outputs: int, geometry: ConvTransposeGeometry) -> tuple[float, float]:
    x, weight = torch.rand(1, inputs, *geometry.input_size), torch.rand(inputs, outputs, *geometry.kernel_size)
    padding = tuple(before for before, _ in geometry.padding)
    arguments = (geometry.stride, padding, geometry.output_padding, 1, geometry.dilation)
    plain = (torch.conv_transpose1d, torch.conv_transpose2d, torch.conv_transpose3d)[geometry.dimensions - 1]
    sides: list[Callable[[], Tensor]] = [
        lambda: plain(x, weight, None, *arguments),
        lambda: subpixel_form(x, weight, None, *arguments),
    ]
    taken: list[list[float]] = [[], []]
    with torch.no_grad():
        for _ in range(ROUNDS + 1):
            for side, times in zip(sides, taken, strict=True):
                start = time.perf_counter()
                side()
                times.append(time.perf_counter() - start)
    # The first round prepares what later ones reuse.
    return statistics.median(taken[0][1:]), statistics.median(taken[1][1:])
