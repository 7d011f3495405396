"""Form rules: layers that another form computes sooner; measured, since it depends on the machine."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from unconv.network.audit.finding import Finding, Subject, assigned, module_of
from unconv.network.run.computed_weights import computed_by
from unconv.network.trace.graph import Layer
from unconv.operators.by_axes import CONV_TRANSPOSE
from unconv.operators.geometry.conv import ConvTransposeGeometry
from unconv.operators.transpose.arguments import TransposeArguments
from unconv.operators.transpose.forms import subpixel_form

FEW, ROUNDS, GAIN = 16, 5, 1.2
"""Layers with at most so many output channels are tried, so many times, and reported from this gain on."""


_TORCHS = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


def check_forms(subject: Subject) -> Iterator[Finding]:
    """``faster-form``: torch's transposed convolution against a convolution with a pixel shuffle behind."""
    for layer in subject.graph:
        geometry = layer.geometry
        few = bool(layer.output_shape) and layer.output_shape[0] <= FEW
        if not isinstance(geometry, ConvTransposeGeometry) or layer.groups != 1 or not few or max(geometry.stride) == 1:
            continue
        module = subject.module(layer)
        if module is not None and type(module) not in _TORCHS:
            continue  # a layer of its own making may take whichever form it likes
        if any(before != after for before, after in geometry.padding):
            continue
        if module is not None and computed_by(module):
            continue  # in another form its weights would be fixed numbers
        torch_time, other_time = _times(layer.input_shape[0], layer.output_shape[0], geometry)
        if torch_time > GAIN * other_time:
            yield Finding(
                "faster-form",
                layer.name,
                f"a convolution with a pixel shuffle behind returns the same, {torch_time / other_time:.1f} times as "
                f"fast ({1000 * other_time:.2g} ms against {1000 * torch_time:.2g} ms here, one input)",
                _fix(subject, layer),
            )


def _fix(subject: Subject, layer: Layer) -> str:
    module = subject.module(layer)
    if module is None:
        return "uc.conv_transpose(x, weight, ...), which takes the faster form by itself"
    made = f'uc.upsample.convert({subject.spelled(layer)}, "sub-pixel")'
    return f"model = {made}" if module is subject.model else assigned(subject.model, module_of(layer.name), made)


def _times(inputs: int, outputs: int, geometry: ConvTransposeGeometry) -> tuple[float, float]:
    x, weight = torch.rand(1, inputs, *geometry.input_size), torch.rand(inputs, outputs, *geometry.kernel_size)
    padding = tuple(before for before, _ in geometry.padding)
    arguments = TransposeArguments.of(
        geometry.dimensions, geometry.stride, padding, geometry.output_padding, dilation=geometry.dilation
    )
    plain = CONV_TRANSPOSE[geometry.dimensions]
    sides: list[Callable[[], Tensor]] = [
        lambda: plain(x, weight, None, *arguments.as_torch),
        lambda: subpixel_form(x, weight, None, arguments),
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
