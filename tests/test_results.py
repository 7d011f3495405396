"""Every public result shows itself: a few lines, HTML that is well formed, a figure, a data frame, a file."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import re
import typing
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas
import pytest
import torch
from matplotlib.figure import Figure
from torch import nn

import unconv as uc
from tests.results import MAKERS, make
from unconv.errors import MissingExtraError, UnconvError
from unconv.results import Plotted, Tabled

GALLERY = Path(__file__).parents[1] / "docs" / "results.md"
# A text so short stands in a notebook as well as a table would.
ONE_LINE = 220
# Public classes that are no results (bases, tables, a context manager), and those with tests of their own.
NO_RESULT = {"LinearOperator", "Penalty", "Rule", "explain_shapes"}
PARTS = ("operators", "sparse", "experiments", "network", "train", "models", "visualize", "explain")
# Elements that HTML does not close.
VOID = {"br", "img", "hr", "meta", "link"}


def public() -> dict[str, Any]:
    """Everything that is reached from the top of the package and from its parts, by name."""
    names = {name: getattr(uc, name) for name in uc.__all__}
    for part in PARTS:
        module = importlib.import_module(f"unconv.{part}")
        names |= {name: getattr(module, name) for name in getattr(module, "__all__", ())}
    return names


def is_result(kind: Any) -> bool:
    """A class of ours that people are handed: no error, no layer or network, no type of arguments."""
    ours = inspect.isclass(kind) and kind.__module__.startswith("unconv.")
    return ours and not issubclass(kind, Exception | nn.Module) and kind.__name__ not in NO_RESULT


def returned(function: Any) -> set[type]:
    """The classes of ours in what a function says that it returns."""
    try:
        told = typing.get_type_hints(function).get("return")
    except NameError:
        return set()
    parts = [told, *typing.get_args(told)]
    return {part for part in parts if inspect.isclass(part) and is_result(part)}


class Checked(HTMLParser):
    """Elements are closed in the order in which they are opened."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:  # noqa: ARG002
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_every_public_result_is_made_here() -> None:
    made = {type(make(name)) for name in MAKERS}
    classes = {kind for kind in public().values() if is_result(kind)}
    functions = [value for value in public().values() if inspect.isfunction(value)]
    handed_out = {kind for function in functions for kind in returned(function)}
    assert len(classes) > 25
    assert len(handed_out) > 15
    missing = {kind for kind in classes | handed_out if not any(issubclass(one, kind) for one in made)}
    assert missing == set()


@pytest.mark.parametrize("name", MAKERS)
def test_text_is_short(name: str) -> None:
    result = make(name)
    for text in (repr(result), str(result)):
        assert len(text) <= 2000
        assert 1 <= len(text.splitlines()) <= 25
        assert "tensor(" not in text
        assert " object at 0x" not in text


def words(text: str) -> list[str]:
    """A text without its numbers, which differ from machine to machine in their last places."""
    return re.findall(r"[^\W\d_]+", re.sub(r"\d[\d.,]*(e[-+]?\d+)?", "", text))


@pytest.mark.parametrize("name", MAKERS)
def test_the_gallery_shows_it(name: str) -> None:
    page = GALLERY.read_text(encoding="utf-8")
    assert page.count(f"\n### {name}\n") == 1
    section = page.partition(f"\n### {name}\n")[2].partition("\n### ")[0]
    text = section.partition("```text\n")[2].partition("\n```")[0]
    said = re.sub(r"/\S*/(?=(report/)?[\w.-]+)", "", str(make(name)))
    assert words(text) == words(said), "python tools/draw_results.py"
    picture = re.search(r"\((images/results/\S+)\)", section)
    assert (picture is not None) == hasattr(make(name), "plot")
    assert picture is None or (GALLERY.parent / picture[1]).is_file()


def test_the_gallery_is_small() -> None:
    pictures = list((GALLERY.parent / "images" / "results").iterdir())
    assert len(pictures) == GALLERY.read_text(encoding="utf-8").count("(images/results/")
    assert sum(path.stat().st_size for path in pictures) < 1_000_000


# scikit-learn writes the HTML of estimators.
@pytest.mark.parametrize("name", [name for name in MAKERS if name != "DictionaryLearner"])
def test_html_is_well_formed_and_escaped(name: str) -> None:
    result = make(name)
    if not hasattr(result, "_repr_html_"):
        assert len(repr(result)) <= ONE_LINE
        return
    html = result._repr_html_()
    page = Checked()
    page.feed(html)
    page.close()
    assert page.open == []
    assert any(element in html for element in ("<table", "<img", "<pre"))
    assert "<b>" not in re.sub(r"<b>[^<]+</b>", "", html)
    if "<b>" in str(result):
        assert "&lt;b&gt;" in html


@pytest.mark.parametrize("name", MAKERS)
def test_a_figure_belongs_to_nobody_and_is_saved(name: str, tmp_path: Path) -> None:
    from matplotlib import _pylab_helpers

    result = make(name)
    if not hasattr(result, "plot"):
        assert not isinstance(result, Plotted)
        return
    figure = result.plot()
    assert isinstance(figure, Figure)
    assert figure.axes
    assert _pylab_helpers.Gcf.figs == {}
    if getattr(type(result), "save", None) is Plotted.save:
        assert result.save(tmp_path / "figure.svg").read_text().startswith("<?xml")
        with pytest.raises(UnconvError, match="files end in"):
            result.save(tmp_path / "figure.txt")


@pytest.mark.parametrize("name", MAKERS)
def test_rows_become_a_data_frame(name: str, tmp_path: Path) -> None:
    result = make(name)
    if not hasattr(result, "to_dataframe"):
        assert not isinstance(result, Tabled)
        return
    frame = result.to_dataframe()
    assert isinstance(frame, pandas.DataFrame)
    assert len(frame) == ROWS[type(result).__name__](result)
    assert not frame.empty
    assert not frame.map(torch.is_tensor).any(axis=None)
    if isinstance(result, Plotted) and type(result).save is Plotted.save:
        table = pandas.read_csv(result.save(tmp_path / "rows.csv"))
        assert list(table.columns) == list(frame.columns)
        assert len(table) == len(frame)
        assert len(pandas.read_json(result.save(tmp_path / "rows.json"))) == len(frame)


# How many rows each has.
ROWS: dict[str, Any] = {
    "Graph": lambda graph: len(graph.layers),
    "Audit": lambda audit: len(audit.layers),
    "WorkingSizes": lambda found: len(found.axes),
    "LayerList": len,
    "Solutions": len,
    "ImageSet": len,
    "Encoding": len,
    "TopActivations": lambda found: sum(int((table >= 0).sum()) for table in found.images.values()),
    "UnitPlaces": lambda found: len(found.images),
    "WindowProjections": lambda found: len(found.picks),
    "Fidelity": lambda found: len(found.figures),
    "OcclusionMaps": lambda maps: maps.probability.numel(),
    "Correspondence": lambda found: sum(map(len, found.parts.values())),
    "Invariance": lambda found: sum(table.numel() for table in found.distance.values()),
    "Evolution": lambda found: found.activations.numel(),
    "FirstLayer": lambda found: len(found.filters),
    "Transfer": lambda found: found.accuracy.numel(),
    "Classifier": lambda found: len(found.history),
    "Segmenter": lambda found: len(found.history),
    "Generated": lambda found: len(found.history),
}


def test_a_data_frame_holds_the_numbers() -> None:
    audit = make("Audit")
    frame = audit.to_dataframe()
    assert frame.macs.sum() == audit.macs
    assert frame.set_index("layer").loc["up", "findings"] == sum(one.layer == "up" for one in audit.findings) > 0
    assert list(audit.to_dataframe("findings").rule) == [finding.rule for finding in audit.findings]
    transfer = make("Transfer")
    means = transfer.to_dataframe().groupby("layer", sort=False).accuracy.mean()
    assert means.tolist() == pytest.approx(transfer.accuracy.mean(1).tolist())
    history = make("Classifier").to_dataframe()
    assert list(history.columns) == ["epoch", "train_loss", "train_accuracy", "held_out_loss", "held_out_accuracy"]


def test_without_pandas_or_matplotlib_one_line_says_what_brings_them(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingExtraError, match=r"needs pandas; pip install 'unconv\[notebook\]'"):
        make("Graph").to_dataframe()
    monkeypatch.delitem(sys.modules, "unconv.data.figure", raising=False)
    monkeypatch.delitem(sys.modules, "unconv.data.thumbnails", raising=False)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    html = make("ImageSet")._repr_html_()
    assert "needs matplotlib; pip install" in html
    assert "<table>" in html


@pytest.mark.parametrize("name", ["Graph", "Audit", "Encoding", "Denoised", "Image", "Drawing", "Classifier"])
def test_saving_returns_the_path(name: str, tmp_path: Path) -> None:
    endings = {"Graph": ".csv", "Audit": ".json", "Encoding": ".safetensors", "Classifier": ".safetensors"}
    path = tmp_path / f"result{endings.get(name, '.png')}"
    assert make(name).save(path) == path
    assert path.stat().st_size > 100


def test_shown_dataclasses_compare_as_before() -> None:
    one, other = make("Layer"), uc.trace(nn.Sequential(nn.Conv2d(3, 8, 3)), (3, 64, 64))["0"]
    assert one == dataclasses.replace(one)
    assert one != other
    assert hash(make("ReceptiveField")) == hash(dataclasses.replace(make("ReceptiveField")))
