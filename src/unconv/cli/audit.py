"""``unconv audit``: a model's layers, and what is likely to be wrong with them."""

from __future__ import annotations

import json as json_format
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unconv.cli import options, spelling
from unconv.cli.outputs import WEIGHTS, File, check_outputs
from unconv.errors import UnconvError

if TYPE_CHECKING:
    from unconv.network.audit.audit import Audit

EXAMPLES = (
    "unconv audit torchvision:resnet50",
    "unconv audit net.py:build --input-size 1x572x572 -o audit.html",
    "unconv audit net.py:build --fix patched.py  # then audit patched.py:build",
    "unconv audit net.py:build --fail-on warning --ignore same-differs  # for CI",
)
RENAMED = {"--input": "--input-size", "--layers": "--table", "--no-layers": "--no-table"}

_COLOURS = {"error": "red", "warning": "yellow", "hint": "blue"}
_LEVELS = ("error", "warning", "hint", "never")


def audit(
    model: options.Model,
    network: options.Sized,
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
    out: Annotated[Path | None, options.out("Also write a page (.html), .sarif or .json.")] = None,
    fix: Annotated[
        Path | None,
        typer.Option("--fix", help="Write a patched model (.py with build(), weights beside) and tell what changed."),
    ] = None,
    fail_on: Annotated[
        str, typer.Option("--fail-on", help="Exit with 1 from this severity on: error, warning, hint or never.")
    ] = "error",
    ignore: Annotated[str | None, typer.Option("--ignore", help="Rules to leave out, joined by commas.")] = None,
    table: Annotated[bool, typer.Option("--table/--no-table", help="Print the table of layers.")] = True,
    measure: Annotated[
        bool, typer.Option("--measure/--no-measure", help="Try faster forms of layers on this machine.")
    ] = True,
    force: options.Force = False,
) -> None:
    """Look through a model: a table of its layers, findings, and the fix for each. No weights are needed."""
    if fail_on not in _LEVELS:
        raise UnconvError(f"--fail-on {fail_on!r} is not one of {', '.join(_LEVELS)}")
    told = None if input_size is None else _sizes(input_size)
    if told is not None and network.size is not None:
        raise UnconvError("--input-size and --size both say what the model is given; leave out one of them")
    from unconv.network.audit.audit import FORMATS, audit as run

    check_outputs([File("--out", out, FORMATS), *_fixed(fix, model, force)], [model, network.weights])

    # A file's own weights are what it makes; of others, random ones do.
    own = re.search(r"\.py:", model) is not None or network.weights is not None
    loaded = network.load(model, random_weights=network.random_weights or not own)
    sizes = told if told is not None else (loaded.takes or loaded.input_size,)
    found = run(loaded.module, sizes, measure=measure).without(spelling.names(ignore) or ())  # type: ignore[arg-type]
    if out is not None:
        found.save(out, title=model)
    if job.json:
        about = {"model": model, "weights": loaded.weights}
        typer.echo(json_format.dumps({**about, **found.to_dict()}, ensure_ascii=False))
    else:
        _tell(found, model, table, out)
        if not own and not network.random_weights:
            typer.echo(f"weights: {loaded.weights}, as findings do not depend on them; --weights FILE takes yours")
    if fix is not None:
        _patch(found, fix, model, not own, force, quiet=job.json)
    if fail_on != "never" and found.at_least(fail_on):  # type: ignore[arg-type]
        raise typer.Exit(1)


def _fixed(path: Path | None, model: str, force: bool) -> list[File]:
    """The files of a patched model, checked for what they alone could destroy."""
    if path is None:
        return []
    from unconv.upsample.change.patched_file import check_patched_file

    check_patched_file(path, model, force, "--fix")
    return [File("--fix", path, (".py",)), File("--fix (its weights)", path.with_suffix(".safetensors"), WEIGHTS)]


def _patch(found: Audit, path: Path, model: str, random_weights: bool, force: bool, quiet: bool) -> None:
    from unconv.upsample.change.patch import patch

    patched = patch(found)
    if not patched.changes:
        typer.echo("nothing to fix: what was found needs a decision, or is nothing", err=quiet)
        return
    for change in patched.changes:
        typer.echo(f"fixed {change.finding.layer} [{change.finding.rule}]: {change.told}", err=quiet)
    if patched.difference is not None:
        typer.echo(
            f"the whole model, layers in other forms: equal, {patched.difference:.1g} apart, relative", err=quiet
        )
    file, weights = patched.save(path, model, random_weights, force)
    typer.echo(f"wrote {file} and {weights}; use it as {file}:build", err=quiet)


def _sizes(text: str) -> tuple[tuple[int, ...], ...]:
    parts = [part.strip() for part in text.split(",")]
    if not all(re.fullmatch(r"[1-9]\d*(x[1-9]\d*){0,3}", part) for part in parts):
        raise UnconvError(f"--input-size {text!r} is not channels and size, as 3x224x224; several are joined by commas")
    return tuple(tuple(int(number) for number in part.split("x")) for part in parts)


def _tell(found: Audit, model: str, table: bool, out: Path | None) -> None:
    if table:
        typer.echo(found.graph.table())
        typer.echo()
    for finding in found.findings:
        severity = typer.style(finding.severity, fg=_COLOURS[finding.severity], bold=True)
        typer.echo(f"{severity} {finding.layer or 'model'}: {finding.message} [{finding.rule}]")
        typer.echo(f"    fix: {finding.fix}")
        if finding.location is not None:
            typer.echo(f"    at:  {finding.location}")
    counts = [(one, sum(f.severity == one for f in found.findings)) for one in _LEVELS[:3]]
    told = ", ".join(f"{count} {one}{'' if count == 1 else 's'}" for one, count in counts if count) or "no findings"
    typer.echo(
        f"{model}: {len(found.layers)} layers, {found.parameters:,} parameters, {found.macs:,} multiply-accumulates; "
        f"{told}"
    )
    if out is not None:
        typer.echo(f"wrote {out}")
