"""The page of a report in headless Chromium: keyboard, filters, lazy pictures, two widths, light and dark, axe.

Skipped where there is no Chromium (Debian's package ``chromium``, or the one that ``playwright install`` brings).
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import unconv as uc
from unconv.data.images import save_image
from unconv.models.load.preprocess import Preprocess
from unconv.models.load.resolve import LoadedModel

playwright = pytest.importorskip("playwright.sync_api")
axe = pytest.importorskip("axe_playwright_python.sync_playwright")

FLAGS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync")
UNITS = 1000
NAMED = "a<img src=x onerror=alert(1)>.png"


def chromium(engine: Any) -> Any:
    """The browser, from wherever it is."""
    own = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if own is None and not Path(engine.chromium.executable_path).exists():
        pytest.skip("no Chromium: install Debian's package chromium, or run playwright install chromium")
    return engine.chromium.launch(executable_path=own, args=list(FLAGS))


def network(units: int) -> LoadedModel:
    """Two layers with that many units in all; in the second, unit 2 is dead and 4 and 5 say the same."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, units - 8, 3), nn.ReLU())
    with torch.no_grad():
        model[3].weight[2], model[3].bias[2] = 0, -1
        model[3].weight[5], model[3].bias[5] = model[3].weight[4], model[3].bias[4]
    return LoadedModel("tiny", model, Preprocess((24, 32), (24, 32)), None, "random, for a test")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures in two classes."""
    folder = tmp_path_factory.mktemp("pictures")
    generator = torch.Generator().manual_seed(0)
    for number in range(20):
        place = folder / ("<b>odd" if number % 2 else "even")
        place.mkdir(exist_ok=True)
        save_image(torch.rand(3, 24, 32, generator=generator), place / (NAMED if number == 1 else f"{number:02d}.png"))
    return folder


@pytest.fixture(scope="module")
def page_path(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of a thousand units."""
    out = tmp_path_factory.mktemp("report")
    return uc.see(network(UNITS), pictures, ["1", "4"], out, units="all", top=4, fidelity=1).path


@pytest.fixture(scope="module")
def compared_path(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of few pictures and two networks: every part that a page can have."""
    few = [*sorted(pictures.rglob("*.png"))[:6], "missing.png"]
    out = tmp_path_factory.mktemp("compared")
    return uc.see(network(20), few, ["1", "4"], out, top_units=4, compare=network(18), single_file=True).path


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as engine:
        found = chromium(engine)
        yield found
        found.close()


@pytest.fixture
def opened(browser: Any, page_path: Path, request: pytest.FixtureRequest) -> Iterator[Any]:
    """The page as it opens from disk; what it tells the console, or asks of the network, fails the test."""
    width, scheme = getattr(request, "param", (1280, "light"))
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True)
    page = context.new_page()
    told: list[str] = []
    page.on("console", lambda message: told.append(message.text))
    page.on("pageerror", lambda error: told.append(str(error)))
    page.on("request", lambda asked: None if asked.url.startswith("file:") else told.append(asked.url))
    page.goto(page_path.as_uri())
    yield page
    context.close()
    assert told == []


def shown_units(page: Any) -> int:
    return int(page.evaluate("document.querySelectorAll('.unit:not([hidden])').length"))


def loaded_sprites(page: Any) -> int:
    return int(page.evaluate("[...document.querySelectorAll('.sprite')].filter(s => s.style.backgroundImage).length"))


def test_sheets_are_loaded_as_they_come_into_view(opened: Any) -> None:
    opened.wait_for_function("document.querySelector('.unit .sprite').style.backgroundImage !== ''")
    before = loaded_sprites(opened)
    every = opened.locator(".sprite").count()
    assert every > 2 * UNITS
    assert before < every / 4
    opened.wait_for_function(
        """() => {
            const last = [...document.querySelectorAll('.unit')].at(-1);
            // What comes into view takes its true height then, and pushes the rest away.
            last.scrollIntoView();
            return last.querySelector('.sprite').style.backgroundImage !== '';
        }"""
    )
    assert loaded_sprites(opened) < every / 2


def test_a_unit_opens_moves_and_closes_by_keyboard(opened: Any) -> None:
    first = opened.locator(".unit button").first
    first.focus()
    opened.keyboard.press("Enter")
    title = opened.locator("#unit-title")
    assert title.text_content() == "1 · unit 0"
    assert opened.locator("#unit .tops li").count() == 4
    assert opened.locator("#unit .histogram rect").count() == 20
    assert "Its peak is above zero in" in opened.locator("#unit-body").text_content()
    opened.keyboard.press("ArrowRight")
    assert title.text_content() == "1 · unit 1"
    opened.keyboard.press("ArrowLeft")
    opened.keyboard.press("Escape")
    assert not opened.evaluate("document.querySelector('#unit').open")
    assert opened.evaluate("document.activeElement === document.querySelector('.unit button')")


def test_the_box_lies_where_the_unit_looks(opened: Any) -> None:
    opened.locator(".unit button").first.click()
    place = opened.evaluate(
        "JSON.parse(document.querySelector('#numbers').textContent).parts[0].layers[0].units[0].places[0]"
    )
    thumbnail = opened.locator("#unit .tops li").first.locator(".sprite").first.bounding_box()
    mark = opened.locator("#unit .tops li").first.locator("i").bounding_box()
    (top, bottom), (left, right) = place["box"]
    assert abs((mark["x"] - thumbnail["x"]) / thumbnail["width"] - left / 32) < 0.02
    assert abs((mark["y"] - thumbnail["y"]) / thumbnail["height"] - top / 24) < 0.02
    assert mark["width"] >= thumbnail["width"] * (right - left) / 32 - 1
    assert mark["height"] >= thumbnail["height"] * (bottom - top) / 24 - 1


@pytest.mark.parametrize("width", [1280, 360])
def test_pictures_keep_their_shape(browser: Any, tmp_path: Path, width: int) -> None:
    volume = torch.rand(1, 3, 10, 12, 24)
    report = uc.see(nn.Sequential(nn.Conv3d(3, 4, 3), nn.ReLU()), volume, ["1"], tmp_path / "volume")
    context = browser.new_context(viewport={"width": width, "height": 900}, offline=True)
    page = context.new_page()
    page.goto(report.path.as_uri())
    box = page.locator(".head > img").bounding_box()
    context.close()
    assert box["width"] / box["height"] == pytest.approx(2, rel=0.02)


def test_filters_leave_what_was_asked_for(opened: Any) -> None:
    every = shown_units(opened)
    opened.select_option("#by-layer", "1")
    assert shown_units(opened) < every
    assert f"{shown_units(opened)} of {every} units" == opened.locator("#shown").text_content()
    opened.select_option("#by-layer", "4")
    opened.check("#only-redundant")
    names = opened.locator(".unit:not([hidden]) b").all_text_contents()
    assert {"unit 4", "unit 5"} <= set(names)
    opened.uncheck("#only-redundant")
    opened.check("#only-dead")
    assert "unit 2" in opened.locator(".unit:not([hidden]) b").all_text_contents()
    opened.uncheck("#only-dead")
    classes = opened.locator("#by-class option").all_text_contents()
    assert [name.split(" (")[0] for name in classes] == ["any", "<b>odd", "even"]


def test_names_of_files_are_text(opened: Any) -> None:
    assert opened.locator("img[src=x]").count() == 0
    number = opened.evaluate(
        """name => [...document.querySelectorAll('.unit button')].findIndex(b => {
            const part = JSON.parse(document.querySelector('#numbers').textContent).parts[b.dataset.part];
            const unit = part.layers[b.dataset.number].units[b.dataset.unit];
            return unit.places.some(p => part.images[p.image].name.endsWith(name));
        })""",
        NAMED,
    )
    assert number >= 0
    opened.locator(".unit button").nth(number).click()
    assert NAMED in opened.locator("#unit-body").text_content()
    assert opened.locator("img[src=x]").count() == 0


def faults_of(page: Any, context: str) -> list[tuple[str, str]]:
    found = axe.Axe().run(page, context=context).response["violations"]
    return [(fault["id"], fault["nodes"][0]["html"]) for fault in found]


@pytest.mark.parametrize("opened", [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")], indirect=True)
def test_axe_finds_no_fault_and_nothing_is_wider_than_the_window(opened: Any, compared_path: Path) -> None:
    opened.goto(compared_path.as_uri())
    assert opened.locator("#compare").count() == 1
    assert opened.locator("section.picture").count() == 7
    assert opened.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert faults_of(opened, "body") == []
    opened.locator(".unit button").first.click()
    assert faults_of(opened, "#unit") == []
