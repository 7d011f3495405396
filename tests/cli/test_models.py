"""``unconv models``: what a MODEL may be, as a table and as JSON."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from unconv.cli.main import app
from unconv.errors import UnconvError
from unconv.models.load.built_in import BUILT_IN
from unconv.models.load.catalogue import describe_model
from unconv.models.load.resolve import list_models, load_model


def told(*words: str) -> str:
    result = CliRunner().invoke(app, ["models", *words], catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def test_all_built_in_ones_are_listed_with_paper_and_weights() -> None:
    lines = told().splitlines()
    assert all(len(line) <= 80 for line in lines)
    for row in BUILT_IN:
        place = next(number for number, line in enumerate(lines) if line.split()[0] == row.name)
        assert row.paper.split()[0] in lines[place + 1] + lines[place + 2]
    assert "torchvision:NAME" in lines[-2]


@pytest.mark.parametrize("model", ["lenet5", "zfnet-28", "compact", "dcgan-32", "unet-small", "torchvision:resnet18"])
def test_facts_are_those_of_the_network(model: str) -> None:
    facts = describe_model(model)
    loaded = load_model(model, random_weights=True)
    assert facts.parameters == sum(parameter.numel() for parameter in loaded.module.parameters())
    assert facts.input_size == (loaded.takes or loaded.input_size)


def test_a_pattern_is_that_of_list_models() -> None:
    assert [one["model"] for one in json.loads(told("fcn8?", "--json"))] == list_models("fcn8?")
    found = json.loads(told("torchvision:resnet?8", "--json"))
    assert [one["model"] for one in found] == ["torchvision:resnet18"]
    assert found[0]["paper"] == "Deep Residual Learning for Image Recognition, arXiv:1512.03385"
    assert found[0]["input_size"] == [3, 224, 224]


def test_a_pattern_of_nothing_is_refused_in_one_line() -> None:
    error = CliRunner().invoke(app, ["models", "torchvision:nothing*"]).exception
    assert isinstance(error, UnconvError)
    assert str(error).startswith("models: nothing matches 'torchvision:nothing*'")
