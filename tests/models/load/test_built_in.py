"""What is published of a network is what its file has; and every built-in name passes the audit as it is."""

from __future__ import annotations

import json

import pytest
import torch
from torchvision.models import get_model
from typer.testing import CliRunner

import unconv as uc
from unconv.cli.main import app
from unconv.models.load.resolve import list_models, load_model, untrained_model

# Trainable parameters as published: of torchvision's networks too, which are used for what torchvision has.
PUBLISHED = {
    "lenet5": 60_000,
    "alexnet-two-tower": 60_965_224,
    "zfnet": 62_357_608,
    "torchvision:alexnet": 61_100_840,
    "torchvision:vgg16": 138_357_544,
    "torchvision:resnet18": 11_689_512,
    "torchvision:resnet34": 21_797_672,
    "torchvision:resnet50": 25_557_032,
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_are_the_published_ones(name: str) -> None:
    if name.startswith("torchvision:"):
        # Without memory for them: only shapes are asked for.
        with torch.device("meta"):
            module = get_model(name.removeprefix("torchvision:"))
    else:
        module = load_model(name, random_weights=True).module
    assert sum(one.numel() for one in module.parameters() if one.requires_grad) == PUBLISHED[name]


@pytest.mark.parametrize("name", list_models(source="built-in"))
def test_every_built_in_network_passes_the_audit_at_its_own_size(name: str) -> None:
    run = CliRunner().invoke(app, ["audit", name, "--json", "--no-measure"])
    assert run.exit_code == 0, run.output
    told = json.loads(run.stdout)
    assert told["parameters"] > 0
    assert [finding for finding in told["findings"] if finding["severity"] == "error"] == []


@pytest.mark.parametrize("name", ["efficientnet-lite0", "lenet5", "alexnet-two-tower", "zfnet", "zfnet-28"])
def test_classifiers_take_any_number_of_classes(name: str) -> None:
    loaded = untrained_model(name, 3)
    with torch.no_grad():
        assert loaded.module.eval()(torch.rand(2, *loaded.input_size)).shape == (2, 3)
    assert loaded.weights == "random (seed 0)"


def test_the_audit_of_lenet_finds_nothing_and_counts_its_connections() -> None:
    found = uc.audit(load_model("lenet5", random_weights=True).module, (1, 32, 32), measure=False)
    assert found.findings == ()
    macs = {layer.name: layer.macs for layer in found.layers if layer.macs}
    # Positions × weights of a unit; C3 as the dense array that it is computed with.
    assert macs == {
        "features.c1": 28 * 28 * 6 * 25,
        "features.c3": 10 * 10 * 16 * 6 * 25,
        "classifier.c5": 120 * 16 * 25,
        "classifier.f6": 84 * 120,
    }
