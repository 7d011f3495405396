"""Does a report of 1,000 units scroll without stuttering? In headless Chromium, from disk.

Two layers with a thousand units in all, four places each, over twenty pictures. The page is scrolled from top to
bottom in sixty steps, on a phone and a desktop: how long is it from one frame to the next? Needs Chromium (Debian's
package, or the one that ``playwright install chromium`` brings).
"""

from __future__ import annotations

import shutil
import statistics
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.harness import goal

UNITS, PICTURES, TOP = 1000, 20, 4
WIDTHS = {"phone": 390, "desktop": 1280}
STEPS = 60
# What people notice as a jerk, and what they forgive (Nielsen 1993: 0.1 s feels immediate).
ALLOWED = 100.0

COLUMNS = {
    "width": "width",
    "units": "units",
    "megabytes": "report, MB",
    "open": "ms until loaded",
    "median": "ms a frame, median",
    "longest": "longest",
}

SCROLL = """async steps => {
    const frames = [];
    let last = performance.now();
    for (let step = 0; step < steps; step++) {
        window.scrollBy({ top: document.documentElement.scrollHeight / steps, behavior: "instant" });
        await new Promise(requestAnimationFrame);
        const now = performance.now();
        frames.push(now - last);
        last = now;
    }
    return frames;
}"""


def run(quick: bool = False) -> dict[str, Any]:
    """One report, scrolled at two widths."""
    from playwright.sync_api import sync_playwright

    rows = []
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as engine:
        page_path = report(Path(folder), UNITS // 10 if quick else UNITS)
        size = sum(path.stat().st_size for path in page_path.parent.rglob("*") if path.is_file())
        own = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
        browser = engine.chromium.launch(executable_path=own, args=["--no-sandbox", "--disable-gpu"])
        for title, width in WIDTHS.items():
            page = browser.new_context(viewport={"width": width, "height": 900}, offline=True).new_page()
            page.goto(page_path.as_uri())
            opened = page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd")
            frames = page.evaluate(SCROLL, STEPS)
            rows.append(
                {
                    "width": f"{title}, {width}",
                    "units": page.locator(".unit").count(),
                    "megabytes": round(size / 1e6, 1),
                    "open": round(opened),
                    "median": round(statistics.median(frames), 1),
                    "longest": round(max(frames), 1),
                }
            )
        browser.close()
    return {
        "columns": COLUMNS,
        "rows": rows,
        "goals": [goal("longest wait, ms", max(row["longest"] for row in rows), ALLOWED, at_least=False)],
    }


def report(folder: Path, units: int) -> Path:
    """A report of that many units of a small network."""
    import torch
    from torch import nn

    from unconv.models.load.preprocess import Preprocess
    from unconv.models.load.resolve import LoadedModel
    from unconv.visualize.report.see import see

    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, units - 8, 3), nn.ReLU())
    loaded = LoadedModel("small", model, Preprocess((24, 32), (24, 32)), None, "random")
    images = torch.rand(PICTURES, 3, 24, 32, generator=torch.Generator().manual_seed(0))
    return see(loaded, images, ["1", "4"], folder, units="all", top=TOP, fidelity=0).path
