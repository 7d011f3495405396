"""Shell completion: through the shell's own protocol, and without anything heavy."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from unconv.cli.completion import complete_model
from unconv.models.load.resolve import list_models


def complete(line: str, folder: Path, shell: str = "fish") -> list[str]:
    """What the shell is told about a line whose last word is begun."""
    words = {"_TYPER_COMPLETE_ARGS": line, "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    if shell == "bash":
        # As bash splits words: at spaces, and at colons.
        split = line.replace(":", " : ").split()
        words = {"COMP_WORDS": "\n".join(split), "COMP_CWORD": str(len(split) - 1)}
    environment = {**os.environ, **words, "_UNCONV_COMPLETE": f"complete_{shell}"}
    code = "import sys; sys.argv = ['unconv']; from unconv.cli.main import app; app(prog_name='unconv')"
    run = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=folder, capture_output=True, text=True, check=False
    )
    return run.stdout.split()


def test_models_rules_and_views_are_completed(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text("def build(): pass\n\nclass Net: pass\n")
    (tmp_path / "nets").mkdir()
    (tmp_path / "nets" / "deep.py").write_text("")
    assert complete("unconv audit zfn", tmp_path) == ["zfnet", "zfnet-28"]
    assert complete("unconv audit lenet5 ne", tmp_path) == ["net.py:"]
    assert complete("unconv audit nets/d", tmp_path) == ["nets/deep.py:"]
    assert complete("unconv audit net.py:", tmp_path) == ["net.py:Net", "net.py:build"]
    assert complete("unconv see lenet5 a.png --rule g", tmp_path) == ["guided", "gradient"]
    assert complete("unconv audit lenet5 --ignore dead-end,un", tmp_path) == [
        "dead-end,uneven-overlap",
        "dead-end,unequal-phases",
        "dead-end,unused-parameters",
    ]


def test_bash_takes_a_colon_for_the_end_of_a_word(tmp_path: Path) -> None:
    assert complete("unconv audit torchvision:vgg19", tmp_path, "bash") == ["vgg19", "vgg19_bn"]
    assert complete("unconv arithmetic conv --view s", tmp_path, "bash") == ["scatter"]


@pytest.mark.parametrize("source", ["torchvision", "timm"])
def test_names_read_from_files_are_those_of_the_package(source: str) -> None:
    found = complete_model(f"{source}:")
    known = set(list_models(source=source))
    # timm lists some names only, and knows the others all the same.
    assert known <= set(found) if source == "timm" else known == set(found)


def test_nothing_heavy_is_imported_and_a_script_is_shown() -> None:
    code = (
        "import sys; from unconv.cli.completion import complete_model as of; of('torchvision:r'); of('')"
        "; print({'torch', 'numpy', 'torchvision', 'timm'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "set()\n"
    shown = subprocess.run(
        [sys.executable, "-m", "unconv", "--show-completion", "bash"],
        env={**os.environ, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "COMPREPLY" in shown.stdout
