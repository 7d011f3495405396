"""How a job is run: a checkpoint only where there is a folder, and errors that are the family's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from unconv.errors import JobError, ModelError
from unconv.jobs import Executor, Running, Serial, Threads, raising_causes, run


def test_nothing_is_compared_where_nothing_is_kept(tmp_path: Path) -> None:
    def fingerprint() -> dict[str, int]:
        taken.append(1)
        return {"seed": 3}

    taken: list[int] = []
    assert Running().checkpoint(fingerprint) is None
    assert not taken
    kept = Running(folder=tmp_path, every_seconds=5.0).checkpoint(fingerprint)
    assert kept is not None
    assert (kept.folder, kept.every_seconds, kept.fingerprint) == (tmp_path, 5.0, {"seed": 3})


@pytest.mark.parametrize("executor", [Serial(), Threads(2)], ids=repr)
@pytest.mark.parametrize(
    ("failure", "kind", "words"),
    [
        (ModelError("layer: torn"), ModelError, "^layer: torn$"),
        (OSError("gone"), JobError, r"^job: part 0 \(1\): gone$"),
    ],
)
def test_errors_of_the_family_are_raised_as_themselves(
    executor: Executor, failure: Exception, kind: type[Exception], words: str
) -> None:
    def refuse(_: int) -> int:
        raise failure

    with pytest.raises(kind, match=words), raising_causes():
        run([1], refuse, max, state=0, executor=executor)


@pytest.mark.parametrize("executor", [4, "threads", object()], ids=lambda value: type(value).__name__)
def test_what_is_no_executor_is_refused_in_one_line(executor: object) -> None:
    with pytest.raises(JobError, match=r"^job: executor .* has no map\(function, items\); give [^\n]*$"):
        run([1], abs, max, state=0, executor=executor)  # type: ignore[arg-type]
