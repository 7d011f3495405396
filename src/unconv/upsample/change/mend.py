"""Mending one finding of an audit in its layer: equal phases, or another form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import type_before_parametrizations

from unconv.errors import UnconvError
from unconv.network.audit.checks.shuffles import in_turn, order_behind, scale_factor
from unconv.network.audit.checks.sub_pixel_layers import find_shuffles
from unconv.network.audit.finding import Finding, Subject, module_of, quoted
from unconv.network.audit.pattern_score import NOTICEABLE
from unconv.network.run.computed_weights import computed_by, weight_of
from unconv.network.trace.graph import Graph
from unconv.operators.checkerboard import subpixel_score
from unconv.upsample.checkerboard import checkerboard_score, equalised_
from unconv.upsample.convert import convert
from unconv.upsample.initialise import equalised_phases_

EQUAL = 1e-5
"""Largest difference of a layer's outputs in another form, relative."""

_CHANGED = ": outputs change by the pattern that is taken out"
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


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


def mend(model: nn.Module, graph: Graph, finding: Finding) -> Change:
    """Change the layer of a finding, in place, so that there is nothing left to find.

    Args:
        model: to change.
        graph: of it.
        finding: ``uneven-overlap``, ``unequal-phases`` or ``faster-form``.

    Raises :class:`~unconv.errors.UnconvError` where that cannot be done, in one line with the reason; the layer is then
    as it was.

    >>> from unconv.network.audit.audit import audit
    >>> found = audit(nn.Sequential(nn.ConvTranspose2d(8, 3, 3, stride=2)), (8, 16, 16), measure=False)
    >>> mend(found.model, found.graph, found.findings[0]).code
    'uc.upsample.equalised_(model.get_submodule("0"))'
    """
    layer: Any = Subject(model, graph).module(graph[finding.layer])
    if layer is None:
        raise UnconvError("its weight is no layer's of torch, and only code that is known can be changed")
    name = "" if layer is model else module_of(finding.layer)
    at = f"model.get_submodule({quoted(name)})" if name else "model"
    weight = weight_of(layer)
    if weight is None or weight.is_meta:
        raise UnconvError(
            "its weights are on the meta device, without values"
            if weight is not None
            else f"{type(layer).__name__} has no weight that is known to be the one"
        )
    if finding.rule == "faster-form":
        _check_alone(model, layer, "which would have its own")
        return _other_form(model, name, layer, finding)
    _check_alone(model, layer, "which would change with it")
    if type_before_parametrizations(layer) in _TRANSPOSED:
        score = _change(layer, checkerboard_score, equalised_)
        return Change(finding, f"uc.upsample.equalised_({at})", score + _CHANGED, equal=False)
    phases = _phases(Subject(model, graph), layer, finding)
    factor = scale_factor(phases, weight.ndim - 2)
    score = _change(layer, lambda one: _phase_score(one, phases), lambda one: equalised_phases_(one, factor))
    code = f"uc.upsample.equalised_phases_({at}, {factor})"
    return Change(finding, code, score + _CHANGED, equal=False)


def _phases(subject: Subject, layer: nn.Module, finding: Finding) -> int:
    """How many phases a convolution makes side by side; raises UnconvError for other layers, and for another order."""
    shuffle = next((one for one in find_shuffles(subject) if one.layer.name == finding.layer), None)
    if shuffle is None or not isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Conv3d):
        raise UnconvError(f"{type(layer).__name__} is neither a transposed convolution nor one before a pixel shuffle")
    order = order_behind(subject, shuffle)
    if order is None or not in_turn(order):
        raise UnconvError(f"its phases do not lie side by side, as nn.PixelShuffle takes them; by hand: {finding.fix}")
    return order.shape[1]


def _phase_score(layer: nn.Module, phases: int) -> float:
    weight = weight_of(layer)
    assert weight is not None
    return subpixel_score(weight, phases)


def _change(layer: nn.Module, score: Callable[[nn.Module], float], equalise: Callable[[nn.Module], object]) -> str:
    """Make the phases of a layer equal, and tell the scores; where that fails the layer is as before."""
    before, state = score(layer), {name: one.clone() for name, one in layer.state_dict().items()}
    norm = _norm(layer)
    equalise(layer)
    after = score(layer)
    if not after <= NOTICEABLE:
        layer.load_state_dict(state)
        raise UnconvError(f"{computed_by(layer)} computes its weight, and keeps a pattern score of {after:.2g}")
    told = f"pattern score {before:.2g} before, {after:.1g} after"
    if "spectral_norm" in computed_by(layer):
        told += f", norm of the weight {norm:.3g} before, {_norm(layer):.3g} after, by spectral_norm"
    return told


def _norm(layer: nn.Module) -> float:
    weight = weight_of(layer)
    return 0.0 if weight is None else float(weight.detach().norm())


def _check_alone(model: nn.Module, layer: nn.Module, consequence: str) -> None:
    """Refuse a layer whose parameters others have, too, and say what would become of these."""
    inside, own = {id(one) for one in layer.modules()}, {id(one) for one in layer.parameters()}
    for name, module in model.named_modules():
        if id(module) not in inside and any(id(one) in own for one in module.parameters(recurse=False)):
            raise UnconvError(f"its weight is that of {name or 'the model'}, too, {consequence}")


def _other_form(model: nn.Module, name: str, layer: Any, finding: Finding) -> Change:
    parent, _, child = name.rpartition(".")
    if not child:
        raise UnconvError('it is the whole model; write model = uc.upsample.convert(model, "sub-pixel")')
    if type(layer) not in _TRANSPOSED or computed_by(layer):
        raise UnconvError(f"{computed_by(layer) or type(layer).__name__} computes its weight, which would be lost")
    other = convert(layer, "sub-pixel")
    size = [max(8, kernel) for kernel in layer.kernel_size]
    x = torch.randn(2, layer.in_channels, *size, dtype=layer.weight.dtype, device=layer.weight.device)
    with torch.no_grad():
        difference = relative(other(x), layer(x))
    if not difference <= EQUAL:
        raise UnconvError(f"the other form returns something else, by {difference:.1g} of the largest value")
    setattr(model.get_submodule(parent), child, other)
    made = f'uc.upsample.convert(model.get_submodule({quoted(name)}), "sub-pixel")'
    code = f"setattr(model.get_submodule({quoted(parent)}), {quoted(child)}, {made})"
    return Change(finding, code, f"equal outputs: largest difference {difference:.1g}, relative", equal=True)


def relative(one: Tensor, other: Tensor) -> float:
    """The largest difference of two tensors, by the largest value of the second; infinite where sizes differ.

    >>> relative(torch.tensor([1.0, 3.0]), torch.tensor([1.0, 4.0])), relative(torch.ones(2), torch.ones(3))
    (0.25, inf)
    """
    if one.shape != other.shape:
        return float("inf")
    return float((one - other).abs().max() / other.abs().max().clamp(min=1e-30)) if one.numel() else 0.0
