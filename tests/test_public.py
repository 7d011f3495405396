"""The public names: where they come from, what they cost, and that type checkers see what Python sees."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import unconv as uc
from unconv._moved import MOVED, MOVED_NAMES

PARTS = [getattr(uc, name) for name in uc._PARTS]
LAZY = [uc, *(part for part in PARTS if hasattr(part, "_HOME"))]


def test_the_top_is_what_the_first_lines_of_a_script_need() -> None:
    assert set(dir(uc)) == set(uc.__all__)
    assert len(uc.__all__) < 45
    for group in (
        "ConvGeometry ConvTransposeGeometry solve_transpose draw ConvOperator dot_test conv_transpose",
        "load_model list_models list_layers read_images scan see project fidelity experiments",
        "trace audit working_sizes explain_shapes upsample",
        "encode penalty_max DictionaryLearner denoise inpaint fista",
        "train models operators sparse network visualize errors UnconvError",
    ):
        assert set(group.split()) <= set(uc.__all__)


@pytest.mark.parametrize("package", LAZY, ids=lambda package: package.__name__)
def test_every_public_name_is_there_and_documented(package: ModuleType) -> None:
    for name in package.__all__:
        value = getattr(package, name)
        assert name in dir(package)
        if callable(value):
            assert value.__doc__
            assert len(value.__doc__) > 30, name


@pytest.mark.parametrize("package", LAZY, ids=lambda package: package.__name__)
def test_type_checkers_see_the_same_names(package: ModuleType) -> None:
    assert package.__file__
    tree = ast.parse(Path(package.__file__).read_text(encoding="utf-8"))
    checked = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {
        alias.asname: node.module
        for branch in checked
        for node in branch.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == {**package._HOME, **dict.fromkeys(getattr(package, "_PARTS", ()), "unconv")}


@pytest.mark.parametrize("name", MOVED_NAMES)
def test_names_of_before_say_where_they_are_now(name: str) -> None:
    assert name not in dir(uc)
    with pytest.warns(DeprecationWarning, match=f"unconv.{name} is {MOVED_NAMES[name]}.{name} now") as told:
        value = getattr(uc, name)
    assert value is getattr(importlib.import_module(MOVED_NAMES[name]), name)
    assert told[0].filename == __file__


def test_every_part_is_reached_without_an_import() -> None:
    script = "import unconv as uc; " + "; ".join(f"uc.{name}" for name in uc._PARTS)
    subprocess.run([sys.executable, "-W", "error", "-c", script], check=True)


def test_an_old_path_does_not_hide_a_function() -> None:
    sys.modules.pop("unconv.train.classify", None)
    with pytest.warns(DeprecationWarning, match=r"unconv.train.classify is"):
        importlib.import_module("unconv.train.classify")
    assert callable(uc.train.classify)


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'deconvolve'"):
        _ = uc.deconvolve


@pytest.mark.parametrize(
    "statement", ["import unconv", "import unconv.cli.main", "import unconv; unconv.ConvGeometry(5, 3)"]
)
def test_nothing_heavy_is_imported_before_it_is_used(statement: str) -> None:
    heavy = "torch numpy PIL matplotlib torchvision jinja2 av"
    check = f"{statement}; import sys; print(*(set('{heavy}'.split()) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


@pytest.mark.parametrize("old", MOVED)
def test_paths_of_before_lead_to_the_same_module_with_a_warning(old: str) -> None:
    sys.modules.pop(old, None)
    with pytest.warns(DeprecationWarning, match=f"{old} is {MOVED[old]} now") as told:
        module = importlib.import_module(old)
    assert module is importlib.import_module(MOVED[old])
    assert module.__name__ == module.__spec__.name == MOVED[old]
    assert len(told) == 1


def test_the_warning_names_the_line_that_imports(tmp_path: Path) -> None:
    script = tmp_path / "old.py"
    script.write_text("import unconv\nfrom unconv.sparse.lowpass import split\n")
    run = subprocess.run([sys.executable, "-W", "always", script], capture_output=True, text=True, check=True)
    assert "old.py:2: DeprecationWarning: unconv.sparse.lowpass is unconv.sparse.restore.lowpass now" in run.stderr


OLD_NAMES = """
import torch, unconv as uc
from torch import nn
model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
state, images = model.state_dict(), torch.rand(2, 3, 16, 16)
uc.experiments.occlusion(model, images[0], size=8)
uc.experiments.evolution(model, [state, state], images, "1", 2)
uc.experiments.transfer(model, images.repeat(2, 1, 1, 1), [0, 1, 0, 1], ["1"], folds=2, penalty=1.0)
uc.denoise(torch.rand(1, 12, 12), sigma=0.1, strength=2.0)
uc.DictionaryLearner(2, 3, max_rounds=1).fit(torch.rand(1, 1, 12, 12))
uc.upsample.Bilinear2d(2, factor=2)
uc.upsample.ConvTranspose2d(2, 3, 4, padding="same_upper")
uc.Pick
"""


def test_every_old_name_warns_at_the_line_that_used_it(tmp_path: Path) -> None:
    script = tmp_path / "old_names.py"
    script.write_text(OLD_NAMES)
    # Shown without a switch: the default filter shows what __main__ itself has caused.
    run = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    lines = OLD_NAMES.splitlines()
    for number in range(lines.index("uc.experiments.occlusion(model, images[0], size=8)") + 1, len(lines) + 1):
        assert f"old_names.py:{number}: DeprecationWarning" in run.stderr, (lines[number - 1], run.stderr[-1500:])
