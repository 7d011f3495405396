"""``audit``: a model's layers, and what is likely to be wrong with them."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from html import escape
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn

from unconv.choices import AuditRule
from unconv.describe import LINES, WIDTH, counted, cut, rows_text, wrapped
from unconv.errors import GeometryError, ModelError, UnconvError
from unconv.files import check_file, write_whole
from unconv.network.audit.audit_rules import AUDIT_RULES, SEVERITIES, Severity
from unconv.network.audit.checks.borders import check_borders
from unconv.network.audit.checks.ends import check_ends
from unconv.network.audit.checks.fields import check_fields
from unconv.network.audit.checks.forms import check_forms
from unconv.network.audit.checks.meeting import Dtype, check_other_sizes, find_mismatch, report_mismatch
from unconv.network.audit.checks.pattern import check_pattern
from unconv.network.audit.checks.upsampled_sizes import check_upsampled_sizes
from unconv.network.audit.finding import Finding, Subject, findings_table, module_of
from unconv.network.audit.sites.locate import locate
from unconv.network.run.computed_weights import has_parts
from unconv.network.run.input_axes import Axes, read_axes
from unconv.network.run.input_sizes import InputSize, tell_added_channels, told_dtypes
from unconv.network.run.unwrap_compiled import unwrap_compiled
from unconv.network.trace.build_graph import build_graph
from unconv.network.trace.explain_failure import explain_failure
from unconv.network.trace.graph import TEXTS, Graph, Layer, left_out_text, rows
from unconv.network.trace.trace import attempt
from unconv.results import Tabled, data_frame, draw_with

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

FORMATS = (".html", ".sarif", ".json")
# Of the lines of an audit's text, those that findings may take: the others are for layers.
TOLD = 12

# They read sizes behind the channels.
_OF_SIZES = ("misses-input", "misses-multiple", "only-some-sizes")


@dataclass(frozen=True, repr=False)
class Audit(Tabled):
    """Layers and findings of a model.

    Attributes:
        graph: its layers; where sizes do not meet, those up to there.
        findings: the gravest first, then by layer.
        model: what was looked at.
        dtype, images: with which, as in :func:`audit`.
    """

    graph: Graph
    findings: tuple[Finding, ...]
    model: nn.Module = field(repr=False, compare=False)
    dtype: Dtype = field(default=None, repr=False, compare=False)
    images: Sequence[Tensor] | None = field(default=None, repr=False, compare=False)

    @property
    def layers(self) -> tuple[Layer, ...]:
        """All layers, in the order in which they run."""
        return self.graph.layers

    @property
    def parameters(self) -> int:
        """All parameters of the model."""
        return self.graph.parameters

    @property
    def macs(self) -> int:
        """Multiply–accumulates of one input."""
        return self.graph.macs

    @property
    def unchecked(self) -> tuple[str, ...]:
        """Rules that were not applied: those that compare sizes, where an input is not (channels, \\*places)."""
        return () if all(one.usual for one in self.graph.axes) else _OF_SIZES

    @property
    def name(self) -> str:
        """The model's class."""
        return type(self.model).__name__

    def at_least(self, severity: Severity) -> tuple[Finding, ...]:
        """The findings that are that grave, or graver. Raises UnconvError for what is no severity."""
        if severity not in SEVERITIES:
            raise UnconvError(f"audit: severity {severity!r} is not one of {', '.join(SEVERITIES)}")
        grave = SEVERITIES[: SEVERITIES.index(severity) + 1]
        return tuple(finding for finding in self.findings if finding.severity in grave)

    def without(self, rules: Collection[AuditRule]) -> Audit:
        """The audit without the findings of some rules. Raises UnconvError for rules that do not exist."""
        for rule in rules:
            if rule not in AUDIT_RULES:
                raise UnconvError(f"audit: there is no rule {rule!r}; rules are {', '.join(AUDIT_RULES)}")
        return replace(self, findings=tuple(finding for finding in self.findings if finding.rule not in rules))

    def save(self, path: str | PathLike[str], title: str | None = None) -> Path:
        """Write it, whole or not at all, and return where: ``.html`` (a page), ``.sarif`` (for code hosts and editors)
        or ``.json``.

        Raises UnconvError for another ending and places that cannot be written to; what was there stays.
        """
        target = Path(path)
        ending = target.suffix.lower()
        check_file(target, FORMATS, "audit")
        if ending == ".html":
            from unconv.network.audit.page import audit_page

            text = audit_page(self.graph, self.findings, title or self.name)
        elif ending == ".sarif":
            from unconv.network.audit.sarif import sarif_of

            text = json.dumps(sarif_of(self.findings), indent=1, ensure_ascii=False)
        else:
            text = json.dumps(self.to_dict(), indent=1, ensure_ascii=False)
        return write_whole(target, text + "\n", "audit")

    def to_dict(self) -> dict[str, Any]:
        """The audit as plain data, for JSON."""
        findings = [finding.to_dict() for finding in self.findings]
        return {**self.graph.to_dict(), "findings": findings, "unchecked": list(self.unchecked)}

    def __repr__(self) -> str:
        counts = [f"{sum(f.severity == one for f in self.findings)} {one}s" for one in SEVERITIES]
        totals = f"{len(self.layers)} layers, {self.parameters:,} parameters, {self.graph.macs_text}"
        return f"Audit({totals}, {', '.join(counts)})"

    def __str__(self) -> str:
        told: list[str] = []
        for number, finding in enumerate(self.findings):
            more = [*wrapped(str(finding), 4), *(f"    {line}" for line in wrapped(f"fix: {finding.fix}", 5))]
            if finding.location is not None:
                more.append(f"    at:  {finding.location}")
            if told and len(told) + len(more) > TOLD:
                told.append(f"… {counted(len(self.findings) - number, 'more finding')}")
                break
            told += more
        if self.unchecked:
            told = [*(told or ["no findings"]), f"not checked, for axes in another order: {', '.join(self.unchecked)}"]
        lines = LINES - 1 - max(len(told), 1) - bool(self.graph.uncounted)
        layers = rows_text(list(rows(self.graph)), TEXTS, lines=lines) + left_out_text(self.graph)
        return "\n".join([layers, "", *(cut(line, WIDTH) for line in told or ["no findings"])])

    def plot(self) -> Figure:
        """Draw MACs, parameters and fields of the layers; those that findings are about stand out.

        Raises :class:`~unconv.errors.MissingExtraError` where matplotlib is not installed.
        """
        marked = {finding.layer: finding.severity for finding in reversed(self.findings)}
        figure: Figure = draw_with("unconv.network.trace.graph_figure:plot_graph", self.graph, marked)
        return figure

    def to_dataframe(self, of: Literal["layers", "findings"] = "layers") -> DataFrame:
        """Layers, with how many findings each has, or findings, as a :class:`pandas.DataFrame`.

        Raises :class:`~unconv.errors.MissingExtraError` where pandas is not installed, UnconvError for another ``of``.
        """
        if of not in ("layers", "findings"):
            raise UnconvError(f"audit: to_dataframe of {of!r}; it is 'layers' or 'findings'")
        return data_frame(self._rows() if of == "layers" else (finding.to_dict() for finding in self.findings))

    def _rows(self) -> Iterator[Mapping[str, Any]]:
        for row in self.graph._rows():
            yield {**row, "findings": sum(finding.layer == row["layer"] for finding in self.findings)}

    def _repr_html_(self) -> str:
        layers = f'<div style="margin-top:1em">{self.graph._repr_html_()}</div>'
        return f"<div><p><b>{escape(repr(self))}</b></p>{findings_table(self.findings)}{layers}</div>"


def audit(
    model: nn.Module,
    input_size: InputSize = None,
    *,
    dtype: torch.dtype | Sequence[torch.dtype] | None = None,
    measure: bool = True,
    images: Tensor | Sequence[Tensor] | None = None,
    axes: Axes = None,
) -> Audit:
    """A model's layers with sizes, receptive fields, parameters and MACs, and what is likely to be wrong.

    Nothing is computed but sizes; and, where there are transposed convolutions or pixel shuffles, what their weights
    make of a constant, behind one pass of a picture of ones unless images are given, and which form is the fastest.

    Args:
        model: any torch module; weights may be random, or on the meta device.
        input_size: (channels, *axes), or another way to say it as in :func:`unconv.trace`; several inputs are a
            sequence of such sizes.
        dtype: of the inputs, as in :func:`unconv.trace`.
        measure: try forms of transposed convolutions against each other; False for findings that do not depend on the
            machine.
        images: what the model is for, (batch, channels, *axes), one tensor for each input: checkerboard patterns are
            then judged by what these bring to each upsampling layer.
        axes: what each axis of an input is, as in :func:`unconv.trace`.

    Raises :class:`~unconv.errors.ModelError` where the model does not take such an input, or its path depends on
    values; tensors of different sizes that are joined are no error but a finding.

    >>> model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ConvTranspose2d(8, 3, 3, stride=2))
    >>> found = audit(model, (3, 32, 32), measure=False)
    >>> found.macs, [(finding.severity, finding.layer, finding.rule) for finding in found.findings]
    (442368, [('warning', '1', 'uneven-overlap'), ('hint', '1', 'misses-multiple')])
    """
    recorder, sizes, error = attempt(model, input_size, dtype=dtype, axes=read_axes(axes, "audit"))
    model = unwrap_compiled(model)
    dtype = told_dtypes(input_size, model) if dtype is None else dtype
    if error is not None:
        mismatch = find_mismatch(recorder, sizes)
        if mismatch is None:
            if isinstance(error, UnconvError) and not isinstance(error, GeometryError):
                raise error
            added = "" if axes else tell_added_channels(input_size, sizes)
            message = explain_failure(error, recorder.stack).replace("trace:", "audit:", 1)
            raise ModelError(message + added) from error
        return Audit(mismatch.graph, _located([report_mismatch(model, mismatch, dtype)], model), model, dtype)
    if not recorder.records:
        raise ModelError("audit: the model does nothing with its input; there is no layer to show")
    subject = Subject(model, build_graph(recorder, sizes))
    shown = _images_of(images, sizes)
    found = [*check_pattern(subject, shown), *check_borders(subject), *check_fields(subject), *check_ends(subject)]
    if all(one.usual for one in subject.graph.axes):  # as Audit.unchecked says
        found.extend(check_upsampled_sizes(subject))
        found.extend(check_other_sizes(subject, dtype))
    if measure:
        found.extend(check_forms(subject))
    order = {layer.name: n for n, layer in enumerate(subject.graph)}
    found.sort(key=lambda one: (SEVERITIES.index(one.severity), order.get(one.layer, len(order))))
    return Audit(subject.graph, _located(found, model), model, dtype, shown)


def _located(found: Sequence[Finding], model: nn.Module) -> tuple[Finding, ...]:
    """The findings with the lines that make their layers; of a network that is one layer, the line that makes it."""
    single = not has_parts(model)
    return tuple(replace(one, location=locate(model, "" if single else module_of(one.layer))) for one in found)


def _images_of(images: Tensor | Sequence[Tensor] | None, sizes: Sequence[Sequence[int]]) -> Sequence[Tensor] | None:
    """One tensor for each input, of its size; raises ModelError for others."""
    given = [images] if isinstance(images, Tensor) else images
    if given is not None and [tuple(one.shape[1:]) for one in given] != [tuple(size) for size in sizes]:
        shapes = " and ".join(str(tuple(one.shape)) for one in given)
        wanted = " and ".join(f"(batch, {', '.join(map(str, size))})" for size in sizes)
        raise ModelError(f"audit: images of shape {shapes} for inputs of {wanted}; give one tensor for each input")
    return given
