"""``unconv bench``: finds the benchmarks, runs them by name, prints their tables; refusals are one line."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from unconv.cli import bench
from unconv.cli.main import run

HARNESS = Path(__file__).parents[2] / "benchmarks" / "harness.py"
SUM = '''"""How fast is a sum?

More words.
"""

def run(quick=False):
    return {
        "columns": {"side": "side", "time": "time, ms"},
        "rows": [{"side": "ours", "time": {"median": 1.0, "q1": 0.5, "q3": 2.0}}],
        "goals": [{"goal": "fast", "value": 3.0, "target": "≥ 2", "met": True}],
        "turns": 2 if quick else 7,
    }
'''


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A repository with one benchmark, and the harness of ours."""
    folder = tmp_path / "benchmarks"
    folder.mkdir()
    (tmp_path / "docs").mkdir()
    (folder / "harness.py").write_text(HARNESS.read_text(encoding="utf-8"), encoding="utf-8")
    (folder / "sum.py").write_text(SUM, encoding="utf-8")
    for name in [name for name in sys.modules if name.split(".")[0] == "benchmarks"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.chdir(folder)
    yield tmp_path
    for name in [name for name in sys.modules if name.split(".")[0] == "benchmarks"]:
        del sys.modules[name]


def unconv(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["unconv", *words])
    with pytest.raises(SystemExit) as end:
        run()
    return int(end.value.code or 0)


@pytest.mark.usefixtures("repository")
def test_list_names_benchmarks_and_their_questions(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert unconv(monkeypatch, "bench", "--list") == 0
    assert capsys.readouterr().out.split() == ["sum", "How", "fast", "is", "a", "sum?"]


@pytest.mark.usefixtures("repository")
def test_tables_show_medians_quartiles_and_goals(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert unconv(monkeypatch, "bench", "sum") == 0
    out = capsys.readouterr().out
    for words in ("time, ms", "1 (0.5–2)", "fast", "≥ 2", "turns", "7", "torch"):
        assert words in out


@pytest.mark.usefixtures("repository")
def test_json_holds_the_result_and_where_it_ran(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert unconv(monkeypatch, "bench", "sum", "--json", "--quick") == 0
    result = json.loads(capsys.readouterr().out)["sum"]
    assert result["turns"] == 2
    assert result["quick"]
    assert {"date", "commit", "python", "processor", "packages"} <= set(result["environment"])


def test_saved_results_become_the_document(
    repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert unconv(monkeypatch, "bench", "sum", "--save") == 0
    assert "wrote" in capsys.readouterr().err
    saved = json.loads((repository / "benchmarks" / "results" / "sum.json").read_text(encoding="utf-8"))
    document = (repository / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    assert saved["turns"] == 7
    assert "## sum\n\nHow fast is a sum?" in document
    assert "| ours | 1 (0.5–2) |" in document


@pytest.mark.usefixtures("repository")
def test_an_unknown_name_is_one_line_that_lists_the_known(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert unconv(monkeypatch, "bench", "product") == 2
    assert capsys.readouterr().err == "unconv: bench: no benchmark is called product; there are sum\n"


def test_without_a_repository_one_line_says_to_clone_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(bench, "MARKER", Path("benchmarks", "nowhere.py"))
    assert unconv(monkeypatch, "bench") == 2
    refusal = capsys.readouterr().err
    assert "clone the repository" in refusal
    assert refusal.count("\n") == 1
