"""How long do the 19 published animations take, as SVG and GIF? The goal: under 5 s in all, on 2 cores."""

from __future__ import annotations

import statistics
import tempfile
import time
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

from PIL import Image

from unconv.explain.gallery import animations, write_gallery

GOAL = 5.0


def run(quick: bool = False) -> dict[str, Any]:
    """Write the gallery several times; the first time also checks what was written."""
    seconds = []
    for turn in range(2 if quick else 7):
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            files = write_gallery(folder)
            seconds.append(time.perf_counter() - start)
            if turn == 0:
                check(files)
                sizes = {
                    ending: sum(p.stat().st_size for p in files if p.suffix == ending) for ending in (".svg", ".gif")
                }
    frames = sum(len(animation.drawing().frames) for animation in animations())
    return {
        "animations": len(animations()),
        "frames": frames,
        "seconds_first": seconds[0],
        "seconds_median": statistics.median(seconds),
        "seconds_least": min(seconds),
        "seconds_most": max(seconds),
        "svg_bytes": sizes[".svg"],
        "gif_bytes": sizes[".gif"],
        "goal_seconds": GOAL,
        "met": statistics.median(seconds) < GOAL,
    }


def check(files: list[Path]) -> None:
    """Every SVG parses, and every GIF holds every frame."""
    counts = {animation.name: len(animation.drawing().frames) for animation in animations()}
    for path in files:
        if path.suffix == ".svg":
            ET.parse(path)
        elif path.suffix == ".gif":
            with Image.open(path) as image:
                if image.n_frames != counts[path.stem]:  # type: ignore[attr-defined]
                    raise RuntimeError(f"{path.name}: {image.n_frames} frames, expected {counts[path.stem]}")  # type: ignore[attr-defined]


if __name__ == "__main__":
    for name, value in run().items():
        print(f"{name:16} {value:.2f}" if isinstance(value, float) else f"{name:16} {value}")
