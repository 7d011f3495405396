"""How long do the 19 published animations take, as SVG and GIF? The goal: under 5 s in all, on 2 cores.

What is written is checked first: every SVG parses, every GIF holds every frame.
"""

from __future__ import annotations

import statistics
import tempfile
import time
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

from PIL import Image

from unconv.explain.gallery import Animation, animations, write_gallery

GOAL = 5.0


def run(quick: bool = False) -> dict[str, Any]:
    """Check the gallery, time all of it, and each animation alone."""
    with tempfile.TemporaryDirectory() as folder:
        check(write_gallery(folder))
        seconds = [timed(lambda: write_gallery(folder)) for _ in range(2 if quick else 7)]
        rows = [row(animation, Path(folder), repeats=1 if quick else 5) for animation in animations()]
    return {
        "goal_seconds": GOAL,
        "seconds": statistics.median(seconds),
        "seconds_least": min(seconds),
        "seconds_most": max(seconds),
        "goal_met": statistics.median(seconds) < GOAL,
        "frames": sum(entry["frames"] for entry in rows),
        "rows": rows,
    }


def check(files: list[Path]) -> None:
    """Refuse to time files that are not what they should be."""
    counts = {animation.name: len(animation.drawing().frames) for animation in animations()}
    for path in files:
        if path.suffix == ".svg":
            ET.parse(path)
        elif path.suffix == ".gif":
            with Image.open(path) as image:
                found = getattr(image, "n_frames", 1)
            if found != counts[path.stem]:
                raise RuntimeError(f"animations: {path.name} has {found} frames, not {counts[path.stem]}")


def row(animation: Animation, folder: Path, repeats: int) -> dict[str, Any]:
    """Seconds and bytes of one animation in either format."""
    entry: dict[str, Any] = {"animation": animation.name, "frames": len(animation.drawing().frames)}
    for ending in ("svg", "gif"):
        path = folder / f"alone.{ending}"
        times = [timed(lambda path=path: animation.drawing().save(path)) for _ in range(repeats)]
        entry |= {f"{ending}_seconds": statistics.median(times), f"{ending}_bytes": path.stat().st_size}
    return entry


def timed(work: Any) -> float:
    """Seconds that something takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    result = run()
    for entry in result.pop("rows"):
        print("  ".join(f"{value:.3f}" if isinstance(value, float) else str(value) for value in entry.values()))
    print(result)
