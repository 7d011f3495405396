"""Patches: findings of an audit mended in the model; what stays equal is proved, what changes is shown."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from math import isqrt
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from unconv.describe import counted
from unconv.errors import UnconvError
from unconv.network.audit.audit import Audit
from unconv.network.audit.finding import Finding, quoted
from unconv.network.run.model_state import at_rest
from unconv.network.trace.graph import Graph
from unconv.operators.checkerboard import checkerboard_score, subpixel_score
from unconv.results import Shown
from unconv.upsample.change.patched_file import check_patched_file, write_patched_file
from unconv.upsample.convert import convert
from unconv.upsample.initialise import equalised_, equalised_phases_

EQUAL, WHOLE = 1e-5, 1e-4
"""Largest difference of a layer's outputs, and of the model's, which adds up the rounding of all layers behind."""

_CHANGED = ": outputs change by the pattern that is taken out"


@dataclass(frozen=True)
class Change:
    """One layer that was changed.

    Attributes:
        finding: that asked for it.
        code: what was done, as code that does it again.
        told: what it does to the outputs, with numbers.
        equal: whether the layer returns what it returned.
    """

    finding: Finding
    code: str
    told: str
    equal: bool


@dataclass(frozen=True, eq=False, repr=False)
class Patched(Shown):
    """A copy of the model with its changes.

    Attributes:
        model: the copy.
        changes: what was done.
        left: findings that cannot be mended without a decision, or retraining.
        difference: of all that the model returns for random inputs, before and after the changes that are to leave
            them equal: the largest, relative. None where there are none of these.
    """

    model: nn.Module
    changes: tuple[Change, ...]
    left: tuple[Finding, ...]
    difference: float | None = None

    def _heading(self) -> str:
        return f"Patched {type(self.model).__name__}: {counted(len(self.changes), 'change')}, {len(self.left)} left"

    def _facts(self) -> Iterator[tuple[str, str]]:
        for change in self.changes:
            yield f"{change.finding.layer} [{change.finding.rule}]", change.told
        for finding in self.left:
            yield f"{finding.layer or 'model'} [{finding.rule}]", f"left as it is: {finding.message}"
        if self.difference is not None:
            yield "the whole model", f"{self.difference:.1g} apart, relative, where it is to be equal"

    def save(
        self, path: str | Path, source: str, random_weights: bool = False, force: bool = False
    ) -> tuple[Path, Path]:
        """Write a file whose ``build()`` makes the patched model, and its weights beside it; both or none.

        Args:
            path: of the file, ``.py``; the weights' name ends in ``.safetensors``.
            source: the MODEL string of the unpatched one, as ``net.py:build``.
            random_weights: whether that is made without weights.
            force: replace a file in the place of the weights that is of no patched model.

        Raises :class:`~unconv.errors.UnconvError` for places that cannot be written to, for the files of the model that
        is patched, and for weights of something else in the place of its own.
        """
        check_patched_file(path, source, force)
        lines = [change.code for change in self.changes if change.equal]
        return write_patched_file(self.model, path, source, random_weights, lines)


def patch(audit: Audit) -> Patched:
    """A copy of an audited model in which what can be mended is.

    Transposed convolutions that another form computes sooner are put into that form, and have to return the same on
    random inputs, each by itself and the model as a whole; where phases pass unequal amounts of a constant, the nearest
    kernels that do not are put in.

    Raises :class:`~unconv.errors.UnconvError` if the model as a whole returns something else than before.

    >>> from unconv.network.audit.audit import audit
    >>> patched = patch(audit(nn.Sequential(nn.ConvTranspose2d(8, 3, 3, stride=2)), (8, 16, 16), measure=False))
    >>> [change.finding.rule for change in patched.changes], patched.changes[0].code
    (['uneven-overlap'], 'uc.upsample.equalised_(model.get_submodule("0"))')
    """
    model = copy.deepcopy(audit.model)
    changes: list[Change] = []
    left: list[Finding] = []
    # Weights first: a layer in another form is no transposed convolution any more.
    order = sorted(audit.findings, key=lambda one: one.rule == "faster-form")
    before: list[Tensor] | None = None
    inputs = _inputs(model, audit.graph)
    for finding in order:
        if finding.rule == "faster-form" and before is None:
            before = _outputs(model, inputs)
        change = _mended(model, audit.graph, finding) if finding.rule in _MENDED else None
        if change is None:
            left.append(finding)
        else:
            changes.append(change)
    difference = None
    if before is not None and any(change.equal for change in changes):
        pairs = zip(_outputs(model, inputs), before, strict=True)
        difference = max((_relative(one, other) for one, other in pairs), default=0.0)
        if not difference <= WHOLE:
            raise UnconvError(
                f"audit: with layers in other forms the model returns something else, by {difference:.1g} of its "
                f"largest value, not {WHOLE:g}; leave them as they are with --ignore faster-form"
            )
    return Patched(model, tuple(changes), tuple(one for one in audit.findings if one in left), difference)


def _inputs(model: nn.Module, graph: Graph) -> list[Tensor]:
    """Random inputs, two of each."""
    like = next((one for one in model.parameters() if one.is_floating_point()), torch.empty(0))
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(2, *size, generator=generator).to(like) for size in graph.input_sizes]


def _outputs(model: nn.Module, inputs: list[Tensor]) -> list[Tensor]:
    """All floating tensors that a model returns, in eval mode."""
    with at_rest(model, frozen=False), torch.no_grad():
        returned = tree_leaves(model(*inputs))
    return [one for one in returned if isinstance(one, Tensor) and one.is_floating_point()]


_MENDED = ("uneven-overlap", "unequal-phases", "faster-form")


def _mended(model: nn.Module, graph: Graph, finding: Finding) -> Change | None:
    name = finding.layer.partition("#")[0]
    try:
        layer: Any = model.get_submodule(name)
    except AttributeError:
        return None
    if isinstance(layer, nn.Conv2d) and finding.rule == "unequal-phases" and not layer.weight.is_meta:
        return _shuffled(layer, graph, finding)
    if type(layer) not in (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d) or layer.weight.is_meta:
        return None
    at = f"model.get_submodule({quoted(name)})"
    if finding.rule == "faster-form":
        return _other_form(model, name, layer, finding)
    before = checkerboard_score(layer.weight, layer.stride, layer.dilation)
    try:
        with torch.no_grad():
            equalised_(layer.weight, layer.stride, layer.dilation)
    except UnconvError:
        return None
    after = checkerboard_score(layer.weight, layer.stride, layer.dilation)
    told = f"pattern score {before:.2g} before, {after:.1g} after{_CHANGED}"
    return Change(finding, f"uc.upsample.equalised_({at})", told, equal=False)


def _shuffled(layer: nn.Conv2d, graph: Graph, finding: Finding) -> Change | None:
    """A convolution whose output channels are the phases of the pixel shuffle behind it."""
    behind = next((one for one in graph if one.operator == "pixel_shuffle" and finding.layer in one.inputs), None)
    if behind is None:
        return None
    factor = isqrt(behind.input_shape[0] // behind.output_shape[0])
    before = subpixel_score(layer.weight, factor**2)
    equalised_phases_(layer.weight, factor)
    if layer.bias is not None:
        with torch.no_grad():
            means = layer.bias.reshape(-1, factor**2).mean(1)
            layer.bias.copy_(means.repeat_interleave(factor**2))
    after = subpixel_score(layer.weight, factor**2)
    name = finding.layer.partition("#")[0]
    code = f"uc.upsample.equalised_phases_(model.get_submodule({quoted(name)}).weight, {factor})"
    return Change(finding, code, f"pattern score {before:.2g} before, {after:.1g} after{_CHANGED}", equal=False)


def _other_form(model: nn.Module, name: str, layer: Any, finding: Finding) -> Change | None:
    parent, _, child = name.rpartition(".")
    if not child:
        return None
    other = convert(layer, "sub-pixel")
    size = [max(8, kernel) for kernel in layer.kernel_size]
    x = torch.randn(2, layer.in_channels, *size, dtype=layer.weight.dtype, device=layer.weight.device)
    with torch.no_grad():
        difference = _relative(other(x), layer(x))
    if difference > EQUAL:
        return None
    setattr(model.get_submodule(parent), child, other)
    made = f'uc.upsample.convert(model.get_submodule({quoted(name)}), "sub-pixel")'
    code = f"setattr(model.get_submodule({quoted(parent)}), {quoted(child)}, {made})"
    return Change(finding, code, f"equal outputs: largest difference {difference:.1g}, relative", equal=True)


def _relative(one: Tensor, other: Tensor) -> float:
    return float((one - other).abs().max() / other.abs().max().clamp(min=1e-30))
