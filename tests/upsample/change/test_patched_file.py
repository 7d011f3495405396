"""The file that ``audit --fix`` writes is code of escaped values, and replaces nothing that is not its own."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given, strategies as st
from torch import nn
from typer.testing import CliRunner

from unconv.cli.main import app
from unconv.errors import UnconvError
from unconv.models.load.resolve import load_model
from unconv.network.audit.audit import audit
from unconv.upsample.change.patch import Change, Patched, patch
from unconv.upsample.change.patched_file import check_patched_file

NET = """
import torch
from torch import nn

def build():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ConvTranspose2d(4, 3, 3, stride=2))
"""
ODD = st.text(st.characters(exclude_characters="\0/", exclude_categories=("Cs",)), min_size=1, max_size=30)
NASTY = st.one_of(
    ODD, st.sampled_from(['"""', "\n", "\\", "'", '"', "{0}", '"""\nraise SystemExit\n"""', "\r\n", "é\u2028"])
)


def patched_model() -> Patched:
    model = nn.Sequential(nn.ConvTranspose2d(3, 3, 3, stride=2))
    return patch(audit(model, (3, 8, 8), measure=False))


def constants_of(code: str) -> dict[str, object]:
    """What the module's first lines bind names to, read without running it."""
    return {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in ast.parse(code).body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }


@given(st.lists(NASTY, min_size=1, max_size=3).map("".join), NASTY)
def test_any_path_is_a_value_in_the_code(name: str, function: str) -> None:
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        file, _ = patched_model_once.save(Path(folder) / "patched.py", f"{folder}/{name}.py:{function}")
        code = file.read_text(encoding="utf-8")
        bound = constants_of(code)
        assert bound["WEIGHTS"] == "patched.safetensors"
        source, _, called = str(bound["SOURCE"]).rpartition(":")
        assert called == function.rpartition(":")[2]
        if ":" not in function:
            assert source == str(Path(f"{folder}/{name}.py").resolve())
        assert [type(node).__name__ for node in ast.parse(code).body] == EXPECTED


patched_model_once = patched_model()
# A docstring, five imports, two names, one function: nothing that a path has brought.
EXPECTED = ["Expr", *["ImportFrom"] * 3, "Import", "ImportFrom", "Assign", "Assign", "FunctionDef"]


@pytest.mark.parametrize("stem", ["it's", 'say "x"', "two\nlines", "back\\slash", '"""', "brace{0}", "é"])
def test_a_model_at_an_odd_path_comes_back(stem: str, tmp_path: Path) -> None:
    folder = tmp_path / stem
    folder.mkdir()
    net = folder / f"{stem}.py"
    net.write_text(NET)
    target = folder / f"{stem}-patched.py"
    loaded = load_model(f"{net}:build").module
    patch(audit(loaded, (3, 16, 16), measure=False)).save(target, f"{net}:build")
    again = load_model(f"{target}:build").module
    assert again(torch.ones(1, 3, 8, 8)).shape == loaded(torch.ones(1, 3, 8, 8)).shape


@pytest.mark.parametrize(
    "name", ['la"yer', "la'yer", "la\\yer", "la\nyer", '"); raise SystemExit; ("', "class", "ﬁ", "٣"]
)
def test_a_layer_of_an_odd_name_is_put_in_its_place(name: str) -> None:
    block = nn.Module()
    block.add_module(name, nn.ConvTranspose2d(3, 3, 4, stride=2))
    block.forward = lambda x: getattr(block, name)(x)  # type: ignore[method-assign]
    from unconv.network.audit.finding import Finding
    from unconv.upsample.change.mend import _other_form

    model = nn.Sequential(block)
    change = _other_form(model, f"0.{name}", block.get_submodule(name), Finding("faster-form", f"0.{name}", "", ""))
    assert isinstance(change, Change)
    import unconv as uc

    other = nn.Sequential(nn.Module())
    other[0].add_module(name, nn.ConvTranspose2d(3, 3, 4, stride=2))
    exec(change.code, {"uc": uc, "model": other})
    assert not isinstance(other[0].get_submodule(name), nn.ConvTranspose2d)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text("from layers import up\n" + NET.replace("nn.ConvTranspose2d(", "up("))
    (tmp_path / "layers.py").write_text("from torch.nn import ConvTranspose2d as up\n")
    monkeypatch.delitem(sys.modules, "layers", raising=False)
    return tmp_path


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def fix(target: str, *words: str, model: str = "net.py:build") -> str:
    """Exit code and message of ``audit --fix``."""
    result = CliRunner().invoke(
        app, ["audit", model, "--input-size", "3x16x16", "--no-measure", "--fix", target, *words]
    )
    assert result.exception is None or isinstance(result.exception, UnconvError | SystemExit), result.exception
    return "" if result.exit_code == 0 else str(result.exception)


@pytest.mark.parametrize("force", [(), ("--force",)])
@pytest.mark.parametrize("target", ["net.py", "layers.py", "./net.py", "link.py", "hard.py"])
def test_sources_of_the_model_are_never_replaced(place: Path, target: str, force: tuple[str, ...]) -> None:
    (place / "link.py").symlink_to("net.py")
    (place / "hard.py").hardlink_to(place / "net.py")
    before = contents(place)
    assert "belongs to the model that is patched" in fix(target, *force)
    assert contents(place) == before


def test_weights_of_something_else_are_replaced_by_force_alone(place: Path) -> None:
    (place / "mine.safetensors").write_bytes(b"years of training")
    before = contents(place)
    assert "the weights would replace mine.safetensors" in fix("mine.py")
    assert contents(place) == before
    assert fix("mine.py", "--force") == ""
    assert load_model("mine.py:build").weights
    # Its own are its own.
    assert fix("mine.py") == ""


def test_no_chain_of_patches_ends_in_itself(place: Path) -> None:
    assert fix("one.py") == ""
    patched_model_once.save("two.py", "one.py:build")
    before = contents(place)
    for target in ("one.py", "two.py", "net.py", "layers.py"):
        assert "belongs to the model that is patched" in fix(target, "--force", model="two.py:build")
    assert contents(place) == before


def test_weights_that_a_source_names_are_never_replaced(place: Path) -> None:
    (place / "old.safetensors").write_bytes(b"weights")
    (place / "net.py").write_text("WEIGHTS = 'old.safetensors'\n" + NET)
    with pytest.raises(UnconvError, match=r"old\.safetensors belongs to the model"):
        check_patched_file(place / "old.py", "net.py:build", force=True)


def test_a_patched_file_in_the_place_of_its_model_says_so(place: Path) -> None:
    assert fix("patched.py") == ""
    (place / "patched.py").replace(place / "net.py")
    with pytest.raises(UnconvError, match="took the place of the model that it patches"):
        load_model("net.py:build")


@pytest.mark.parametrize("target", ["nowhere/p.py", "p.txt", "folder.py", "net.py/p.py", "p.PY"])
def test_bad_places_are_one_line(place: Path, target: str) -> None:
    (place / "folder.py").mkdir()
    before = contents(place)
    told = fix(target)
    assert told.startswith("--fix")
    assert "\n" not in told
    assert contents(place) == before
