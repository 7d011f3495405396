"""A small scan, and a process that kills it over and over: ``python killed_scan.py FOLDER KILLS SEED``.

Prints the checksum of what a scan left alone has found, then those of scans that were killed and resumed.
"""

from __future__ import annotations

import sys
import time
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[3]))

from tests.jobs.killing import kill_and_resume, longest
from unconv.visualize.scan.scan import scan


def find(folder: Path | None) -> str:
    """The checksum of the file that a scan of sixty pictures writes."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Conv2d(8, 6, 3), nn.Flatten(), nn.Linear(216, 5)
    )
    model[1].register_forward_hook(lambda *_: time.sleep(0.03))
    found = scan(model, torch.randn(60, 3, 18, 18), ["0", "3", "5"], top=5, batch_size=3, checkpoint=folder)
    with TemporaryDirectory() as place:
        return sha256(found.save(Path(place, "top.safetensors")).read_bytes()).hexdigest()


def main(folder: Path, kills: int, seed: int) -> None:
    """Scans that are killed, and before them two left alone."""
    print(find(None), flush=True)
    whole = longest(find, folder / "alone")
    kill_and_resume(lambda _: find, folder, kills, seed, (0.1 * whole, 0.6 * whole))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
