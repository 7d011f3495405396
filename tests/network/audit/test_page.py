"""The page of an audit in headless Chromium: console, axe, two widths, light and dark."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from torch import nn

import unconv as uc

playwright = pytest.importorskip("playwright.sync_api")
axe = pytest.importorskip("axe_playwright_python.sync_playwright")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_page_is_quiet_accessible_and_no_wider_than_the_window(tmp_path: Path, scheme: str, width: int) -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 8, 1, stride=2), nn.Conv2d(8, 8, 3, padding=4), nn.ConvTranspose2d(8, 3, 3, stride=2)
    )
    found = uc.audit(model, (3, 33, 32), measure=False)
    assert {finding.severity for finding in found.findings} == {"warning", "hint"}
    found.save(tmp_path / "audit.html", title="a <i>network</i>")
    own = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with playwright.sync_playwright() as engine:
        if own is None and not Path(engine.chromium.executable_path).exists():
            pytest.skip("no Chromium: install Debian's package chromium, or run playwright install chromium")
        browser = engine.chromium.launch(executable_path=own, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme).new_page()
        told: list[str] = []
        page.on("console", lambda message: told.append(message.text))
        page.on("pageerror", lambda error: told.append(str(error)))
        page.goto((tmp_path / "audit.html").as_uri())
        assert page.title() == "Audit of a <i>network</i>"
        assert page.locator("section.finding").count() == len(found.findings)
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        faults = axe.Axe().run(page).response["violations"]
        serious = [fault["id"] for fault in faults if fault["impact"] in ("serious", "critical")]
        browser.close()
    assert serious == []
    assert told == []
