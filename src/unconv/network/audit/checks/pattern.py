"""Checkerboard rules: patterns of the geometry, and of the weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isqrt, prod

from torch import Tensor, nn

from unconv.network.audit.channel_means import channel_means
from unconv.network.audit.finding import Finding, Subject, argument
from unconv.network.run.computed_weights import computed_by, weight_of
from unconv.network.trace.graph import Layer
from unconv.operators.checkerboard import checkerboard_score, subpixel_score
from unconv.operators.geometry.conv import ConvTransposeGeometry

NOTICEABLE = 0.02
"""Scores up to here are not reported: a fiftieth of the amplitude."""


@dataclass(frozen=True)
class Score:
    """The pattern score of a layer.

    Attributes:
        weights: of the weights alone, whatever comes in: 0 where no constant can come out as a pattern.
        actual: of what comes in; None where that is not known.
        source: what that is of.
    """

    weights: float
    actual: float | None
    source: str

    def __str__(self) -> str:
        if self.actual is None:
            return f"pattern score {self.weights:.2g} of its weights alone (0 none, 1 all)"
        return f"pattern score {self.actual:.2g} {self.source} (0 none, 1 all; {self.weights:.2g} of its weights alone)"

    @property
    def noticeable(self) -> bool:
        """Whether there is a pattern to be seen, as far as is known."""
        return (self.weights if self.actual is None else self.actual) > NOTICEABLE


def check_pattern(subject: Subject, images: Sequence[Tensor] | None = None) -> Iterator[Finding]:
    """``uneven-overlap`` and ``unequal-phases``.

    What comes into a layer, of which its score is, is that of the images, or else of a picture of ones.
    """
    transposed = [layer for layer in subject.graph if layer.operator == "conv_transpose" and _steps(layer) > 1]
    shuffled = [layer for layer in subject.graph if layer.operator == "pixel_shuffle"]
    convolutions = [before for layer in shuffled if (before := _before(subject, layer)) is not None]
    modules = {module for layer in (*transposed, *convolutions) if _weight(module := subject.module(layer)) is not None}
    means, source = _means(subject, images, {module for module in modules if module is not None})
    for layer in transposed:
        yield from _transposed(subject, layer, means, source)
    for layer in shuffled:
        yield from _shuffled(subject, layer, means, source)


def _steps(layer: Layer) -> int:
    return max(layer.geometry.stride) if layer.geometry is not None else 1


def _means(
    subject: Subject, images: Sequence[Tensor] | None, modules: set[nn.Module]
) -> tuple[dict[nn.Module, Tensor], str]:
    source = "behind a picture of ones" if images is None else "of what comes in"
    tensors = [*subject.model.parameters(), *subject.model.buffers()]
    if not modules or any(one.is_meta for one in tensors):
        return {}, source
    like = next(one for one in tensors if one.is_floating_point())
    given = [like.new_ones((1, *size)) for size in subject.graph.input_sizes] if images is None else images
    return channel_means(subject.model, given, modules), source


def _transposed(subject: Subject, layer: Layer, means: dict[nn.Module, Tensor], source: str) -> Iterator[Finding]:
    geometry = layer.geometry
    assert isinstance(geometry, ConvTransposeGeometry)
    module = subject.module(layer)
    weight, score = _weight(module), None
    if module is not None and weight is not None:
        arguments = (weight, geometry.stride, geometry.dilation)
        inputs = means.get(module) if layer.groups == 1 else None
        actual = None if inputs is None else checkerboard_score(*arguments, inputs=inputs)
        score = Score(checkerboard_score(*arguments), actual, source)
    if any(geometry.uneven_overlap):
        # Weights can make up for it whatever comes in, and then there is nothing to see.
        if score is None or score.weights > NOTICEABLE:
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


def _before(subject: Subject, layer: Layer) -> Layer | None:
    """The convolution that makes the phases of a pixel shuffle."""
    before = subject.graph[layer.inputs[0]] if layer.inputs else None
    return before if before is not None and before.operator == "conv" else None


def _shuffled(subject: Subject, layer: Layer, means: dict[nn.Module, Tensor], source: str) -> Iterator[Finding]:
    before = _before(subject, layer)
    module = None if before is None else subject.module(before)
    weight = _weight(module)
    phases = layer.input_shape[0] // layer.output_shape[0]
    if before is None or module is None or weight is None or phases == 1:
        return
    inputs = means.get(module) if before.groups == 1 else None
    actual = None if inputs is None else subpixel_score(weight, phases, inputs)
    score = Score(subpixel_score(weight, phases), actual, source)
    if score.noticeable:
        name, factor = subject.spelled(before), isqrt(phases)
        fix = f"uc.upsample.equalised_phases_({name}, scale_factor={factor})"
        if not computed_by(module):
            fix = f"uc.upsample.icnr_({name}.weight, scale_factor={factor}) before training, or {fix} after it"
        yield Finding(
            "unequal-phases",
            before.name,
            f"makes the {phases} phases of a pixel shuffle, which pass unequal amounts of a constant: {score}",
            fix,
        )


def _weight(module: nn.Module | None) -> Tensor | None:
    weight = weight_of(module)
    if weight is None or weight.is_meta or weight.ndim < 3 or not weight.is_floating_point():
        return None
    return weight if bool(weight.isfinite().all()) else None
