"""Do time and memory of ``unconv.encode`` grow in proportion to the image? Grey, 256² to 2048², 36 kernels 12×12.

The images are mosaics of the same blocks of photographs (``sparse_tasks.mosaic``), so that only the size differs.
Each size is encoded in a process of its own (``sparse_memory``), a few times, sizes in turn; memory is the peak above
the input.
"""

from __future__ import annotations

import math
import statistics
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import RESULTS, goal, spread
from benchmarks.sparse_memory import case
from benchmarks.sparse_tasks import kernels, mosaic

SIZES = (512, 1024, 2048)
DICTIONARY = "G:12x12x36"
PLOT = RESULTS / "sparse_scaling.svg"
ROUNDS = 3

COLUMNS = {
    "size": "image",
    "seconds": "s",
    "per_megapixel": "s per megapixel",
    "memory": "peak above the input, MB",
    "memory_per_megapixel": "MB per megapixel",
}


def run(quick: bool = False) -> dict[str, Any]:
    """Every size, and the powers with which time and memory grow."""
    sizes = SIZES[:2] if quick else SIZES
    samples: dict[int, list[dict[str, Any]]] = {size: [] for size in sizes}
    with tempfile.TemporaryDirectory() as folder:
        paths = {size: Path(folder) / f"{size}.npz" for size in sizes}
        for size, path in paths.items():
            np.savez(path, image=mosaic(size), dictionary=kernels(DICTIONARY))
        for _ in range(1 if quick else ROUNDS):
            for size, path in paths.items():
                samples[size].append(case(f"{size}²", "unconv", str(path)))
    rows = [row_of(size, found) for size, found in samples.items()]
    result = {
        "notes": "λ = 0.05, boundary crop, tol=1e-3. The exponent p is that of pixelsᵖ between the least and the "
        "largest image.",
        "columns": COLUMNS,
        "rows": rows,
        "goals": [
            goal("time grows as pixels to the power", exponent(rows, "median_seconds"), 1.1, at_least=False),
            goal("memory grows as pixels to the power", exponent(rows, "memory"), 1.1, at_least=False),
        ],
    }
    if not quick:
        plot(rows, PLOT)
        result["notes"] = f"{result['notes']}\n\n![Time and memory against pixels](../benchmarks/results/{PLOT.name})"
    return result


def row_of(size: int, found: list[dict[str, Any]]) -> dict[str, Any]:
    """One size."""
    megapixels = size * size / 1e6
    seconds = [each["seconds"] for each in found]
    memory = max(each["above"] for each in found)
    return {
        "size": f"{size}²",
        "pixels": size * size,
        "seconds": spread(seconds, unit=1.0) if len(seconds) > 1 else seconds[0],
        "median_seconds": statistics.median(seconds),
        "per_megapixel": round(statistics.median(seconds) / megapixels, 3),
        "memory": memory,
        "memory_per_megapixel": round(memory / megapixels, 1),
    }


def exponent(rows: list[dict[str, Any]], key: str) -> float:
    """p in pixelsᵖ between the first row and the last."""
    first, last = rows[0], rows[-1]
    return math.log(last[key] / first[key]) / math.log(last["pixels"] / first["pixels"])


def plot(rows: list[dict[str, Any]], path: Path) -> None:
    """Time and memory against pixels, both logarithmic, with straight proportion drawn from the first size."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    pixels = [row["pixels"] for row in rows]
    figure, axes = pyplot.subplots(1, 2, figsize=(8, 3), layout="constrained")
    for axis, key, label in zip(axes, ("median_seconds", "memory"), ("seconds", "MB above the input"), strict=True):
        values = [row[key] for row in rows]
        axis.loglog(pixels, values, "o-", label="encode")
        axis.loglog(pixels, [values[0] * count / pixels[0] for count in pixels], "--", label="in proportion")
        axis.set(xlabel="pixels", ylabel=label)
        axis.legend()
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
