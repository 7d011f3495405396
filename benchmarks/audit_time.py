"""What does an audit of ResNet-50 add to the import of torch and torchvision? Each in a process of its own."""

from __future__ import annotations

import statistics
import subprocess
import sys
from typing import Any

from benchmarks.harness import goal, spread

THREADS = 2
TARGET = 1.0
SCRIPT = """
import time
import torch, torchvision
model = torchvision.models.resnet50()
imported = time.perf_counter()
import unconv as uc
found = uc.audit(model, (3, 224, 224))
print(time.perf_counter() - imported, len(found.findings), found.parameters, found.macs)
"""

COLUMNS = {"what": "what", "seconds": "s"}


def run(quick: bool = False) -> dict[str, Any]:
    """Processes one after the other; the seconds behind the import and the model."""
    times = []
    for _ in range(3 if quick else 11):
        out = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True).stdout
        times.append(float(out.split()[0]))
    return {
        "threads": THREADS,
        "notes": "Import of unconv and the audit, after the import of torch and torchvision and the model's making.",
        "columns": COLUMNS,
        "rows": [{"what": "import unconv, audit ResNet-50", "seconds": spread(times, unit=1.0)}],
        "goals": [goal("seconds added", round(statistics.median(times), 3), TARGET, at_least=False)],
    }
