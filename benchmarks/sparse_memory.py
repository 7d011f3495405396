"""How much memory does ``unconv.encode`` take above its input, against SPORCO, and does 4096² fit into 2 GB?

Every case is a process of its own, which imports, warms up on a small image and then notes its peak (VmHWM of Linux):
*above the input* is that peak less what was resident just before the call. The large case counts the whole process,
interpreter, torch and image included.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import MEGABYTE, goal, in_own_process, memory
from benchmarks.sparse_tasks import TASKS, Task, kernels, mosaic

STEPS = 20
LARGE = 4096
LARGE_DICTIONARY = "G:8x8x64"
PENALTY = 0.05
WARM = 64

COLUMNS = {
    "case": "case",
    "side": "side",
    "above": "peak above the input, MB",
    "whole": "peak of the process, MB",
    "input": "image and dictionary, MB",
    "seconds": "s",
}


def run(quick: bool = False) -> dict[str, Any]:
    """The grey task on both sides, then the large image."""
    rows = [case("grey, 256², 36 kernels 12×12", side, "grey05") for side in ("unconv", "SPORCO")]
    size = 1024 if quick else LARGE
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "task.npz"
        np.savez(path, image=mosaic(size), dictionary=kernels(LARGE_DICTIONARY))
        rows.append(case(f"{size}², 64 kernels 8×8", "unconv", str(path)))
    ours, theirs, large = rows
    return {
        "notes": f"λ = {PENALTY}, tol=1e-3; SPORCO's arrays have their full size from its first iterations on.",
        "columns": COLUMNS,
        "rows": rows,
        "goals": [
            goal("grey: SPORCO's memory above the input by ours", theirs["above"] / ours["above"], 8.0),
            goal(f"{size}² with 64 kernels: whole process, GB", large["whole"] / 1e3, 2.0, at_least=False),
        ],
    }


def case(title: str, side: str, what: str) -> dict[str, Any]:
    """Run one side in a process of its own."""
    row = {"case": title, "side": side, **in_own_process("sparse_memory", side, what)}
    print(f"{title}, {side}: {row['above']:.0f} MB above the input, {row['whole']:.0f} MB in all", flush=True)
    return row


def measured(side: str, what: str) -> dict[str, float]:
    """What the process of its own does."""
    task = from_file(Path(what)) if what.endswith(".npz") else TASKS[what]()
    boundary = "crop" if what.endswith(".npz") else "circular"
    call = SIDES[side]
    call(replace(task, image=np.ascontiguousarray(task.image[:, :WARM, :WARM])), boundary)
    reset_peak()
    before = memory("VmRSS")
    start = time.perf_counter()
    answer = call(task, boundary)
    seconds = time.perf_counter() - start
    peak = memory("VmHWM")
    del answer
    return {
        "above": round((peak - before) / MEGABYTE, 1),
        "whole": round(peak / MEGABYTE, 1),
        "input": round((task.image.nbytes + task.dictionary.nbytes) / MEGABYTE, 2),
        "seconds": round(seconds, 2),
    }


def from_file(path: Path) -> Task:
    """Image and dictionary as another process has prepared them, so that this one holds nothing else."""
    with np.load(path) as arrays:
        return Task(path.stem, path.stem, arrays["image"], arrays["dictionary"], PENALTY)


def by_unconv(task: Task, boundary: str) -> object:
    """Our side."""
    from unconv.sparse.code.encode import encode

    return encode(task.image[np.newaxis], task.dictionary, task.penalty, boundary=boundary, tol=1e-3)


def by_sporco(task: Task, boundary: str) -> object:
    """SPORCO in its quickest setting; it knows the circular boundary alone."""
    from benchmarks.rivals.sporco_coders import SOLVERS, peculiarities, sporco_layout
    from benchmarks.sparse_reference import best

    assert boundary == "circular"
    setting = best("grey05")
    options = {"MaxMainIter": STEPS, "FastSolve": True, **setting.options}
    image, dictionary, mask, weights = sporco_layout(task, np.float32)
    with peculiarities(setting):
        solver = SOLVERS[setting.solver](image, dictionary, task.scale, mask, weights, options, setting.groups)
        return solver, solver.solve()


SIDES: dict[str, Callable[[Task, str], object]] = {"unconv": by_unconv, "SPORCO": by_sporco}


def reset_peak() -> None:
    """Let the peak count from here on."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def main() -> None:
    """One case, as a line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("side", choices=SIDES)
    parser.add_argument("what", metavar="TASK|FILE.npz")
    arguments = parser.parse_args()
    print(json.dumps(measured(arguments.side, arguments.what)))


if __name__ == "__main__":
    main()
