"""``unconv audit``: a model's layers, and what is likely to be wrong with them."""

from __future__ import annotations

import json as json_format
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from unconv.choices import AuditRule
from unconv.cli import inputs, options, spelling
from unconv.cli.completion import complete_model, complete_words
from unconv.cli.notes import tell_notes
from unconv.cli.outputs import WEIGHTS, File, check_outputs
from unconv.errors import UnconvError
from unconv.models.load.sources import brings_weights

if TYPE_CHECKING:
    from unconv.network.audit.audit import Audit
    from unconv.network.working_sizes import WorkingSizes

EXAMPLES = (
    "unconv audit torchvision:resnet50",
    "unconv audit net.py:build --input-size 1x572x572 -o audit.html",
    "unconv audit net.py:build --fix patched.py  # then audit patched.py:build",
    "unconv audit net.py:small net.py:large --fail-on warning -o audit.sarif",
)
RENAMED = {"--layers": "--table", "--no-layers": "--no-table"}

_COLOURS = {"error": "red", "warning": "yellow", "hint": "blue"}
_LEVELS = ("error", "warning", "hint", "never")


def audit(
    model: Annotated[
        list[str], typer.Argument(metavar="MODEL", help="Networks, see unconv models.", autocompletion=complete_model)
    ],
    network: options.Sized,
    held: inputs.Held,
    job: options.Job,
    input_size: Annotated[
        str | None,
        typer.Option(
            "-i",
            "--input-size",
            help="Channels and size that it is given: 3x224x224; several joined by commas.",
            show_default="what it is made for",
        ),
    ] = None,
    axes: Annotated[
        str | None,
        typer.Option(
            "--axes",
            help="What each axis of it is, c for channels: t, 't c', hwc.",
            show_default="c, then places",
        ),
    ] = None,
    out: Annotated[Path | None, options.out("Also write a page (.html), .sarif or .json.")] = None,
    fix: Annotated[
        Path | None,
        typer.Option("--fix", help="Write a patched model (.py with build(), weights beside) and tell what changed."),
    ] = None,
    fail_on: Annotated[
        str, typer.Option("--fail-on", help="Exit with 1 from this severity on: error, warning, hint or never.")
    ] = "error",
    ignore: Annotated[
        str | None,
        typer.Option(
            "--ignore",
            help="Rules to leave out, joined by commas.",
            autocompletion=complete_words(AuditRule, joined=True),
        ),
    ] = None,
    table: Annotated[bool, typer.Option("--table/--no-table", help="Print the table of layers.")] = True,
    measure: Annotated[
        bool, typer.Option("--measure/--no-measure", help="Try faster forms of layers on this machine.")
    ] = True,
    sizes: Annotated[
        bool, typer.Option("--sizes", help="Also tell which input sizes work, axis by axis, with code for any size.")
    ] = False,
    force: options.Force = False,
) -> None:
    """Look through models: a table of layers, findings, and the fix for each. No weights are needed.

    Exit codes: 0, no finding as grave as --fail-on; 1, there is one; 2, not audited or not written.
    """
    if fail_on not in _LEVELS:
        raise UnconvError(f"--fail-on {fail_on!r} is not one of {', '.join(_LEVELS)}")
    told = None if input_size is None else _sizes(input_size)
    if told is not None and network.size is not None:
        raise UnconvError("--input-size and --size both say what the model is given; leave out one of them")
    beside = held.read()
    if beside and fix is not None:
        raise UnconvError("--fix is for networks that take images alone, and --input holds more; leave out one of them")
    named = list(dict.fromkeys(model))
    if len(named) > 1:
        _check_several(network, fix)
    from unconv.network.audit.audit import FORMATS
    from unconv.network.run.input_axes import read_axes

    read_axes(axes, "--axes")
    check_outputs([File("--out", out, FORMATS), *_fixed(fix, named[0], force)], [*named, network.weights])
    rules = spelling.names(ignore) or []

    def look(one: str) -> _Looked:
        return _look(one, network, beside, told, axes, measure, rules, sizes)

    if len(named) > 1:
        raise typer.Exit(_tell_several(named, look, table, out, job.json, fail_on))
    looked = look(named[0])
    found = looked.audit
    if out is not None:
        found.save(out, title=looked.model)
    if not job.json:
        _tell(looked, table)
        if out is not None:
            typer.echo(f"wrote {out}")
        _tell_weights([looked])
        tell_notes(looked.notes)
    fixed = {}
    if fix is not None:
        random_weights = looked.stand_in or network.random_weights
        fixed = {"fix": _patch(found, fix, looked.model, random_weights, force, quiet=job.json)}
    if job.json:
        typer.echo(json_format.dumps({**looked.to_dict(), **fixed}, ensure_ascii=False))
    raise typer.Exit(_code(found, fail_on))


@dataclass(frozen=True)
class _Looked:
    """A network as it was audited; ``stand_in``: with random weights that nobody asked for."""

    model: str
    weights: str
    audit: Audit
    stand_in: bool
    notes: tuple[str, ...] = ()
    sizes: WorkingSizes | None = None

    def to_dict(self) -> dict[str, Any]:
        """The audit as plain data, with the model and its weights."""
        sizes = {} if self.sizes is None else {"working_sizes": self.sizes.to_dict()}
        named = {"model": self.model, "weights": self.weights, "notes": list(self.notes)}
        return {**named, **self.audit.to_dict(), **sizes}


def _look(
    model: str,
    network: options.Sized,
    beside: dict[str, Any],
    told: tuple[str, ...] | None,
    axes: str | None,
    measure: bool,
    rules: list[str],
    with_sizes: bool,
) -> _Looked:
    from unconv.network.audit.audit import audit as run

    # A file's own weights are what it makes; of others, random ones do.
    own = brings_weights(model) or network.weights is not None
    loaded = network.load(model, random_weights=network.random_weights or not own)
    from unconv.network.run.input_sizes import states_inputs

    size = loaded.takes or loaded.input_size
    sizes: Any = told if told is not None else (size,)
    if told is None and (not size or (network.size is None and states_inputs(loaded.module))):
        sizes = None
    from unconv.network.run.held_inputs import hold_for_trace

    only = sizes[0] if beside and sizes is not None and len(sizes) == 1 else sizes
    module, sizes = hold_for_trace(loaded.module, only, operation="audit", **beside)
    try:
        found = run(module, sizes, measure=measure, axes=axes).without(rules)  # type: ignore[arg-type]
    except SystemExit as end:
        # By the model's own code: with 1 it would pass for a finding.
        raise UnconvError(f"audit: {model} ended the program (SystemExit: {end.code}) when it was run") from None
    works = None
    if with_sizes:
        from unconv.network.find_working_sizes import working_sizes

        works = working_sizes(module, found.graph.input_sizes, axes=found.graph.axes)
    return _Looked(model, loaded.weights, found, not own and not network.random_weights, loaded.fitted, works)


def _check_several(network: options.Sized, fix: Path | None) -> None:
    for option, given in (("--fix", fix), ("--weights", network.weights)):
        if given is not None:
            raise UnconvError(f"{option} is for one MODEL, and several are named; name one")


def _tell_several(
    models: list[str], look: Callable[[str], _Looked], table: bool, out: Path | None, json: bool, fail_on: str
) -> int:
    """Audit models one by one; what is refused is told, and the others are audited all the same."""
    from unconv.network.audit.several import save_audits

    looked: list[_Looked] = []
    refused: dict[str, str] = {}
    for model in models:
        try:
            looked.append(look(model))
        except UnconvError as refusal:
            refused[model] = str(refusal)
            typer.echo(f"unconv: {spelling.in_shell(str(refusal))}", err=True)
            continue
        if not json:
            _tell(looked[-1], table)
            typer.echo()
    if out is not None:
        save_audits({one.model: one.audit for one in looked}, out, refused)
    if json:
        told = [{"model": model, "error": text} for model, text in refused.items()]
        content = {"audits": [one.to_dict() for one in looked], "refused": told}
        typer.echo(json_format.dumps(content, ensure_ascii=False))
    else:
        typer.echo(f"{len(models)} models: {len(looked)} audited, {len(refused)} refused")
        if out is not None:
            typer.echo(f"wrote {out}")
        _tell_weights(looked)
    return 2 if refused else max(_code(one.audit, fail_on) for one in looked)


def _code(found: Audit, fail_on: str) -> int:
    """The exit code: 1 where a finding is as grave as that."""
    return int(fail_on != "never" and bool(found.at_least(fail_on)))  # type: ignore[arg-type]


def _tell_weights(looked: list[_Looked]) -> None:
    told = dict.fromkeys(one.weights for one in looked if one.stand_in)
    for weights in told:
        typer.echo(f"weights: {weights}, as findings do not depend on them; --weights FILE takes yours")


def _fixed(path: Path | None, model: str, force: bool) -> list[File]:
    """The files of a patched model, checked for what they alone could destroy."""
    if path is None:
        return []
    from unconv.upsample.change.patched_file import check_patched_file

    check_patched_file(path, model, force, "--fix")
    return [File("--fix", path, (".py",)), File("--fix (its weights)", path.with_suffix(".safetensors"), WEIGHTS)]


def _patch(found: Audit, path: Path, model: str, random_weights: bool, force: bool, quiet: bool) -> dict[str, Any]:
    """Write the patched model and tell what was done; the same as plain data."""
    from unconv.upsample.change.patch import patch

    patched = patch(found)
    for refused in patched.refused:
        typer.echo(f"left {refused.finding.layer} [{refused.finding.rule}]: {refused.reason}", err=quiet)
    if not patched.changes:
        if not patched.refused:
            typer.echo("nothing to fix: what was found needs a decision, or is nothing", err=quiet)
        return patched.to_dict()
    for change in patched.changes:
        typer.echo(f"fixed {change.finding.layer} [{change.finding.rule}]: {change.told}", err=quiet)
    if patched.difference is not None:
        typer.echo(
            f"the whole model, layers in other forms: equal, {patched.difference:.1g} apart, relative", err=quiet
        )
    typer.echo(f"audited again: {_counts(patched.audit)}; {patched.again}", err=quiet)
    for new in patched.again.new:
        typer.echo(f"new: {new}", err=quiet)
    file, weights = patched.save(path, model, random_weights, force)
    typer.echo(f"wrote {file} and {weights}; use it as {file}:build", err=quiet)
    return {**patched.to_dict(), "file": str(file), "weights": str(weights)}


def _sizes(text: str) -> tuple[str, ...]:
    parts = [part.strip() for part in text.split(",")]
    if not all(re.fullmatch(r"[1-9]\d*(x[1-9]\d*){0,3}", part) for part in parts):
        raise UnconvError(f"--input-size {text!r} is not channels and size, as 3x224x224; several are joined by commas")
    return tuple(parts)


def _tell(looked: _Looked, table: bool) -> None:
    found = looked.audit
    if table:
        typer.echo(found.graph.table())
        typer.echo()
    for finding in found.findings:
        severity = typer.style(finding.severity, fg=_COLOURS[finding.severity], bold=True)
        typer.echo(f"{severity} {finding.layer or 'model'}: {finding.message} [{finding.rule}]")
        typer.echo(f"    fix: {finding.fix}")
        if finding.location is not None:
            typer.echo(f"    at:  {finding.location}")
    if found.unchecked:
        typer.echo(f"not checked, for axes in another order: {', '.join(found.unchecked)}")
    if looked.sizes is not None:
        typer.echo(f"works for {looked.sizes.told}")
        typer.echo("\n".join(f"    {line}".rstrip() for line in looked.sizes.code.splitlines()))
    typer.echo(
        f"{looked.model}: {len(found.layers)} layers, {found.parameters:,} parameters, "
        f"{found.graph.macs_text.replace('MACs', 'multiply-accumulates')}; {_counts(found)}"
    )


def _counts(found: Audit) -> str:
    counts = [(one, sum(f.severity == one for f in found.findings)) for one in _LEVELS[:3]]
    return ", ".join(f"{count} {one}{'' if count == 1 else 's'}" for one, count in counts if count) or "no findings"
