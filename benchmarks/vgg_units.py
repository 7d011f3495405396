"""How long does the report of all 4,224 units of VGG-16's convolutions take, nine places each, from a finished scan?

What ``unconv see torchvision:vgg16 --random-weights PICTURES --scan top.safetensors --layers all --units all
--fidelity 0`` does: pictures are read and prepared, every unit is sent back from its nine places, sprites and page are
written. 512 JPEG crops of photographs; weights are random: they do not change what is computed. The quick run takes
some units of each layer, then twice as many, and goes on in a straight line to all, which is too pessimistic where
units share pictures.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.unit_windows import photographs
from unconv.data.images import save_image
from unconv.models.load.resolve import LoadedModel, load_model
from unconv.visualize.report.see import see
from unconv.visualize.scan.scan import convolutions, scan
from unconv.visualize.scan.top_activations import TopActivations

THREADS = 2
PICTURES, TOP = 512, 9
SAMPLE = 16

COLUMNS = {
    "layer": "layer",
    "units": "units",
    "timed": "units timed",
    "seconds": "their seconds",
    "minutes": "minutes for all units",
}


def run(quick: bool = False) -> dict[str, Any]:
    """Every convolution of VGG-16, one after the other."""
    torch.set_num_threads(THREADS)
    model = load_model("torchvision:vgg16", random_weights=True)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "pictures"
        write(model.preprocess.denormalise(photographs(48 if quick else PICTURES)), folder)
        found = scan(model, folder, convolutions(model.module), top=TOP)
        rows = [timed(model, folder, found, layer, SAMPLE if quick else None) for layer in found.layers]
    minutes = sum(row["minutes"] for row in rows)
    total = {
        "layer": "all",
        "units": sum(row["units"] for row in rows),
        "timed": sum(row["timed"] for row in rows),
        "seconds": round(sum(row["seconds"] for row in rows), 1),
        "minutes": round(minutes, 1),
    }
    return {
        "threads": THREADS,
        "notes": f"top {TOP}, rule auto, {found.count} pictures; each layer scans the sample for its histograms anew.",
        "columns": COLUMNS,
        "rows": [*rows, total],
        "goals": [],
    }


def write(pictures: Tensor, folder: Path) -> None:
    """Pictures as JPEG files."""
    folder.mkdir()
    for number, picture in enumerate(pictures):
        save_image(picture.clamp(0, 1), folder / f"{number:04d}.jpg")


def timed(model: LoadedModel, folder: Path, found: TopActivations, layer: str, sample: int | None) -> dict[str, Any]:
    """The report of one layer; of a sample, and of twice as many units, to know what does not grow with the units."""
    units = len(found.values[layer])
    some, seconds = units, 0.0
    if sample is None or 2 * sample >= units:
        seconds = whole = reported(model, folder, found, layer, list(range(units)))
    else:
        some = 2 * sample
        half, seconds = (
            reported(model, folder, found, layer, list(range(0, units, units // count))[:count])
            for count in (sample, some)
        )
        whole = seconds + max(0.0, seconds - half) * (units - some) / sample
    row = {
        "layer": layer,
        "units": units,
        "timed": some,
        "seconds": round(seconds, 2),
        "minutes": round(whole / 60, 2),
    }
    print(f"{layer}: {row['minutes']} min", flush=True)
    return row


def reported(model: LoadedModel, folder: Path, found: TopActivations, layer: str, units: list[int]) -> float:
    """Seconds of a report of some units."""
    with tempfile.TemporaryDirectory() as out:
        start = time.perf_counter()
        see(model, folder, [layer], out, scan=found, units=units, fidelity=0)
        return time.perf_counter() - start
