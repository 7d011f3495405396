"""How long do the 19 published animations take, as SVG and GIF? The goal: under 5 s in all, on 2 cores.

What is written is checked first: every SVG parses, every GIF holds every frame.
"""

from __future__ import annotations

import tempfile
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

from PIL import Image

from benchmarks.harness import goal, interleave, spread
from unconv.explain.gallery import Animation, animations, write_gallery

COLUMNS = {
    "animation": "animation",
    "frames": "frames",
    "svg": "SVG, ms",
    "svg_bytes": "bytes",
    "gif": "GIF, ms",
    "gif_bytes": "bytes ",
}


def run(quick: bool = False) -> dict[str, Any]:
    """Check the gallery, time all of it, and each animation alone."""
    with tempfile.TemporaryDirectory() as folder:
        check(write_gallery(folder))
        whole = spread(interleave({"all": lambda: write_gallery(folder)}, seconds=0, least=2 if quick else 7)["all"], 1)
        rows = [row(animation, Path(folder), repeats=2 if quick else 5) for animation in animations()]
    return {
        "columns": COLUMNS,
        "rows": rows,
        "all 19 as SVG and GIF, s": whole,
        "frames": sum(entry["frames"] for entry in rows),
        "goals": [goal("all 19 animations, SVG and GIF, s", whole["median"], 5.0, at_least=False)],
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
        times = interleave({"save": lambda path=path: animation.drawing().save(path)}, seconds=0, least=repeats)
        entry |= {ending: spread(times["save"]), f"{ending}_bytes": path.stat().st_size}
    return entry
