"""Occlusion maps equal a loop over covered images and captum; what is left out of the computing changes nothing."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from captum.attr import Occlusion
from hypothesis import given, settings, strategies as st
from torch import Tensor, nn

from tests.visualize.reference import network
from tests.visualize.reverse.test_project_units import Refusals, UNet
from unconv.errors import ModelError, UnconvError
from unconv.models.load.resolve import load_model
from unconv.visualize.experiments.occlusion import stops
from unconv.visualize.experiments.occlusion.sensitivity import OcclusionMaps, occlusion


@pytest.fixture(autouse=True, scope="module")
def stops_cost_nothing() -> Iterator[None]:
    """As many stops as there can be, in networks so small that none would pay."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stops, "STOP", -1e9)
        yield


def image_of(*size: int, seed: int = 0) -> Tensor:
    return torch.randn(3, *size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def small(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return (
        nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2, ceil_mode=True),
            nn.Conv2d(8, 8, 3, padding=1, groups=2),
            nn.BatchNorm2d(8),
            nn.ReLU6(),
            nn.MaxPool2d(3, 2, padding=1),
            nn.Conv2d(8, 12, 3, stride=2),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(12, 7),
        )
        .double()
        .eval()
    )


class Classifier(nn.Module):
    """Anything that gives feature maps, as a classifier."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x).mean((2, 3))


def by_loop(model: nn.Module, image: Tensor, maps: OcclusionMaps, fill: Tensor) -> dict[str, Tensor]:
    """Every covered image on its own, through the model as it is."""
    kept: list[Tensor] = []
    handle = model.get_submodule(maps.layer).register_forward_hook(lambda _m, _i, out: kept.append(out.clone()))
    scores, sums = [], []
    for top, bottom in maps.rows:
        for left, right in maps.columns:
            covered = image.clone()
            covered[:, top:bottom, left:right] = fill
            kept.clear()
            with torch.no_grad():
                scores.append(model(covered[None])[0])
            sums.append(kept[0][0, maps.unit].sum())
    handle.remove()
    every, grid = torch.stack(scores), maps.score.shape
    return {
        "score": every[:, maps.target].reshape(grid),
        "probability": every.softmax(1)[:, maps.target].reshape(grid),
        "label": every.argmax(1).reshape(grid),
        "activation": torch.stack(sums).reshape(grid),
    }


def check(model: nn.Module, image: Tensor, **options: Any) -> OcclusionMaps:
    fill = torch.tensor([0.3, -0.2, 0.1], dtype=torch.float64)
    maps = occlusion(model, image, fill=fill.tolist(), **options)
    expected = by_loop(model, image, maps, fill[:, None, None])
    for name, values in expected.items():
        torch.testing.assert_close(getattr(maps, name), values, rtol=1e-10, atol=1e-12)
    return maps


@pytest.mark.parametrize("size", [(40, 40), (47, 62)])
@pytest.mark.parametrize("layer", [None, "3", "5"])
def test_maps_equal_a_loop(size: tuple[int, int], layer: str | None) -> None:
    maps = check(small(), image_of(*size), layer=layer, square=9, stride=7, batch_size=5)
    assert maps.computed.startswith("only around")


@settings(max_examples=12, deadline=None)
@given(
    st.tuples(st.integers(20, 44), st.integers(20, 44)),
    st.tuples(st.integers(1, 12), st.integers(1, 12)),
    st.tuples(st.integers(5, 13), st.integers(5, 13)),
)
def test_maps_equal_a_loop_for_any_square(
    size: tuple[int, int], square: tuple[int, int], step: tuple[int, int]
) -> None:
    check(small(), image_of(*size), square=square, stride=step)


@pytest.mark.parametrize("mode", ["zeros", "reflect", "replicate"])
def test_maps_equal_a_loop_with_skips_and_upsampling(mode: str) -> None:
    torch.manual_seed(0)
    body = UNet()
    body.one.padding_mode = mode
    torch.manual_seed(0)
    body = nn.Sequential(nn.Conv2d(3, 16, 5, padding=2), nn.Conv2d(16, 3, 3, padding=1, padding_mode=mode), body)
    maps = check(Classifier(body).double().eval(), image_of(32, 48), layer="body.2.five", square=6, stride=9)
    assert maps.computed.startswith("only around")


class ByNumber(nn.Module):
    """Makes use of the number of images: of none, -1 would say nothing."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        count = x.shape[0]
        x = x.reshape(count, -1, x.shape[-1]).reshape(x.shape)
        scores: Tensor = self.body(x)
        return scores.reshape(count, -1)


def test_model_that_cannot_do_without_images() -> None:
    maps = check(ByNumber(small()), image_of(40, 48), layer="body.8", square=8, stride=9, batch_size=5)
    assert maps.computed.startswith("only around")


@pytest.mark.parametrize("kind", ["circular", "squeeze", "norm", "resize", "adaptive"])
def test_layers_that_see_everything_are_computed_whole(kind: str) -> None:
    torch.manual_seed(0)
    model = Classifier(Refusals(kind)).double().eval()
    check(model, image_of(40, 40), layer="body.last", square=8, stride=11)


@pytest.mark.parametrize(
    ("name", "size", "square"), [("vgg11", (96, 96), 16), ("resnet18", (97, 128), 20), ("googlenet", (96, 96), 24)]
)
def test_reuse_changes_nothing_in_published_networks(name: str, size: tuple[int, int], square: int) -> None:
    model = copy.deepcopy(network(name)).double()
    image = image_of(*size)
    ours = occlusion(model, image, square=square, stride=32)
    whole = occlusion(model, image, square=square, stride=32, reuse=False)
    assert ours.computed.startswith("only around")
    assert whole.computed == "whole images: as asked for"
    for field in ("score", "activation", "label"):
        torch.testing.assert_close(getattr(ours, field), getattr(whole, field), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("of", ["score", "probability"])
@pytest.mark.parametrize(("square", "step"), [((9, 9), (7, 7)), ((10, 6), (3, 5))])
def test_attribution_equals_captum(of: str, square: tuple[int, int], step: tuple[int, int]) -> None:
    model, image = small(1), image_of(40, 33)
    maps = occlusion(model, image, target=4, square=square, stride=step, fill=0.1)
    function = model if of == "score" else nn.Sequential(model, nn.Softmax(1))
    theirs = Occlusion(function).attribute(
        image[None], sliding_window_shapes=(3, *square), strides=(3, *step), baselines=0.1, target=4
    )
    torch.testing.assert_close(maps.attribution(of).expand(3, -1, -1), theirs[0].double(), rtol=1e-5, atol=1e-6)


def test_the_strongest_map_is_the_one_with_the_largest_total() -> None:
    model, image = small(), image_of(40, 40)
    maps = occlusion(model, image, square=20, stride=20)
    with torch.no_grad():
        totals = model[:9](image[None])[0].sum((1, 2))
        scores = model(image[None])[0]
    assert maps.layer == "8"
    assert maps.unit == int(totals.argmax())
    assert maps.clean_activation == pytest.approx(float(totals.max()))
    assert maps.target == maps.clean_label == int(scores.argmax())
    assert set(maps.label.flatten().tolist()) <= set(maps.names)


def test_model_is_as_before() -> None:
    model = small().train()
    model[0].weight.requires_grad_(False)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    pointers = [value.data_ptr() for value in model.parameters()]
    occlusion(model, image_of(24, 24), square=8, stride=8)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert pointers == [value.data_ptr() for value in model.parameters()]
    assert model.training
    assert not model[0].weight.requires_grad
    assert model[3].weight.requires_grad
    assert not any(module._forward_hooks for module in model.modules())


def test_covering_the_face_of_the_cat_costs_most() -> None:
    import skimage

    from unconv.data.images import read_images

    loaded = load_model("efficientnet-lite0")
    cat = read_images(skimage.data.chelsea())[0].tensor
    maps = occlusion(loaded, loaded.preprocess(cat)[0], target=281, square=96, stride=32)
    assert maps.target_name == "tabby"
    assert {maps.names[int(label)] for label in maps.label.flatten()} <= {"tabby", "tiger cat", "Egyptian cat"}
    row, column = divmod(int(maps.probability.argmin()), maps.probability.shape[1])
    assert (maps.rows[row], maps.columns[column]) == ((32, 128), (64, 160))
    assert float(maps.probability.min()) < 0.75 * maps.clean_probability


class Detections(nn.Module):
    def forward(self, x: Tensor) -> list[dict[str, Tensor]]:
        return [{"boxes": one[0]} for one in x]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"square": 50}, "larger than the image"),
        ({"square": 0}, "square 0"),
        ({"stride": 0}, "stride 0"),
        ({"batch_size": 0}, "batch_size 0"),
        ({"target": 7}, "classes 0 to 6"),
        ({"layer": "99"}, "no layer of that name"),
        ({"layer": "11"}, "not feature maps"),
        ({"fill": [0.0, 1.0]}, "for 3 channels"),
    ],
)
def test_bad_input_is_one_line(arguments: dict[str, Any], told: str) -> None:
    with pytest.raises(UnconvError, match=told) as caught:
        occlusion(small(), image_of(24, 24), **{"square": 8, "stride": 8, **arguments})
    assert "\n" not in str(caught.value)


def test_what_is_no_classifier_is_refused() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), Detections())
    with pytest.raises(ModelError, match="returns a list of dict"):
        occlusion(model, torch.rand(3, 24, 24), layer="1", square=8)
    with pytest.raises(UnconvError, match="2 images"):
        occlusion(small(), torch.rand(2, 3, 24, 24), square=8)


def test_square_and_stride_follow_the_image() -> None:
    maps = occlusion(small(), image_of(48, 64))
    assert (maps.square, maps.stride) == ((12, 12), (3, 3))
    assert occlusion(small(), image_of(24, 24), square=(8, 16)).stride == (2, 4)


def test_the_names_of_before_still_work() -> None:
    new = occlusion(small(), image_of(24, 24), square=8, stride=8)
    with pytest.warns(DeprecationWarning, match="size is called square now"):
        old = occlusion(small(), image_of(24, 24), size=8, stride=8)
    assert torch.equal(old.score, new.score)
    with pytest.warns(DeprecationWarning, match="is called square now"):
        assert old.size == new.square == (8, 8)
