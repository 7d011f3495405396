"""A source of networks that is added as one row and one file is known wherever MODEL strings are."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from unconv.errors import MissingExtraError, ModelError
from unconv.models import load
from unconv.models.load import sources
from unconv.models.load.built_in import model_forms
from unconv.models.load.resolve import list_models, load_model, untrained_model
from unconv.models.load.sources import SOURCES, Source

SHELF = """
from torch import nn

from unconv.errors import ModelError
from unconv.models.load.preprocess import Preprocess
from unconv.models.load.recipe import nearest, unpublished


def shelf_models():
    return ("smallnet", "vgg16")


def shelf_recipe(name):
    if name not in shelf_models():
        raise ModelError(f"shelf:{name}: no such network{nearest(name, shelf_models(), 'shelf:')}")
    return unpublished(f"shelf:{name}", lambda classes: nn.Linear(2, classes or 5), Preprocess(), "classify")
"""


@pytest.fixture(params=[True, False], ids=["proposed", "silent"])
def shelf(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Source:
    (tmp_path / "from_shelf.py").write_text(SHELF)
    monkeypatch.setattr(load, "__path__", [*load.__path__, str(tmp_path)])
    monkeypatch.delitem(sys.modules, "unconv.models.load.from_shelf", raising=False)
    row = Source("shelf", "from_shelf:shelf_recipe", "from_shelf:shelf_models", proposed=request.param)
    monkeypatch.setattr(sources, "SOURCES", (*SOURCES, row))
    return row


def test_an_added_source_is_loaded_listed_and_told(shelf: Source) -> None:
    assert load_model("shelf:smallnet", random_weights=True).module.out_features == 5
    assert untrained_model("shelf:smallnet", 3).module.out_features == 3
    assert list_models(source="shelf") == ["shelf:smallnet", "shelf:vgg16"]
    assert "timm:NAME, hf:NAME_OR_FOLDER, shelf:NAME, file.py:callable, FILE.onnx or FILE.pt2" in model_forms()
    for said, wanted in {
        "shelf:smallnot": "did you mean shelf:smallnet",
        "keras:vgg16": "shelf:NAME",
        "vgg16": "say torchvision:vgg16",  # the first row that has it
    }.items():
        with pytest.raises(ModelError, match=wanted):
            load_model(said)
    with pytest.raises(ModelError, match=r"sources are 'built-in', 'torchvision', 'timm', 'hf', 'shelf'$"):
        list_models(source="keras")
    with pytest.raises(ModelError) as caught:
        load_model("smallnet")
    assert ("say shelf:smallnet" in str(caught.value)) == shelf.proposed


def test_a_source_without_its_package_does_not_stop_the_others(shelf: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchvision", None)
    with pytest.raises(MissingExtraError, match="torchvision:NAME"):
        load_model("torchvision:vgg16")
    with pytest.raises(ModelError) as caught:
        load_model("vgg16")
    assert ("say shelf:vgg16" in str(caught.value)) == shelf.proposed


@pytest.mark.parametrize("source", [source for source in SOURCES if source.models], ids=lambda source: source.name)
def test_every_source_names_networks_and_refuses_others_by_its_own_name(source: Source) -> None:
    assert "resnet50" in source.list_networks()
    assert source.find_recipe("resnet50").name == f"{source.name}:resnet50"
    for name in ("resnet5", ""):
        with pytest.raises(ModelError, match=rf"^{source.name}:.*{source.name}:resnet50"):
            source.find_recipe(name)
