"""The bar shows on a terminal, and nowhere else."""

from __future__ import annotations

import subprocess
import sys

import pytest

from unconv.errors import JobError
from unconv.jobs import Checkpoint, bar, quiet, run


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


def test_a_file_gets_a_line_now_and_then(capfd, monkeypatch) -> None:
    clock = 1000.0
    monkeypatch.setattr("unconv.jobs.progress.time.monotonic", lambda: clock)
    with bar() as progress:
        progress.start(10_000, "images")
        for step in range(400):
            clock += 1
            progress.advance(10, f"loss {1 / (step + 1):.1f}")
    out, err = capfd.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert lines[0] == "100 of 10,000 images, loss 0.1, 0:10, about 16:30 to go"
    # 10, 30, 70, 150, 310 seconds: a line each time after twice the while.
    assert [line.split(",")[0].split()[0] for line in lines] == ["100", "300", "700", "1", "3"]


def stop_at_three(number: int) -> int:
    if number == 3:
        raise ValueError("no more")
    return number


class Own:
    """A progress of a user's own, which knows nothing of resuming."""

    def __init__(self) -> None:
        self.told: list[tuple[str, int | None]] = []

    def __enter__(self) -> Own:
        return self

    def __exit__(self, *error: object) -> None:
        return None

    def start(self, total: int | None, text: str = "") -> None:  # noqa: ARG002
        self.told.append(("start", total))

    def advance(self, count: int = 1, text: str | None = None) -> None:  # noqa: ARG002
        self.told.append(("advance", count))


@pytest.mark.parametrize("terminal", [False, True])
def test_what_was_done_before_is_told(tmp_path, capfd, monkeypatch, terminal: bool) -> None:
    if terminal:
        monkeypatch.setenv("FORCE_COLOR", "1")
        monkeypatch.setenv("TERM", "xterm")
    job = {"state": 0, "checkpoint": Checkpoint(tmp_path / "run", every_parts=1)}
    with pytest.raises(JobError, match="part 3"):
        run(range(5), stop_at_three, max, progress=bar(), **job)
    assert "before" not in capfd.readouterr().err
    own = Own()
    with pytest.raises(JobError, match="part 3"):
        run(range(5), stop_at_three, max, progress=own, **job)
    assert own.told == [("start", 5), ("advance", 3)]
    run(range(5), abs, max, progress=bar(), **job)
    told = capfd.readouterr().err
    assert told == "3 of 5 parts done before\n" or (terminal and "3 of 5 parts done before" in told)
