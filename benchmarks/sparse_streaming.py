"""Does the memory of a learner grow with the images it reads? 1,000 pictures of 256² from a folder, online.

The pictures are random crops of SPORCO's and scikit-image's photographs as grey PNG files. A process of its own learns
64 kernels 8×8 from their detail, as ``unconv learn --batch-size 8`` does: each file is read and its low-pass taken off
when its turn comes. What is resident is noted after each minibatch. *Growth* is from the median of the second tenth of
the run to that of the last tenth: in the first tenth the libraries settle.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.harness import MEGABYTE, goal, in_own_process, megabytes
from benchmarks.sparse_tasks import SEED, TRAINING, picture

COUNT, SIDE = 1000, 256
KERNELS, KERNEL, BATCH = 64, 8, 8
# Less than eight images, as they lie in memory, are 2 MB: what grew with a thousand of them would show.
ALLOWED = 5.0

COLUMNS = {
    "images": "images",
    "disk": "as float32, MB",
    "settled": "resident after a fifth, MB",
    "end": "at the end, MB",
    "growth": "growth, MB",
    "peak": "peak, MB",
    "seconds": "s",
}


def run(quick: bool = False) -> dict[str, Any]:
    """Write the pictures, learn from them in another process."""
    count = COUNT // 5 if quick else COUNT
    with tempfile.TemporaryDirectory() as folder:
        write_pictures(Path(folder), count)
        told = in_own_process("sparse_streaming", folder)
    resident = told["resident"]
    tenth = max(len(resident) // 10, 1)
    settled, end = statistics.median(resident[tenth : 2 * tenth]), statistics.median(resident[-tenth:])
    row = {
        "images": count,
        "disk": round(count * SIDE * SIDE * 4 / MEGABYTE),
        "settled": round(settled, 1),
        "end": round(end, 1),
        "growth": round(end - settled, 1),
        "peak": told["peak"],
        "seconds": told["seconds"],
        "resident": resident,
    }
    return {
        "notes": f"{KERNELS} kernels {KERNEL}×{KERNEL}, λ = 0.2, minibatches of {BATCH}, one pass.",
        "columns": COLUMNS,
        "rows": [row],
        "goals": [goal("growth, MB", row["growth"], ALLOWED, at_least=False)],
    }


def write_pictures(folder: Path, count: int) -> None:
    """Random crops of photographs, turned and mirrored."""
    from skimage import data

    photographs = [picture(name, np.s_[:, :]) for name in TRAINING]
    photographs += [np.asarray(each(), np.float32).mean(axis=-1) / 255 for each in (data.astronaut, data.chelsea)]
    rng = np.random.default_rng(SEED)
    for number in range(count):
        photograph = photographs[number % len(photographs)]
        top, left = (int(rng.integers(size - SIDE + 1)) for size in photograph.shape)
        crop = np.rot90(photograph[top : top + SIDE, left : left + SIDE], int(rng.integers(4)))
        Image.fromarray((crop * 255).round().clip(0, 255).astype(np.uint8)).save(folder / f"{number:04d}.png")


def learned(folder: str) -> dict[str, Any]:
    """What the process of its own does."""
    from unconv.sparse.estimator.learner import DictionaryLearner

    resident: list[float] = []
    start = time.perf_counter()
    DictionaryLearner(
        n_kernels=KERNELS,
        kernel_size=KERNEL,
        penalty=0.2,
        constraint="zero_mean",
        batch_size=BATCH,
        max_iter=1,
        random_state=SEED,
        callback=lambda *_: resident.append(megabytes("VmRSS")),
        mode="grey",
        low_pass=5.0,
    ).fit(folder)
    return {
        "resident": resident,
        "peak": megabytes("VmHWM"),
        "seconds": round(time.perf_counter() - start, 1),
    }


def main() -> None:
    """One run, as a line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    print(json.dumps(learned(parser.parse_args().folder)))


if __name__ == "__main__":
    main()
