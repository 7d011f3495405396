"""``unconv bench``: run the benchmarks of the repository by name, and print their tables."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from unconv.cli.groups import OUTPUT
from unconv.errors import UnconvError

if TYPE_CHECKING:
    from types import ModuleType

EXAMPLES = ("unconv bench --list", "unconv bench startup --quick")
MARKER = Path("benchmarks", "harness.py")


def bench(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME", help="Benchmarks to run; all of them if none is named.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.", rich_help_panel=OUTPUT)] = False,
    listing: Annotated[bool, typer.Option("--list", help="List the benchmarks and what they ask.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer rounds: figures are rough.")] = False,
    save: Annotated[
        bool, typer.Option("--save", help="Keep the results in benchmarks/results and write docs/benchmarks.md.")
    ] = False,
) -> None:
    """Run benchmarks: correctness first, then both sides in turn, losses shown like wins."""
    harness = load_harness(find_repository(Path.cwd()))
    known = harness.names()
    if unknown := [name for name in names or [] if name not in known]:
        raise UnconvError(f"bench: no benchmark is called {', '.join(unknown)}; there are {', '.join(known)}")
    if listing:
        print_list({name: harness.question(name) for name in known})
        return
    results = {}
    for name in names or known:
        results[name] = harness.measure(name, quick=quick)
        if save:
            harness.save(name, results[name])
        if not as_json:
            print_result(harness, name, results[name])
    if as_json:
        print(json.dumps(results, indent=1, ensure_ascii=False))
    if save:
        print(f"wrote {harness.write_document()}", file=sys.stderr)


def find_repository(start: Path) -> Path:
    """The folder with the benchmarks: ``start``, one above it, or the checkout that this package is run from."""
    source = Path(__file__).resolve().parents[3]
    for folder in (start, *start.parents, source):
        if (folder / MARKER).is_file():
            return folder
    raise UnconvError(
        f"bench: no {MARKER.parent} folder in {start} or above; an installed package carries none, so clone the "
        "repository and run unconv bench inside it"
    )


def load_harness(repository: Path) -> ModuleType:
    """The module that finds and runs them; the repository becomes importable for them."""
    if str(repository) not in sys.path:
        sys.path.insert(0, str(repository))
    return importlib.import_module("benchmarks.harness")


def print_list(questions: dict[str, str]) -> None:
    """Names, and the question that each answers."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    for name, question in questions.items():
        table.add_row(name, question.replace("``", ""))
    Console().print(table)


def print_result(harness: ModuleType, name: str, result: dict[str, Any]) -> None:
    """The tables of one benchmark, and where its figures come from."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    console.print(f"[bold]{escape(name)}[/bold] {escape(harness.question(name)).replace('``', '')}")
    for heading, rows in harness.tables(result, brief=True):
        table = Table(*map(escape, heading))
        for row in rows:
            table.add_row(*map(escape, row))
        console.print(table)
    console.print(f"[dim]{escape(harness.setting(result))}[/dim]\n")
