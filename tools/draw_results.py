"""The gallery of results in docs/results.md: each as a terminal prints it, with its figure.

    python tools/draw_results.py

The results are those of tests/results.py. A test draws the page anew and compares what it says.
"""

from __future__ import annotations

import re
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT)]

PAGE = ROOT / "docs" / "results.md"
PICTURES = ROOT / "docs" / "images" / "results"
BEGIN, END = "<!-- gallery: python tools/draw_results.py -->", "<!-- end of gallery -->"
# Dots an inch, and colours of a picture: the whole gallery stays below a megabyte.
DPI, COLOURS = 75, 64


def gallery(pictures: Path) -> str:
    """The sections of the page, one a result; their pictures are written to a folder."""
    from tests.results import MAKERS, make

    sections = []
    for name in MAKERS:
        result = make(name)
        parts = [f"### {name}", "", "```text", plain(str(result)), "```"]
        picture = draw(result, re.sub(r"\W+", "-", name.lower()), pictures)
        if picture is not None:
            parts += ["", f"![{name}](images/results/{picture.name})"]
        sections.append("\n".join(parts))
    return "\n\n".join(sections)


def plain(text: str) -> str:
    """A result's text without the folders that only this machine has."""
    return re.sub(r"/\S*/(?=(report/)?[\w.-]+)", "", text)


def draw(result: Any, name: str, folder: Path) -> Path | None:
    """The picture of a result in a file, if it has one."""
    folder.mkdir(parents=True, exist_ok=True)
    if hasattr(result, "svg"):
        return result.save(folder / f"{name}.svg")
    if not hasattr(result, "plot"):
        return None
    from PIL import Image

    drawn = BytesIO()
    result.plot().savefig(drawn, format="png", dpi=DPI)
    path = folder / f"{name}.png"
    Image.open(drawn).convert("RGB").quantize(COLOURS).save(path, optimize=True)
    return path


def main() -> None:
    """Write the page and its pictures."""
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n\n{gallery(PICTURES)}\n\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
