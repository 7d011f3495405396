"""Does the memory of a scan grow with the images it sees? 100,000 images of 32² from a generator, every layer.

A process of its own makes the images as they are asked for, from a seed, and ``unconv.scan`` keeps the nine strongest
places of every unit of a small max-pooling network: convolutions, rectifiers, pools and the linear layer. What is
resident is noted after each fifth. *Growth* is from the first fifth to the end: by then the libraries have settled.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from typing import Any

from benchmarks.harness import MEGABYTE, goal, in_own_process, megabytes

COUNT, SIDE = 100_000, 32
BATCH, TOP = 64, 9
FIFTHS = 5
# All images together, as they lie in memory, are 1,229 MB.
ALLOWED = 20.0

COLUMNS = {
    "images": "images",
    "disk": "as float32, MB",
    "layers": "layers",
    "units": "units",
    "settled": "resident after a fifth, MB",
    "end": "at the end, MB",
    "growth": "growth, MB",
    "peak": "peak, MB",
    "seconds": "s",
}


def run(quick: bool = False) -> dict[str, Any]:
    """One scan, in another process."""
    count = COUNT // 10 if quick else COUNT
    told = in_own_process("scan_memory", str(count))
    resident = told["resident"]
    row = {
        "images": count,
        "disk": round(count * 3 * SIDE * SIDE * 4 / MEGABYTE),
        **told,
        "settled": resident[0],
        "end": resident[-1],
        "growth": round(resident[-1] - resident[0], 1),
    }
    return {
        "notes": f"3 × {SIDE} × {SIDE}, top {TOP}, batches of {BATCH}, float32.",
        "columns": COLUMNS,
        "rows": [row],
        "goals": [goal("growth, MB", row["growth"], ALLOWED, at_least=False)],
    }


def scanned(count: int) -> dict[str, Any]:
    """What the process of its own does."""
    import torch
    from torch import nn

    from unconv.visualize.scan.scan import scan

    torch.manual_seed(0)
    model = nn.Sequential(
        *(nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(32, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(512, 10)),
    )
    resident: list[float] = []

    def images() -> Iterator[torch.Tensor]:
        generator = torch.Generator().manual_seed(0)
        for number in range(1, count + 1):
            yield torch.randn(3, SIDE, SIDE, generator=generator)
            # The last fifth ends behind the scan.
            if number % (count // FIFTHS) == 0 and number < count:
                resident.append(megabytes("VmRSS"))

    start = time.perf_counter()
    found = scan(model, images(), [str(number) for number in range(len(model))], TOP, batch_size=BATCH)
    seconds = time.perf_counter() - start
    resident.append(megabytes("VmRSS"))
    if found.count != count:
        raise RuntimeError(f"{found.count} of {count} images were scanned")
    return {
        "layers": len(found.layers),
        "units": sum(len(table) for table in found.values.values()),
        "resident": resident,
        "peak": megabytes("VmHWM"),
        "seconds": round(seconds, 1),
    }


def main() -> None:
    """One run, as a line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("count", type=int)
    print(json.dumps(scanned(parser.parse_args().count)))


if __name__ == "__main__":
    main()
