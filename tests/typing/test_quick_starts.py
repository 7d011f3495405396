"""README's examples pass mypy --strict and pyright's strict mode, and both find misspelled choices and arguments."""

from __future__ import annotations

import ast
import doctest
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"

# One misspelling a line; each is found by both checkers.
TYPOS = """
import torch
from torch import nn

import unconv as uc

model, images = nn.Sequential(nn.Conv2d(1, 2, 3)), torch.rand(1, 1, 9, 9)
kernels, geometry = torch.rand(2, 1, 3, 3), uc.ConvGeometry(5, 3)
uc.project(model, images, "0", 0, rule="deconvnt")
uc.see(model, ["cat.png"], rule="automatic")
uc.draw(geometry, view="gathr")
uc.draw(geometry, theme="drak")
uc.encode(images, kernels, 0.1, boundary="crops")
uc.encode(images, kernels, 0.1, solver="natve")
uc.denoise(images[0], noise="gausian")
uc.ConvGeometry(5, 3, padding="same_uper")
uc.upsample.upsampler("transposed-k5", 8, 8)
uc.DictionaryLearner(constraint="zero-mean")
uc.audit(model, (1, 9, 9)).at_least("warnings")
uc.ConvGeometry(5, 3, strides=2)
uc.ConvTransposeGeometry("five", 3)
uc.trace(model, (1, 9, 9)).layer
uc.scan(model, images, "0", tops=9)
"""


def statements(example: doctest.Example) -> str:
    """An example as code of a file: what it shows is printed."""
    tree = ast.parse(example.source)
    if example.want and len(tree.body) == 1 and isinstance(tree.body[0], ast.Expr):
        return f"print({ast.unparse(tree.body[0].value)})\n"
    return example.source


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the examples as one file, and the misspellings as another."""
    folder = tmp_path_factory.mktemp("typing")
    examples = doctest.DocTestParser().get_examples(README.read_text(encoding="utf-8"))
    assert len(examples) > 10
    (folder / "quick_starts.py").write_text("".join(map(statements, examples)), encoding="utf-8")
    (folder / "typos.py").write_text(TYPOS.lstrip(), encoding="utf-8")
    return folder


def check(told: dict[str, set[int]]) -> None:
    lines = TYPOS.lstrip().splitlines()
    first = next(number for number, line in enumerate(lines, start=1) if "deconvnt" in line)
    assert told["quick_starts.py"] == set()
    assert told["typos.py"] == set(range(first, len(lines) + 1))


def test_mypy_passes_the_examples_and_finds_misspellings(files: Path) -> None:
    pytest.importorskip("mypy")
    settings = files / "mypy.ini"
    missing = "[mypy-torchvision.*,sklearn.*]\nignore_missing_imports = true\n"
    settings.write_text(f"[mypy]\nstrict = true\nmypy_path = {ROOT / 'src'}\n{missing}")
    command = [sys.executable, "-m", "mypy", "--config-file", str(settings), "--cache-dir", str(ROOT / ".mypy_cache")]
    command += ["quick_starts.py", "typos.py"]
    run = subprocess.run(command, cwd=files, capture_output=True, text=True, check=False)
    told: dict[str, set[int]] = {"quick_starts.py": set(), "typos.py": set()}
    for file, line in re.findall(r"^(\w+\.py):(\d+): error", run.stdout, re.MULTILINE):
        told[file].add(int(line))
    assert run.returncode == 1, run.stdout + run.stderr
    check(told)


def test_pyright_passes_the_examples_and_finds_misspellings(files: Path) -> None:
    pytest.importorskip("basedpyright")
    # torch and torchvision have no complete types of their own.
    unknown = ("MissingTypeStubs", "UnknownMemberType", "UnknownVariableType", "UnknownArgumentType")
    settings = {
        "typeCheckingMode": "strict",
        "extraPaths": [str(ROOT / "src")],
        "pythonVersion": "3.12",
        **{f"report{what}": False for what in unknown},
    }
    (files / "pyrightconfig.json").write_text(json.dumps(settings))
    command = [sys.executable, "-m", "basedpyright", "--outputjson", "--pythonpath", sys.executable]
    run = subprocess.run(command, cwd=files, capture_output=True, text=True, check=False)
    told: dict[str, set[int]] = {"quick_starts.py": set(), "typos.py": set()}
    for one in json.loads(run.stdout)["generalDiagnostics"]:
        if one["severity"] == "error":
            told[Path(one["file"]).name].add(one["range"]["start"]["line"] + 1)
    check(told)
