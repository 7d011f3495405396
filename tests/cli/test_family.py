"""All commands as one family: an option of one name is one option, help is readable, examples and old spellings run."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from unconv.cli.command import Command, translate
from unconv.cli.groups import PANELS
from unconv.cli.main import app, run
from unconv.cli.options import Job, Network, device_for
from unconv.errors import UnconvError

ROOT: Any = typer.main.get_command(app)
# The context's only use is to name the command in a usage line.
CONTEXT = ROOT.make_context("unconv", ["arithmetic", "--json"], resilient_parsing=True)


def walk(group: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every command and group by its words."""
    for name in group.list_commands(CONTEXT):
        command = group.get_command(CONTEXT, name)
        words = f"{path} {name}".strip()
        yield words, command
        if hasattr(command, "list_commands"):
            yield from walk(command, words)


TREE = dict(walk(ROOT))
COMMANDS = {words: command for words, command in TREE.items() if isinstance(command, Command)}
OPTIONS = [
    (words, option)
    for words, command in TREE.items()
    for option in command.params
    if option.param_type_name == "option"
]


def long_name(option: Any) -> str:
    return max(option.opts, key=len)


def kind(option: Any) -> str:
    """Its type, as typer tells it."""
    return str(option.get_help_record(CONTEXT)[0]).partition(" <")[2]


def named(name: str) -> dict[str, Any]:
    return {words: option for words, option in OPTIONS if name in option.opts}


NAMES = sorted({long_name(option) for _, option in OPTIONS})

# What may be another help text in another command, and why.
TEXTS = {
    "--out": "what is written differs by command",
    "--plot": "what is drawn differs by command",
    "--data": "tasks are trained on different data",
    "--model": "tasks train different networks",
    "--input-size": "a model's input has channels",
    "--view": "views are those of the operation, listed where help is asked for",
    "--padding": "solve holds one fixed; it takes no names",
    "--rule": "evolution compares stages under one rule, which no look at the network chooses",
    "--weights": "evolution takes one for each stage",
}
# What may be another type, and why.
TYPES = {
    "--weights": "evolution takes one for each stage",
    "--batch-size": "learn takes all pictures where none is given",
    "--out": "required where nothing can be guessed",
}
# What may be another default, and why; "shown" defaults are sentences.
DEFAULTS = {
    "--out": "named after what is written",
    "--data": "the data of the task",
    "--model": "the network of the task",
    "--batch-size": "by what one example needs",
    "--epochs": "by what the task needs",
    "--rate": "by what the task needs",
    "--weight-decay": "a DCGAN has none",
    "--shift": "masks are sharp at their borders, digits are not",
    "--flip": "digits are not mirrored",
    "--penalty": "see docs/decisions/0013-one-name-for-one-thing.md",
    "--top": "3 x 3 places of a unit, ten solutions",
    "--top-units": "four are a glance, six are a figure, sixteen a page",
    "--layers": "said where it is not given",
    "--layer": "said where it is not given",
    "--kernel-size": "a dictionary has one, a geometry none",
    "--stride": "said where it is not given",
    "--padding": "solve looks for it",
    "--output-padding": "solve looks for it",
    "--rule": "evolution compares stages under one rule",
    "--weights": "evolution needs them",
    "--input-size": "what a model is made for",
}
# Commands with a MODEL that do not take all of what changes it, and why.
WITHOUT = {
    "audit": ({"--mean", "--std", "--classes"}, "it computes no picture"),
    "experiment evolution": ({"--random-weights", "--classes"}, "it is given the weights of every stage, and no class"),
}
# Without --json or --quiet: what they print is all they do.
PRINTS = {"bench", "models", *(f"arithmetic {name}" for name in ("conv", "transpose", "solve", "maxpool", "avgpool"))}


@pytest.mark.parametrize("name", NAMES)
def test_one_name_is_one_option(name: str) -> None:
    options = named(name)
    if len({option.help for option in options.values()}) > 1:
        assert name in TEXTS, {words: option.help for words, option in options.items()}
    if len({(kind(option), option.multiple, option.required) for option in options.values()}) > 1:
        assert name in TYPES or name in DEFAULTS, {words: kind(option) for words, option in options.items()}
    if len({(repr(option.default), option.show_default) for option in options.values()}) > 1:
        assert name in DEFAULTS, {words: (option.default, option.show_default) for words, option in options.items()}
    assert len({tuple(sorted(option.opts)) for option in options.values()}) == 1, "one short name"
    assert len({option.rich_help_panel for option in options.values()}) == 1, "one panel"


@pytest.mark.parametrize("listed", [TEXTS, TYPES, DEFAULTS, WITHOUT], ids=["texts", "types", "defaults", "without"])
def test_no_exception_is_listed_for_nothing(listed: dict[str, Any]) -> None:
    assert set(listed) <= {*NAMES, *COMMANDS}
    for name in listed:
        if name in NAMES:
            assert len(named(name)) > 1


def test_options_stand_in_one_order() -> None:
    shared = [name for name in NAMES if len(named(name)) > 1 and next(iter(named(name).values())).rich_help_panel]
    before: set[tuple[str, str]] = set()
    for words, command in COMMANDS.items():
        order = [long_name(option) for option in command.params if long_name(option) in shared]
        for place, first in enumerate(order):
            for second in order[place + 1 :]:
                assert (second, first) not in before, (words, first, second)
                before.add((first, second))


@pytest.mark.parametrize("words", COMMANDS)
def test_own_options_come_before_panels(words: str) -> None:
    panels = [option.rich_help_panel for option in COMMANDS[words].params if option.param_type_name == "option"]
    places = [0 if panel is None else 1 + PANELS.index(panel) for panel in panels]
    assert places == sorted(places)


@pytest.mark.parametrize("words", COMMANDS)
def test_every_model_has_what_changes_it(words: str) -> None:
    command = COMMANDS[words]
    if "model" not in [parameter.name for parameter in command.params if parameter.param_type_name == "argument"]:
        return
    wanted = {f"--{name.replace('_', '-')}" for name in Network.__dataclass_fields__}
    has = {name for option in command.params for name in option.opts}
    assert wanted - has == WITHOUT.get(words, (set(), ""))[0]


@pytest.mark.parametrize("words", COMMANDS)
def test_every_command_tells_as_all_do(words: str) -> None:
    has = {name for option in COMMANDS[words].params for name in option.opts}
    assert "--json" in has
    if words not in PRINTS:
        assert has >= {f"--{name}" for name in Job.__dataclass_fields__}


def test_whatever_is_written_is_out() -> None:
    for words, option in OPTIONS:
        # What a network puts out and how that is read, not what a command writes.
        assert "--output" not in option.opts or option.help.startswith("How outputs are read"), words
        if "--out" in option.opts:
            assert option.opts == ["-o", "--out"]


@pytest.mark.parametrize("words", ["", *TREE])
def test_help_fits_eighty_columns_and_begins_with_examples(words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    told = CliRunner().invoke(app, [*words.split(), "--help"], prog_name="unconv").output
    assert all(len(line) <= 80 for line in told.splitlines()), max(told.splitlines(), key=len)
    headings = re.findall(r"^(\S.*):$", told, flags=re.MULTILINE)
    assert headings[0] == "Examples"
    assert "..." not in told.replace("}...", "").replace("[ARGS]...", "").replace("]...", ""), "nothing is cut short"


@pytest.mark.parametrize("words", [(), ("train",), ("experiment",), ("arithmetic",)])
def test_a_group_alone_shows_examples_before_commands(words: tuple[str, ...]) -> None:
    told = CliRunner().invoke(app, list(words)).output
    listed = min(
        told.index(f"\n  {name} ") for name in ("conv", "classify", "occlusion", "see") if f"\n  {name} " in told
    )
    assert told.index("Examples:") < told.index("  unconv ") < listed


EXAMPLES = sorted({example for command in (ROOT, *TREE.values()) for example in command.examples})


def check_parses(line: str) -> None:
    """Refuse what the command line would refuse, and old spellings."""
    name, *words = shlex.split(line, comments=True)
    assert name == "unconv"
    command, path = ROOT, []
    while hasattr(command, "list_commands") and words and words[0] in command.list_commands(CONTEXT):
        path.append(words.pop(0))
        command = command.get_command(CONTEXT, path[-1])
    assert path, "a command is named"
    assert not set(command.renamed) & {word.partition("=")[0] for word in words}, "in today's spelling"
    with command.make_context(path[-1], words) as context:
        for parameter in command.params:
            value = context.params.get(parameter.name)
            assert value is not None or not parameter.required


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples_parse(example: str) -> None:
    check_parses(example)


REPOSITORY = Path(__file__).parents[2]


def shell_lines(document: Path) -> list[str]:
    """Commands of ours in the code blocks of a document, one a string."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", document.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    lines = [line.removeprefix("$ ") for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [
        part.strip() for line in lines if line.startswith("unconv ") for part in line.partition(" #")[0].split("&&")
    ]


DOCUMENTS = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]


@pytest.mark.parametrize("document", DOCUMENTS, ids=[document.stem for document in DOCUMENTS])
def test_commands_in_documents_parse(document: Path) -> None:
    for line in shell_lines(document):
        check_parses(line)


def test_documents_have_commands() -> None:
    assert sum(len(shell_lines(document)) for document in DOCUMENTS) > 50


@pytest.mark.parametrize("example", [one for one in EXAMPLES if " arithmetic " in one and " -o " not in one])
def test_cheap_examples_run(example: str) -> None:
    result = CliRunner().invoke(app, shlex.split(example, comments=True)[1:], catch_exceptions=False)
    assert result.exit_code == 0
    assert result.stdout


OLD = [(words, old, now) for words, command in TREE.items() for old, now in command.renamed.items()]


@pytest.mark.parametrize(("words", "old", "now"), OLD)
def test_old_spellings_are_told_and_lead_to_options(
    words: str, old: str, now: str, capsys: pytest.CaptureFixture[str]
) -> None:
    options = {name for option in TREE[words].params for name in (*option.opts, *option.secondary_opts)}
    assert old not in options or not now
    assert translate([old], {old: now}) == now.split()
    assert not now or now.split()[0] in options
    assert capsys.readouterr().err == (f"{old} is {now} now\n" if now else f"{old} is not needed any more\n")
    assert old not in re.findall(r"--[\w-]+", CliRunner().invoke(app, [*words.split(), "--help"]).output)


def test_an_old_spelling_does_what_the_new_one_does(tmp_path: Path) -> None:
    arguments = ["arithmetic", "conv", "-i", "5", "-k", "3"]
    old = CliRunner().invoke(app, [*arguments, "--output", str(tmp_path / "a.svg")])
    new = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path / "b.svg")])
    assert (old.exit_code, new.exit_code) == (0, 0)
    assert "--output is --out now" in old.stderr
    assert new.stderr == ""
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_a_number_of_units_is_an_index_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    from unconv.cli.options import unit_choice

    assert unit_choice("12", None) == [12]
    assert capsys.readouterr().err == "--units 12: unit 12 alone; --top-units 12 would be the 12 strongest\n"
    with pytest.raises(UnconvError, match="give one of them"):
        unit_choice("3", 4)


NET = "import torch\n\ndef build():\n    return torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.ReLU())\n"


@pytest.fixture
def net(tmp_path: Path) -> str:
    (tmp_path / "net.py").write_text(NET)
    return f"{tmp_path / 'net.py'}:build"


def test_quiet_tells_errors_alone(net: str) -> None:
    arguments = ["audit", net, "-i", "1x8x8", "--no-measure"]
    assert CliRunner().invoke(app, arguments).output
    assert CliRunner().invoke(app, [*arguments, "--quiet"]).output == ""
    assert CliRunner().invoke(app, [*arguments, "--quiet", "--json"]).stdout.startswith("{")
    refused = CliRunner().invoke(app, ["audit", net, "-i", "8x", "--quiet"])
    assert isinstance(refused.exception, UnconvError)


def test_threads_are_those_asked_for_and_put_back(net: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from unconv.network.audit import audit as room

    seen = []
    real = room.audit
    monkeypatch.setattr(
        room, "audit", lambda *given, **named: seen.append(torch.get_num_threads()) or real(*given, **named)
    )
    before = torch.get_num_threads()
    CliRunner().invoke(app, ["audit", net, "-i", "1x8x8", "--no-measure", "--threads", str(before + 1)])
    assert seen == [before + 1]
    assert torch.get_num_threads() == before


def test_audit_says_whose_weights_it_takes() -> None:
    told = CliRunner().invoke(app, ["audit", "lenet5", "--no-measure", "--no-table"]).output
    assert "weights: random (seed 0)" in told
    asked = CliRunner().invoke(app, ["audit", "lenet5", "--no-measure", "--no-table", "--random-weights"]).output
    assert "weights: random" not in asked
    assert asked.splitlines()[-1].startswith("lenet5: ")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("see --top 0 lenet5 x.png", "unconv see: Invalid value for '--top'"),
        ("see", "unconv see: Missing argument 'MODEL'"),
        ("see lenet5 x.png --sqare 3", "unconv see: No such option: --sqare"),
        ("sea", "unconv: No such command 'sea'. Did you mean 'see'"),
        ("trace lenet5", "unconv: No such command 'trace': unconv audit MODEL has the table of layers; "),
        (
            "explain_shapes lenet5",
            "unconv: No such command 'explain_shapes': unconv audit MODEL tells why sizes do not",
        ),
        ("occlusion lenet5 x.png", "unconv: No such command 'occlusion': unconv experiment occlusion; "),
        ("arithmetic conv -i 5", "unconv arithmetic conv: Missing option '-k' / '--kernel-size'"),
    ],
)
def test_misuse_is_one_line_and_exit_code_2(
    words: str, line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["unconv", *words.split()])
    with pytest.raises(SystemExit) as end:
        run()
    told = capsys.readouterr()
    assert (end.value.code, told.out) == (2, "")
    assert told.err.startswith(line)
    assert told.err.endswith(" --help tells the options\n")
    assert told.err.count("\n") == 1


@pytest.mark.parametrize("kind", ["cpu", "cuda"])
def test_a_device_is_told_where_it_is_not_the_processor(
    kind: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import torch

    monkeypatch.setattr("unconv.train.loop.device.device_of", torch.device)
    assert device_for(kind).type == kind
    assert capsys.readouterr().err == ("" if kind == "cpu" else "device cuda\n")
