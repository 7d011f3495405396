"""The built-in max-pooling network: the shape the paper gives it, and the weights that come with it."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import nn

import unconv
from unconv.data.fashion import CLASSES, fashion
from unconv.errors import ModelError
from unconv.models.load.trained import about_trained
from unconv.models.zfnet28 import WEIGHTS, ZFNet28
from unconv.network.windows import windows_of


def test_sizes_halve_as_in_the_paper() -> None:
    model = ZFNet28().eval()
    sizes, x = {}, torch.zeros(2, 1, 28, 28)
    for name, layer in model.features.named_children():
        x = layer(x)
        sizes[name] = x.shape[-1]
    assert [sizes[f"conv{n}"] for n in range(1, 6)] == [28, 14, 7, 7, 7]
    assert [sizes[f"pool{n}"] for n in (1, 2, 5)] == [14, 7, 3]


def test_rectifiers_are_modules_and_pools_overlap() -> None:
    modules = list(ZFNet28().modules())
    assert sum(isinstance(module, nn.ReLU) for module in modules) == 6
    pools = [module for module in modules if isinstance(module, nn.MaxPool2d)]
    assert [(pool.kernel_size, pool.stride) for pool in pools] == [(3, 2)] * 3


def test_other_sizes_are_refused_in_one_line() -> None:
    with pytest.raises(ModelError, match="zfnet-28: input 32x40; it tells classes apart at 28x28 only"):
        ZFNet28().eval()(torch.zeros(1, 1, 32, 40))


def test_windows_show_what_the_whole_picture_does() -> None:
    model = unconv.load_model("zfnet-28").module.double()
    images = torch.rand(2, 1, 28, 28, dtype=torch.float64)
    graph = unconv.trace(model, (1, 28, 28))
    for layer, position in (("features.relu1", (0, 27)), ("features.relu2", (2, 3)), ("features.relu5", (6, 3))):
        whole = unconv.project(model, images, layer, unit=3, position=position)
        picks = [unconv.visualize.Pick(image, 3, position) for image in range(2)]
        found = unconv.visualize.project_units(model, images, windows_of(graph, layer), picks)
        assert all(torch.allclose(found.whole(n), whole.image[n], rtol=1e-9, atol=1e-12) for n in range(2))
    assert windows_of(graph, "features.relu2").size < (28, 28)


def test_projections_are_captums() -> None:
    from captum.attr import Deconvolution

    model, images = unconv.load_model("zfnet-28").module, torch.rand(3, 1, 28, 28)
    projection = unconv.project(model, images, "classifier.linear7", unit=4, position=())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = Deconvolution(model).attribute(images.clone().requires_grad_(), target=4)
    assert torch.allclose(projection.image, theirs, rtol=1e-5, atol=1e-6 * float(theirs.abs().max()))


def test_the_weights_say_what_they_are_and_stay_small() -> None:
    assert WEIGHTS.stat().st_size <= 2_000_000
    about = about_trained(WEIGHTS)
    assert about["model"] == "zfnet28"
    assert about["data"] == "Fashion-MNIST"
    assert tuple(about["classes"]) == CLASSES
    assert about["history"][-1]["held_out"]["accuracy"] >= 0.915
    loaded = unconv.load_model("zfnet-28")
    assert loaded.input_size == (1, 28, 28)
    assert loaded.classes == CLASSES
    assert not loaded.module.training
    assert all(parameter.dtype == torch.float32 for parameter in loaded.module.parameters())


def test_no_unit_is_dead() -> None:
    found = unconv.scan("zfnet28", fashion("test").images[:500], [f"features.relu{n}" for n in range(1, 6)])
    assert all(len(found.dead(layer)) == 0 for layer in found.layers)


def test_the_weights_are_as_accurate_as_the_readme_says() -> None:
    loaded = unconv.load_model("zfnet-28")
    images, labels = fashion("test")
    right = 0
    with torch.inference_mode():
        for part, wanted in zip(images.split(500), labels.split(500), strict=True):
            outputs = loaded.module(loaded.preprocess.normalise(part.float() / 255))
            right += int((outputs.argmax(1) == wanted).sum())
    accuracy = right / len(labels)
    assert accuracy >= 0.915
    # Of a tenth of what was held out: three deviations of the mean of so many.
    assert accuracy == pytest.approx(about_trained(WEIGHTS)["history"][-1]["held_out"]["accuracy"], abs=0.026)
