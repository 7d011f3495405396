"""Tests and examples see the same data everywhere: what comes with unconv, whatever else the machine has."""

import os
import shutil
from pathlib import Path

import pytest

os.environ["UNCONV_EMBEDDED_ONLY"] = "1"
# Commands that tests start find their modules compiled, as those of users do.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# Documents whose examples read pictures from the folder ``photos`` and write files, as a reader's own scripts do.
AT_HOME = (Path(__file__).parent / "README.md", Path(__file__).parent / "docs" / "jobs.md")


@pytest.fixture(autouse=True)
def _folder_of_a_reader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.path not in AT_HOME:
        return
    from unconv.data.photos import photograph_files

    home = request.getfixturevalue("tmp_path")
    (home / "photos").mkdir()
    for path in (*photograph_files("train"), *photograph_files("test")):
        shutil.copy(path, home / "photos")
    monkeypatch.chdir(home)
