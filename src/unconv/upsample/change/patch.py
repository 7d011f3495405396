"""Patches: findings of an audit mended in the model; what stays equal is proved, what changes is shown."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from unconv.describe import counted, listed
from unconv.errors import UnconvError, one_line
from unconv.network.audit.audit import Audit, audit as audit_module
from unconv.network.audit.finding import Finding, module_of
from unconv.network.run.computed_weights import detached_weights
from unconv.network.run.model_state import at_rest
from unconv.network.run.outputs import output_leaves
from unconv.results import Shown
from unconv.upsample.change.mend import Change, mend, relative
from unconv.upsample.change.patched_file import check_patched_file, write_patched_file

WHOLE = 1e-4
"""Largest difference of the model's outputs, which adds up the rounding of all layers in other forms."""


@dataclass(frozen=True)
class Refused:
    """A finding that could be mended in other layers, and not in this one.

    Attributes:
        finding: that is left.
        reason: why.
    """

    finding: Finding
    reason: str


@dataclass(frozen=True)
class Again:
    """What a second audit, of the copy, says of the findings of the first.

    Attributes:
        gone: findings of the first that it has no more.
        same: its findings that the first had, too.
        new: its findings that the model had not before it was changed.
        unmeasured: ``faster-form`` of layers that were left: which form is the faster is not measured again.
    """

    gone: tuple[Finding, ...]
    same: tuple[Finding, ...]
    new: tuple[Finding, ...]
    unmeasured: tuple[Finding, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As plain data, each finding by its layer and its rule."""
        rows = {"gone": self.gone, "same": self.same, "new": self.new, "unmeasured": self.unmeasured}
        return {name: [{"layer": one.layer, "rule": one.rule} for one in findings] for name, findings in rows.items()}

    def __str__(self) -> str:
        rows = {"as before": self.same, "not measured again": self.unmeasured, "new": self.new}
        told = [f"{name}: {listed(map(_brief, findings))}" for name, findings in rows.items() if findings]
        return "; ".join([f"{counted(len(self.gone), 'finding')} gone", *told, *([] if self.new else ["none new"])])


def _brief(finding: Finding) -> str:
    return f"{finding.layer or 'model'} [{finding.rule}]"


@dataclass(frozen=True, eq=False, repr=False)
class Patched(Shown):
    """A copy of the model with its changes.

    Attributes:
        model: the copy.
        changes: what was done.
        left: findings that are as they were: they need a decision, or retraining, or are refused.
        audit: of the copy, without forms that are measured: findings that were mended are not among its own.
        again: what that says of the findings of the first audit.
        refused: of those left, the ones of layers that cannot be changed, with the reason.
        difference: of all that the model returns for random inputs, before and after the changes that are to leave
            them equal: the largest, relative. None where there are none of these.
    """

    model: nn.Module
    changes: tuple[Change, ...]
    left: tuple[Finding, ...]
    audit: Audit
    again: Again
    refused: tuple[Refused, ...] = ()
    difference: float | None = None

    def _heading(self) -> str:
        return f"Patched {type(self.model).__name__}: {counted(len(self.changes), 'change')}, {len(self.left)} left"

    def _facts(self) -> Iterator[tuple[str, str]]:
        for change in self.changes:
            yield _brief(change.finding), change.told
        reasons = {id(one.finding): one.reason for one in self.refused}
        for finding in self.left:
            told = reasons.get(id(finding), finding.message)
            yield _brief(finding), f"left as it is: {told}"
        if self.difference is not None:
            yield "the whole model", f"{self.difference:.1g} apart, relative, where it is to be equal"
        yield "audited again", str(self.again)

    def to_dict(self) -> dict[str, Any]:
        """What was done and what was not, as plain data, for JSON."""
        return {
            "changes": [
                {"layer": one.finding.layer, "rule": one.finding.rule, "told": one.told, "equal": one.equal}
                for one in self.changes
            ],
            "refused": [
                {"layer": one.finding.layer, "rule": one.finding.rule, "reason": one.reason} for one in self.refused
            ],
            "difference": self.difference,
            "audited_again": self.again.to_dict(),
            "findings": [finding.to_dict() for finding in self.audit.findings],
        }

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
    """A copy of an audited model in which what can be mended is; audited again.

    Transposed convolutions that another form computes sooner are put into that form, and have to return the same on
    random inputs, each by itself and the model as a whole; where phases pass unequal amounts of a constant, the nearest
    kernels that do not are put in, through what computes them where they are computed. Patterns that the second audit
    finds again are as they were, and among those refused; what it says of the findings of all rules is in ``again``.

    Raises :class:`~unconv.errors.UnconvError` if the model as a whole returns something else than before, and if it
    cannot be copied.

    >>> patched = patch(audit_module(nn.Sequential(nn.ConvTranspose2d(8, 3, 3, stride=2)), (8, 16, 16), measure=False))
    >>> [change.finding.rule for change in patched.changes], patched.changes[0].code
    (['uneven-overlap'], 'uc.upsample.equalised_(model.get_submodule("0"))')
    >>> [finding.rule for finding in patched.audit.findings], str(patched.again)
    (['misses-multiple'], '1 finding gone; as before: 0 [misses-multiple]; none new')
    """
    mended = _mended(audit, {})
    again = _audited(audit, mended.model)
    still = {id(one.finding): "the audit of the result finds it again" for one in mended.changes if _is_in(one, again)}
    if still:
        mended = _mended(audit, still)
        again = _audited(audit, mended.model)
    changed = {id(finding) for change in mended.changes for finding in _alike(audit, change.finding)}
    left = tuple(one for one in audit.findings if id(one) not in changed)
    compared = _compare(audit, again, changed)
    # Findings that the first audit was told to leave out are left out.
    again = replace(again, findings=tuple(one for one in again.findings if one in (*compared.same, *compared.new)))
    rest = (tuple(mended.refused), mended.difference)
    return Patched(mended.model, tuple(mended.changes), left, again, compared, *rest)


@dataclass(frozen=True)
class _Mended:
    model: nn.Module
    changes: list[Change]
    refused: list[Refused]
    difference: float | None


_PATTERNS = ("uneven-overlap", "unequal-phases")
_RULES = (*_PATTERNS, "faster-form")


def _mended(audit: Audit, refused: dict[int, str]) -> _Mended:
    """A changed copy; ``refused`` are the findings, by their ids, that are to be left, and why."""
    model = _copied(audit.model)
    changes: list[Change] = []
    kept = [Refused(one, refused[id(one)]) for one in audit.findings if id(one) in refused]
    # Weights first: a layer in another form is no transposed convolution any more.
    order = sorted(audit.findings, key=lambda one: one.rule == "faster-form")
    done: set[int] = set()
    before: list[Tensor] | None = None
    inputs = _inputs(model, audit)
    for finding in order:
        if finding.rule not in _RULES or id(finding) in {*refused, *done}:
            continue
        try:
            if finding.rule == "faster-form" and before is None:
                before = _outputs(model, inputs)
            changes.append(mend(model, audit.graph, finding))
        except UnconvError as reason:
            kept.append(Refused(finding, str(reason)))
            continue
        # A layer that runs several times is found as often, and mended once.
        done.update(id(one) for one in _alike(audit, finding))
    difference = None
    if before is not None and any(change.equal for change in changes):
        difference = _compared(_outputs(model, inputs), before)
    return _Mended(model, changes, kept, difference)


def _alike(audit: Audit, finding: Finding) -> list[Finding]:
    """All findings of that rule in the same module."""
    name = module_of(finding.layer)
    return [one for one in audit.findings if one.rule == finding.rule and module_of(one.layer) == name]


def _audited(audit: Audit, model: nn.Module) -> Audit:
    sizes = audit.graph.input_sizes
    return audit_module(model, sizes, dtype=audit.dtype, measure=False, images=audit.images, axes=audit.graph.axes)


def _compare(audit: Audit, again: Audit, changed: set[int]) -> Again:
    """What the second audit says of the findings of the first, of which some, by their ids, were mended."""
    same = tuple(one for one in again.findings if any(_are_alike(one, first) for first in audit.findings))
    others = [one for one in again.findings if one not in same]
    before = _audited(audit, audit.model).findings if others else ()
    new = tuple(one for one in others if not any(_are_alike(one, first) for first in before))
    waiting = [one for one in audit.findings if not any(_are_alike(other, one) for other in same)]
    unmeasured = tuple(one for one in waiting if one.rule == "faster-form" and id(one) not in changed)
    return Again(tuple(one for one in waiting if one not in unmeasured), same, new, unmeasured)


def _are_alike(one: Finding, first: Finding) -> bool:
    """Whether a finding says what another did before: in the same module, or in what took its place."""
    name, owner = module_of(one.layer), module_of(first.layer)
    patterns = one.rule in _PATTERNS and first.rule in _PATTERNS
    return (one.rule == first.rule or patterns) and (name == owner or name.startswith(f"{owner}."))


def _is_in(change: Change, again: Audit) -> bool:
    """Whether a pattern that was taken out is found again."""
    return not change.equal and any(_are_alike(one, change.finding) for one in again.findings)


def _copied(model: nn.Module) -> nn.Module:
    try:
        return copy.deepcopy(model, detached_weights(model))
    except Exception as error:
        raise UnconvError(
            f"audit: {type(model).__name__} cannot be copied, and is not patched: {one_line(error)}"
        ) from error


def _inputs(model: nn.Module, audit: Audit) -> list[Tensor]:
    """Random inputs, two of each; of whole numbers zeros, which stand for something everywhere."""
    like = next((one for one in model.parameters() if one.is_floating_point()), torch.empty(0))
    generator = torch.Generator().manual_seed(0)
    sizes = audit.graph.input_sizes
    given = [audit.dtype] * len(sizes) if audit.dtype is None or isinstance(audit.dtype, torch.dtype) else audit.dtype
    kinds = [one or like.dtype for one in given]
    return [
        torch.randn(2, *size, generator=generator).to(like.device, kind)
        if kind.is_floating_point
        else torch.zeros(2, *size, dtype=kind, device=like.device)
        for size, kind in zip(sizes, kinds, strict=True)
    ]


def _outputs(model: nn.Module, inputs: list[Tensor]) -> list[Tensor]:
    """All floating tensors that a model returns, in eval mode; raises UnconvError where it does not run."""
    try:
        with at_rest(model, frozen=False), torch.no_grad():
            returned = [leaf for _, leaf in output_leaves(model(*inputs))]
    except Exception as error:
        raise UnconvError(f"the model does not run on random inputs, to compare: {one_line(error)}") from error
    return [one for one in returned if isinstance(one, Tensor) and one.is_floating_point()]


def _compared(after: list[Tensor], before: list[Tensor]) -> float:
    """How far outputs are apart; raises UnconvError where that is more than rounding."""
    pairs = zip(after, before, strict=False)
    difference = max((relative(one, other) for one, other in pairs), default=0.0)
    if len(after) != len(before) or not difference <= WHOLE:
        raise UnconvError(
            f"audit: with layers in other forms the model returns something else, by {difference:.1g} of its "
            f"largest value, not {WHOLE:g}; leave them as they are with --ignore faster-form"
        )
    return difference
