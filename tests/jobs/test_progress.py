"""The bar shows on a terminal, and nowhere else."""

from __future__ import annotations

import subprocess
import sys

import pytest

from unconv.jobs import bar, quiet, run


@pytest.mark.parametrize("make", [bar, quiet])
def test_nothing_is_written_to_a_pipe(make, capfd) -> None:
    run(range(3), abs, max, state=0, progress=make())
    assert capfd.readouterr() == ("", "")


def test_a_terminal_gets_the_bar_on_stderr(capfd, monkeypatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    with bar() as progress:
        progress.start(5, "[a] round")
        progress.advance(2)
        progress.advance(1, "round 2")
    out, err = capfd.readouterr()
    assert out == ""
    assert "3/5" in err
    assert "round 2" in err


def test_jobs_need_no_torch_until_a_tensor_comes() -> None:
    code = (
        "import sys, unconv.jobs as jobs, tempfile\n"
        "with tempfile.TemporaryDirectory() as folder:\n"
        "    jobs.run([1, 2], abs, max, state=0, checkpoint=jobs.Checkpoint(folder), executor=jobs.Threads(2))\n"
        "print({'torch', 'numpy', 'rich', 'safetensors'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", code]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == "set()\n"
