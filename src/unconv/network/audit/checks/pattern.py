"""Checkerboard rules: patterns of the geometry, and of the weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod

from torch import Tensor, nn

from unconv.network.audit.channel_means import channel_means
from unconv.network.audit.checks.shuffles import check_shuffles
from unconv.network.audit.checks.sub_pixel_layers import find_shuffles
from unconv.network.audit.finding import Finding, Subject, argument
from unconv.network.audit.follow import Follow
from unconv.network.audit.pattern_score import NOTICEABLE, Score, layer_weight
from unconv.network.trace.graph import Layer
from unconv.operators.checkerboard import checkerboard_score
from unconv.operators.geometry.conv import ConvTransposeGeometry


def check_pattern(subject: Subject, images: Sequence[Tensor] | None = None) -> Iterator[Finding]:
    """``uneven-overlap`` and ``unequal-phases``.

    What comes into a layer, of which its score is, is that of the images, or else of a picture of ones.
    """
    transposed = [layer for layer in subject.graph if layer.operator == "conv_transpose" and _steps(layer) > 1]
    shuffles = find_shuffles(subject)
    follow = Follow(subject.model, [one.module for one in shuffles if not one.direct])
    weighted = {module for layer in transposed if layer_weight(module := subject.module(layer)) is not None}
    modules = {module for module in weighted if module is not None} | {one.module for one in shuffles}
    means, source = _means(subject, images, modules, follow)
    for layer in transposed:
        yield from _transposed(subject, layer, means, source)
    yield from check_shuffles(subject, shuffles, follow, means, source)


def _steps(layer: Layer) -> int:
    return max(layer.geometry.stride) if layer.geometry is not None else 1


def _means(
    subject: Subject, images: Sequence[Tensor] | None, modules: set[nn.Module], follow: Follow
) -> tuple[dict[nn.Module, Tensor], str]:
    source = "behind a picture of ones" if images is None else "of what comes in"
    tensors = [*subject.model.parameters(), *subject.model.buffers()]
    if not modules or any(one.is_meta for one in tensors):
        return {}, source
    like = next(one for one in tensors if one.is_floating_point())
    given = [like.new_ones((1, *size)) for size in subject.graph.input_sizes] if images is None else images
    return channel_means(subject.model, given, modules, follow), source


def _transposed(subject: Subject, layer: Layer, means: dict[nn.Module, Tensor], source: str) -> Iterator[Finding]:
    geometry = layer.geometry
    assert isinstance(geometry, ConvTransposeGeometry)
    module = subject.module(layer)
    weight, score = layer_weight(module), None
    if module is not None and weight is not None:
        arguments = (weight, geometry.stride, geometry.dilation)
        inputs = means.get(module) if layer.groups == 1 else None
        actual = None if inputs is None else checkerboard_score(*arguments, inputs=inputs)
        score = Score(checkerboard_score(*arguments), actual, source)
    if any(geometry.uneven_overlap):
        # Weights can make up for it whatever comes in, and then there is nothing to see.
        if score is None or (score.weights or 0) > NOTICEABLE:
            yield _overlap(layer, geometry, score)
    elif score is not None and score.noticeable:
        yield Finding(
            "unequal-phases",
            layer.name,
            f"{prod(geometry.stride)} phases of its weights pass unequal amounts of a constant: {score}",
            f"uc.upsample.equalised_({subject.spelled(layer)})",
        )


def _overlap(layer: Layer, geometry: ConvTransposeGeometry, score: Score | None) -> Finding:
    uneven = [n for n, is_so in enumerate(geometry.uneven_overlap) if is_so]
    counts = []
    for n in uneven:
        kernel, step, holes = geometry.kernel_size[n], geometry.stride[n], geometry.dilation[n]
        taps = [sum((tap * holes - phase) % step == 0 for tap in range(kernel)) for phase in range(step)]
        counts.append(f"{min(taps)} to {max(taps)}")
    rows = zip(geometry.kernel_size, geometry.stride, strict=True)
    kernels = tuple(-(-k // s) * s if n in uneven else k for n, (k, s) in enumerate(rows))
    told = "" if score is None else f"; {score}"
    channels = f"{layer.input_shape[0]}, {layer.output_shape[0]}"
    return Finding(
        "uneven-overlap",
        layer.name,
        f"kernel {argument(geometry.kernel_size)} with stride {argument(geometry.stride)}: outputs are sums of "
        f"{' and '.join(dict.fromkeys(counts))} taps an axis in turn{told}",
        f"nn.ConvTranspose{geometry.dimensions}d({channels}, kernel_size={argument(kernels)}, "
        f"stride={argument(geometry.stride)}, ...), or keep the kernel and start it with "
        f"uc.upsample.equalised_(layer)",
    )
