"""A rule that is added to the table works wherever rules are asked for, listed or explained."""

from __future__ import annotations

import ast
import html
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import unconv as uc
from tests.visualize.reverse.added_rules import ADDED
from tools.document_rules import PAGE, rules_table, with_table
from unconv.data.images import save_image
from unconv.errors import UnconvError
from unconv.models.load.preprocess import Preprocess
from unconv.visualize.experiments.evolution import evolution
from unconv.visualize.reverse.limits import limits
from unconv.visualize.reverse.rules import AUTO, REVERSE_RULES, Rule, find_rule, rule_help

ROOT = Path(__file__).parents[3]
SMALL = Preprocess(size=(24, 24), resize=(24, 24))


@pytest.fixture(params=ADDED, ids=lambda rule: rule.name)
def added(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Rule:
    rule: Rule = request.param
    monkeypatch.setitem(REVERSE_RULES, rule.name, rule)  # type: ignore[arg-type]
    return rule


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 4, 3, padding=1))


def images() -> Tensor:
    return torch.rand(2, 3, 24, 24, generator=torch.Generator().manual_seed(1))


def test_project_is_what_the_rule_says(added: Rule) -> None:
    model, batch = network(), images()
    seed = torch.zeros(2, 4, 24, 24)
    seed[:, 3, 5, 7] = 1
    signal = F.conv_transpose2d(seed, model[2].weight, padding=1)
    slope = (model[0](batch) > 0).float()
    back = {"positive": (slope * signal).clamp(min=0), "absolute": signal.abs()}[added.name]
    found = uc.project(model, batch, "2", 3, (5, 7), added.name)
    torch.testing.assert_close(found.image, F.conv_transpose2d(back, model[0].weight, padding=1))
    assert found.coverage.rule == added.name
    assert found.coverage.reversed == found.coverage.total == 1


def test_units_and_their_fidelity(added: Rule) -> None:
    model, batch = network(), images()
    windows = uc.network.windows_of(uc.trace(model, (3, 24, 24)), "2")
    picks = [uc.visualize.Pick(0, 3, (5, 7)), uc.visualize.Pick(1, 3, (20, 0))]
    found = uc.visualize.project_units(model, batch, windows, picks, added.name)
    for number, pick in enumerate(picks):
        alone = uc.project(model, batch[pick.image : pick.image + 1], "2", pick.unit, pick.position, added.name)
        torch.testing.assert_close(found.whole(number), alone.image[0])
    trust = uc.fidelity(model, batch, "2", picks, added.name)[3]
    assert trust.rule == added.name
    assert trust.gate_counts.gates > 0
    assert (trust.gate_counts.gates_used == 0) == (added.asks is None)
    assert f"{added.name} keeps nothing" in trust.verdict or trust.informed
    assert trust.figures


def test_limits_say_what_the_rule_says_of_itself(added: Rule) -> None:
    coverage = uc.project(network(), images(), "2", 3, (5, 7), added.name).coverage
    if added.asks is None:
        assert f"Without max-pooling a {added.name} image carries nothing" in limits(coverage)
    else:
        assert limits(coverage) == added.caveat
    assert limits(replace(coverage, switches=1)) == added.caveat


@pytest.mark.parametrize("automatic", [False, True])
def test_report(added: Rule, automatic: bool, tmp_path: Path) -> None:
    rule = AUTO if automatic else added.name
    report = uc.see(network(), images(), ["2"], tmp_path, rule=rule, top_units=2, transform=SMALL)
    page = (tmp_path / "index.html").read_text()
    assert report.rule == ("guided" if automatic else added.name)
    for told in (added.name, added.formula, added.paper, added.caveat):
        assert html.escape(told, quote=False).replace("'", "&#39;") in page


def test_evolution(added: Rule) -> None:
    model = network()
    found = evolution(model, {"now": model.state_dict()}, images(), "2", units=[1], rule=added.name)
    assert found.rule == added.name
    assert found.projections.abs().max() > 0


def test_documents_and_messages_list_it(added: Rule) -> None:
    assert f"| `{added.name}` | {added.formula} | {added.paper} |" in rules_table()
    assert rules_table() in with_table(PAGE.read_text(encoding="utf-8"))
    assert added.name in rule_help()
    with pytest.raises(UnconvError, match=f"'lrp' is not one of .*{added.name}"):
        find_rule("lrp")


def test_documents_are_those_of_the_table() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == with_table(page), "run python tools/document_rules.py"


def test_nothing_else_switches_on_the_name_of_a_rule() -> None:
    for file in (ROOT / "src" / "unconv").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            parts: list[ast.AST | None] = []
            if isinstance(node, ast.Compare):
                parts = [part for side in (node.left, *node.comparators) for part in ast.walk(side)]
            elif isinstance(node, ast.Dict):
                parts = [*node.keys]
            elif isinstance(node, ast.MatchValue):
                parts = [node.value]
            names = {part.value for part in parts if isinstance(part, ast.Constant)}
            assert not names & set(REVERSE_RULES), f"{file}, line {getattr(node, 'lineno', 0)}"


END = "--- end of a command ---"
COMMANDS = f"""
import sys
END = {END!r}
from tests.visualize.reverse.added_rules import ADDED
from unconv.visualize.reverse.rules import REVERSE_RULES
REVERSE_RULES.update((rule.name, rule) for rule in ADDED)
from typer.testing import CliRunner
from unconv.cli.main import app
for line in sys.stdin:
    result = CliRunner().invoke(app, line.split(), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    print(result.stdout, end=END)
"""
NET = """
from torch import nn
def build():
    return nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Conv2d(6, 4, 3))
"""


def test_command_line(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(NET)
    model = network()
    torch.save(model.state_dict(), tmp_path / "now.pt")
    save_image(images()[0], tmp_path / "a.png")
    evolve = "experiment evolution net.py:build a.png --layer 2 --weights now.pt --size 24 --json"
    commands = [
        "see --help",
        "experiment evolution --help",
        *(f"see net.py:build a.png --size 24 --rule {rule.name} -o {rule.name}" for rule in ADDED),
        *(f"{evolve} --rule {rule.name}" for rule in ADDED),
    ]
    done = subprocess.run(
        [sys.executable, "-c", COMMANDS],
        input="\n".join(commands),
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}", "COLUMNS": "160", "TERM": "dumb"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    helps = done.stdout.split(END)[:2]
    for rule in ADDED:
        assert all(rule.name in text for text in helps)
        assert json.loads((tmp_path / rule.name / "report.json").read_text())["rule"] == rule.name
        assert f'"rule": "{rule.name}"' in done.stdout
