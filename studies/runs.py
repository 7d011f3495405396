"""What all studies share: runs of ``unconv train``, some at once, each logged as a line of JSON when it has ended.

A study is a module of this folder: ``runs(seeds, length)``, the ``NAMES`` of the networks that it compares under their
``HEADING``, the ``NUMBERS`` that it compares them by; what it wants to know of trained weights is in its
``measure(run, weights, garments)``. A run is a command of ``unconv train``, by one thread. What it told stands with its
command in ``docs/studies/STUDY.jsonl``; a run that is in the log is not made again, so that a study that was stopped
goes on where it stood. Weights and checkpoints lie below ``runs/``.
"""

from __future__ import annotations

import importlib
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

REPOSITORY = Path(__file__).parent.parent
LOGS = REPOSITORY / "docs" / "studies"
SCRATCH = Path("runs")

ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    # glibc returns large blocks to the system after every use; a U-Net takes an eighth longer with that.
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(2**36),
}


@dataclass(frozen=True)
class Run:
    """One network, trained once.

    Attributes:
        study: the module of this folder that it belongs to.
        name: which of the compared networks.
        seed: of weights, order and noise.
        arguments: of ``unconv train``, without seed, output, checkpoint and ``--json``.
        start: the name of the run, of the same seed, whose weights it begins with.
    """

    study: str
    name: str
    seed: int
    arguments: tuple[str, ...]
    start: str | None = None

    def weights(self, scratch: Path, name: str | None = None) -> Path:
        """Where its weights go, or those of another run of the same seed."""
        return scratch / self.study / f"{name or self.name}-{self.seed}.safetensors"

    def command(self, scratch: Path, garments: Path | None = None) -> list[str]:
        """The words behind ``unconv``; Fashion-MNIST is read from a folder, if one is given."""
        out = self.weights(scratch)
        start = [] if self.start is None else ["--start", str(self.weights(scratch, self.start))]
        kept = ["--seed", str(self.seed), "-o", str(out), "--checkpoint", str(out.with_suffix("")), "--json"]
        data = [] if garments is None else ["--data", str(garments.absolute())]
        return ["train", *self.arguments, *start, *data, *kept]


@dataclass(frozen=True, eq=False)
class Log:
    """The file of a study: a line a run."""

    path: Path
    lock: Lock = field(default_factory=Lock, repr=False)

    def entries(self) -> list[dict[str, Any]]:
        """What has been logged, in the order in which it ended."""
        if not self.path.is_file():
            return []
        return [json.loads(line) for line in self.path.read_text(encoding="utf-8").splitlines() if line.strip()]

    def holds(self, run: Run) -> bool:
        """Whether a run has ended before, of the same arguments."""
        return any(
            (entry["name"], entry["seed"], entry["arguments"]) == (run.name, run.seed, list(run.arguments))
            for entry in self.entries()
        )

    def add(self, run: Run, told: Mapping[str, Any]) -> None:
        """Write what a run told; the line stands whole or not at all."""
        entry = {"name": run.name, "seed": run.seed, "arguments": list(run.arguments), "told": dict(told)}
        line = json.dumps(entry, ensure_ascii=False) + "\n"
        with self.lock:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(line)
                file.flush()
                os.fsync(file.fileno())


def log_of(study: str, logs: Path = LOGS) -> Log:
    """The log of a study."""
    return Log(logs / f"{study}.jsonl")


def make(
    runs: Iterable[Run], jobs: int, *, scratch: Path = SCRATCH, logs: Path = LOGS, garments: Path | None = None
) -> list[str]:
    """Make all runs that are not in their log, so many at once; what went wrong, a line each.

    Fashion-MNIST is read from a folder, if one is given.
    """
    todo = [run for run in runs if not log_of(run.study, logs).holds(run)]
    print(f"{len(todo)} runs to be made", flush=True)
    logs_by_study = {run.study: log_of(run.study, logs) for run in todo}
    failed: list[str] = []
    with ThreadPoolExecutor(jobs) as pool:
        ended: dict[tuple[str, str, int], Future[str | None]] = {}
        # A run stands behind the one that it starts from: where that one is still at work, it is waited for.
        for run in todo:
            before = None if run.start is None else ended.get((run.study, run.start, run.seed))
            log = logs_by_study[run.study]
            ended[run.study, run.name, run.seed] = pool.submit(_one, run, before, log, scratch, garments)
        for future in ended.values():
            if (trouble := future.result()) is not None:
                failed.append(trouble)
    return failed


def _one(run: Run, before: Future[str | None] | None, log: Log, scratch: Path, garments: Path | None) -> str | None:
    title = f"{run.study} {run.name}, seed {run.seed}"
    if before is not None and before.result() is not None:
        return f"{title}: not made, since the run that it starts from failed"
    (REPOSITORY / run.weights(scratch)).parent.mkdir(parents=True, exist_ok=True)
    command = run.command(scratch, garments)
    print(f"{title}: unconv {shlex.join(command)}", flush=True)
    done = subprocess.run(
        [sys.executable, "-m", "unconv", *command],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        env={**os.environ, **ENVIRONMENT},
        check=False,
    )
    if done.returncode:
        return f"{title}: {done.stderr.strip()}"
    told = json.loads(done.stdout.splitlines()[-1])
    measure = getattr(importlib.import_module(f"studies.{run.study}"), "measure", None)
    if measure is not None:
        told["measured"] = measure(run, REPOSITORY / run.weights(scratch), garments)
    log.add(run, told)
    print(f"{title}: {told.get('seconds')} s", flush=True)
    return None
