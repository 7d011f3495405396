"""Commands and groups of the command line: help of 80 columns, examples first, spellings of the version before."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import PurePath
from typing import Any, ClassVar, TextIO, cast

import typer
from typer.core import TyperCommand, TyperGroup

from unconv.cli.groups import flatten

# What an old spelling is now: one word, several, or none where the option is not needed any more.
Renamed = Mapping[str, str]


def _write_examples(examples: Sequence[str], formatter: Any) -> None:
    with formatter.section("Examples"):
        for example in examples:
            formatter.write(f"{' ' * formatter.current_indent}{example}\n")


def _write_options(parameters: Sequence[Any], context: Any, formatter: Any) -> None:
    """Arguments, then options, a section for each of their panels."""
    sections: dict[str, list[tuple[str, str]]] = {}
    for parameter in parameters:
        record = parameter.get_help_record(context)
        if record is not None:
            argument = parameter.param_type_name == "argument"
            kind = "Arguments" if argument else parameter.rich_help_panel or "Options"
            sections.setdefault(kind, []).append(_plain(record[0], record[1], argument))
    for kind in sorted(sections, key=("Arguments", "Options").__contains__, reverse=True):
        with formatter.section(kind):
            formatter.write_dl(sections[kind], col_max=28)


# What stands for a value, by the type that typer tells.
_VALUES = {"int": "N", "float": "X", "path": "PATH"}


def _plain(names: str, text: str, argument: bool) -> tuple[str, str]:
    """Names and text of a parameter in fewer words than typer's.

    >>> _plain("--top <int range>", "How many.  [default: 9; x>=1]", False)
    ('--top N', 'How many. [9]')
    >>> _plain("MODEL <str>", "A network.  [required]", True)
    ('MODEL', 'A network.')
    """
    names, _, kind = names.partition(" <")
    if kind and not argument:
        names += f" {next((shown for told, shown in _VALUES.items() if told in kind), 'TEXT')}"
    told, _, extra = text.partition("  [")
    facts = [fact for fact in extra.removesuffix("]").split("; ") if not re.match(r"x\W|[-\d.]+<|$", fact)]
    if argument and "required" in facts:
        facts.remove("required")
    shown = "; ".join(re.sub(r"^default: (?:\((.*)\)|(.*))$", r"\1\2", fact) for fact in facts)
    return names, f"{told} [{shown}]" if shown else told


# Where a forward pass of torch begins.
_FORWARD = ("_call_impl", ("nn", "modules", "module.py"))


class ResultsOutput:
    """The standard output for results: what a network prints in its forward pass goes to the standard error.

    All else is the stream's own.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write to the one or the other, by who is calling."""
        return (sys.stderr if _in_forward_pass() else self._stream).write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _in_forward_pass() -> bool:
    frame = sys._getframe(2)
    while frame is not None:
        code = frame.f_code
        if code.co_name == _FORWARD[0] and PurePath(code.co_filename).parts[-3:] == _FORWARD[1]:
            return True
        frame = cast("Any", frame.f_back)
    return False


class Command(TyperCommand):
    """A command of ours.

    Attributes:
        examples: lines of a shell, shown above the options.
        renamed: spellings of the version before, and what they are now.
    """

    examples: ClassVar[Sequence[str]] = ()
    renamed: ClassVar[Renamed] = {}

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the command line; old spellings are told on stderr."""
        return super().parse_args(ctx, translate(args, self.renamed))

    def invoke(self, ctx: Any) -> Any:
        """Run the command; on stdout are its results alone, none of what a network prints."""
        # None where it was closed.
        if not sys.stdout:
            return super().invoke(ctx)
        with redirect_stdout(cast("TextIO", ResultsOutput(sys.stdout))):
            return super().invoke(ctx)

    def format_help_text(self, ctx: Any, formatter: Any) -> None:
        """What the command does, and examples."""
        super().format_help_text(ctx, formatter)
        _write_examples(self.examples, formatter)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """The options, by what they are about."""
        _write_options(self.get_params(ctx), ctx, formatter)


class Group(TyperGroup):
    """A group of commands of ours; examples come before the commands, as they do in :class:`Command`."""

    examples: ClassVar[Sequence[str]] = ()
    renamed: ClassVar[Renamed] = {}
    panels: ClassVar[Sequence[str]] = ()

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read what stands before the command."""
        return super().parse_args(ctx, translate(args, self.renamed, stop=tuple(self.list_commands(ctx))))

    def format_help_text(self, ctx: Any, formatter: Any) -> None:
        """What the commands are for, and examples."""
        super().format_help_text(ctx, formatter)
        _write_examples(self.examples, formatter)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """The commands, by what they are about, then the options."""
        sections: dict[str, list[tuple[str, str]]] = {panel: [] for panel in self.panels}
        for name in self.list_commands(ctx):
            command: Any = self.get_command(ctx, name)
            told = (command.help or "").partition("\n\n")[0]
            sections.setdefault(command.rich_help_panel or "Commands", []).append((name, " ".join(told.split())))
        for panel, rows in sections.items():
            if rows:
                with formatter.section(panel):
                    formatter.write_dl(rows)
        _write_options(self.get_params(ctx), ctx, formatter)


def translate(words: Sequence[str], renamed: Renamed, stop: Sequence[str] = ()) -> list[str]:
    """A command line in today's spelling; each old one is told on stderr in a line.

    Args:
        words: as they were typed.
        renamed: what an old spelling is now; several words, or none.
        stop: words from which on nothing is read, as ``--``: names of commands.

    >>> translate(["cat.jpg", "--step=8", "--grey"], {"--step": "--stride", "--grey": "--mode grey"})
    ['cat.jpg', '--stride=8', '--mode', 'grey']
    """
    said: list[str] = []
    for place, word in enumerate(words):
        if word == "--" or word in stop:
            return [*said, *words[place:]]
        option, equals, value = word.partition("=")
        if option not in renamed:
            said.append(word)
            continue
        now = renamed[option]
        typer.echo(f"{option} is {now} now" if now else f"{option} is not needed any more", err=True)
        said += [f"{now}={value}"] if equals else now.split()
    return said


def add_command(
    app: typer.Typer,
    function: Callable[..., None],
    examples: Sequence[str],
    *,
    name: str | None = None,
    renamed: Renamed | None = None,
    panel: str | None = None,
    kind: type[Command] = Command,
) -> None:
    """Make a function a command of a group; its option groups become options.

    Args:
        app: the group.
        function: as typer wants it; parameters may be of an :class:`~unconv.cli.groups.OptionGroup`.
        examples: lines of a shell.
        name: that of the function unless given.
        renamed: what the spellings of the version before are now.
        panel: of the group's help, in which the command is listed.
        kind: of command.
    """
    made = type(kind.__name__, (kind,), {"examples": tuple(examples), "renamed": dict(renamed or {})})
    app.command(name, cls=made, rich_help_panel=panel)(flatten(function))


def new_group(
    text: str,
    examples: Sequence[str],
    renamed: Renamed | None = None,
    panels: Sequence[str] = (),
    kind: type[Group] = Group,
    **settings: Any,
) -> typer.Typer:
    """A group of commands, which shows its help where no command is named.

    Args:
        text: what the commands are for.
        examples: lines of a shell.
        renamed: what the spellings of the version before are now, of the group's own options.
        panels: in which commands are listed, in order.
        kind: of group.
        settings: of typer.

    >>> new_group("Train a network.", ["unconv train classify"]).info.help
    'Train a network.'
    """
    own = {"examples": tuple(examples), "renamed": dict(renamed or {}), "panels": tuple(panels)}
    made = type(kind.__name__, (kind,), own)
    settings = {"no_args_is_help": True, "add_completion": False, **settings}
    return typer.Typer(cls=made, help=text, rich_markup_mode=None, pretty_exceptions_enable=False, **settings)
