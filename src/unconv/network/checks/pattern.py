"""Checkerboard patterns: of the geometry, and of the weights."""

from __future__ import annotations

from collections.abc import Iterator
from math import isqrt, prod

from torch import Tensor, nn

from unconv.network.finding import Finding, Subject, argument
from unconv.network.graph import Layer
from unconv.operators.checkerboard import checkerboard_score, subpixel_score
from unconv.operators.geometry import ConvTransposeGeometry

NOTICEABLE = 0.02
"""Scores below are not reported: a fiftieth of the amplitude."""


def pattern(subject: Subject) -> Iterator[Finding]:
    """``uneven-overlap`` and ``unequal-phases``."""
    for layer in subject.graph:
        if layer.operator == "conv_transpose":
            yield from _transposed(subject, layer)
        elif layer.operator == "pixel_shuffle":
            yield from _shuffled(subject, layer)


def _transposed(subject: Subject, layer: Layer) -> Iterator[Finding]:
    geometry = layer.geometry
    assert isinstance(geometry, ConvTransposeGeometry)
    if max(geometry.stride) == 1:
        return
    weight = _weight(subject.module(layer))
    score = None if weight is None else checkerboard_score(weight, geometry.stride, geometry.dilation)
    if any(geometry.uneven_overlap):
        # Weights can make up for it, and then there is nothing to see.
        if score is None or score > NOTICEABLE:
            yield _overlap(layer, geometry, score)
    elif score is not None and score > NOTICEABLE:
        name = layer.name or "layer"
        yield Finding(
            "unequal-phases",
            layer.name,
            f"{prod(geometry.stride)} phases of its weights pass unequal amounts of a constant: pattern score "
            f"{score:.2g} (0 none, 1 all)",
            f"uc.upsample.equalised_(model.{name}.weight, stride={argument(geometry.stride)})",
        )


def _overlap(layer: Layer, geometry: ConvTransposeGeometry, score: float | None) -> Finding:
    uneven = [n for n, is_so in enumerate(geometry.uneven_overlap) if is_so]
    counts = []
    for n in uneven:
        kernel, step, holes = geometry.kernel_size[n], geometry.stride[n], geometry.dilation[n]
        taps = [sum((tap * holes - phase) % step == 0 for tap in range(kernel)) for phase in range(step)]
        counts.append(f"{min(taps)} to {max(taps)}")
    rows = zip(geometry.kernel_size, geometry.stride, strict=True)
    kernels = tuple(-(-k // s) * s if n in uneven else k for n, (k, s) in enumerate(rows))
    told = "" if score is None else f"; pattern score of its weights {score:.2g}"
    channels = f"{layer.input_shape[0]}, {layer.output_shape[0]}"
    return Finding(
        "uneven-overlap",
        layer.name,
        f"kernel {argument(geometry.kernel_size)} with stride {argument(geometry.stride)}: outputs are sums of "
        f"{' and '.join(dict.fromkeys(counts))} taps an axis in turn{told}",
        f"nn.ConvTranspose{geometry.dimensions}d({channels}, kernel_size={argument(kernels)}, "
        f"stride={argument(geometry.stride)}, ...), or keep the kernel and start it with uc.upsample.equalised_",
    )


def _shuffled(subject: Subject, layer: Layer) -> Iterator[Finding]:
    before = subject.graph[layer.inputs[0]] if layer.inputs else None
    weight = _weight(subject.module(before)) if before is not None and before.operator == "conv" else None
    phases = layer.input_shape[0] // layer.output_shape[0]
    if before is None or weight is None or phases == 1:
        return
    score = subpixel_score(weight, phases)
    if score > NOTICEABLE:
        yield Finding(
            "unequal-phases",
            before.name,
            f"makes the {phases} phases of a pixel shuffle, which pass unequal amounts of a constant: pattern score "
            f"{score:.2g} (0 none, 1 all)",
            f"uc.upsample.icnr_(model.{before.name}.weight, factor={isqrt(phases)}) before training, or "
            "uc.upsample.equalised_phases_ after it",
        )


def _weight(module: nn.Module | None) -> Tensor | None:
    weight = getattr(module, "weight", None)
    if not isinstance(weight, Tensor) or weight.is_meta or weight.ndim < 3 or not weight.is_floating_point():
        return None
    return weight if bool(weight.isfinite().all()) else None
