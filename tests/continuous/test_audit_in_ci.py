"""The hook of pre-commit and the workflow of docs/audit.md, run in a scratch project."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

yaml = pytest.importorskip("yaml")
pytest.importorskip("pre_commit")

ROOT = Path(__file__).parents[2]
GOOD = "from torch import nn\n\n\ndef build():\n    return nn.Conv2d(3, 8, 3, padding=1)\n"
BAD = GOOD.replace(
    "nn.Conv2d(3, 8, 3, padding=1)", "nn.Sequential(\n        nn.ConvTranspose2d(3, 8, 3, stride=2),\n    )"
)


def examples(heading: str) -> dict[str, Any]:
    """The example of docs/audit.md that has some key at its top."""
    text = (ROOT / "docs" / "audit.md").read_text(encoding="utf-8")
    found = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)]
    (one,) = (example for example in found if heading in example)
    return dict(one)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Where ``unconv`` is this one, ``pip`` installs nothing, and no settings of anybody's are read."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, code in (("unconv", f'exec "{sys.executable}" -m unconv "$@"'), ("pip", 'echo "$@" >> "$PIP_TOLD"')):
        (programs / name).write_text(f"#!/bin/sh\n{code}\n")
        (programs / name).chmod(0o755)
    return {
        **os.environ,
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT / "src"),
        "HOME": str(tmp_path),
        "PRE_COMMIT_HOME": str(tmp_path / "pre-commit"),
        "PIP_TOLD": str(tmp_path / "pip"),
        "GIT_CONFIG_GLOBAL": os.devnull,
        **{f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
    }


def run(folder: Path, environment: dict[str, str], *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def committed(folder: Path, environment: dict[str, str]) -> str:
    """Make a folder a repository, and return what its files are committed as."""
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "all"]):
        done = run(folder, environment, "git", *command)
        assert done.returncode == 0, done.stderr
    return run(folder, environment, "git", "rev-parse", "HEAD").stdout.strip()


def test_the_hook_passes_a_good_network_and_stops_a_bad_one(tmp_path: Path, environment: dict[str, str]) -> None:
    ours, project = tmp_path / "ours", tmp_path / "project"
    ours.mkdir()
    project.mkdir()
    shutil.copy(ROOT / ".pre-commit-hooks.yaml", ours)
    settings = examples("repos")
    settings["repos"][0] |= {"repo": str(ours), "rev": committed(ours, environment)}
    (project / ".pre-commit-config.yaml").write_text(yaml.safe_dump(settings))
    (project / "net.py").write_text(GOOD)
    (project / "other.py").write_text("")
    committed(project, environment)
    hook = (sys.executable, "-m", "pre_commit", "run")
    passed = run(project, environment, *hook, "--all-files")
    assert passed.returncode == 0, passed.stdout + passed.stderr
    assert "Passed" in passed.stdout
    (project / "net.py").write_text(BAD)
    stopped = run(project, environment, *hook, "--all-files")
    assert stopped.returncode == 1
    assert "[uneven-overlap]" in stopped.stdout
    assert "at:  net.py:6" in stopped.stdout
    unconcerned = run(project, environment, *hook, "--files", "other.py")
    assert "Skipped" in unconcerned.stdout
    checked = run(ours, environment, sys.executable, "-m", "pre_commit", "validate-manifest", ".pre-commit-hooks.yaml")
    assert checked.returncode == 0, checked.stdout


def test_the_steps_of_the_workflow_run(tmp_path: Path, environment: dict[str, str]) -> None:
    workflow = examples("jobs")
    (job,) = workflow["jobs"].values()
    codes = {}
    (tmp_path / "net.py").write_text(BAD)
    for step in job["steps"]:
        if "run" in step:
            codes[step["name"]] = run(tmp_path, environment, "bash", "-e", "-c", step["run"]).returncode
    # The second finds the uneven overlap.
    assert codes == {"Install": 0, "Audit": 1}
    assert (tmp_path / "pip").read_text().startswith("install unconv[demo]")
    upload = job["steps"][-1]
    assert upload["uses"].startswith("github/codeql-action/upload-sarif@")
    assert upload["if"] == "always()"
    log = json.loads((tmp_path / upload["with"]["sarif_file"]).read_text())
    place = log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]
    assert place == {"artifactLocation": {"uri": "net.py"}, "region": {"startLine": 6}}
