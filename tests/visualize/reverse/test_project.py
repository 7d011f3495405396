"""Projections equal formulas by hand and explicit operators, and end in one line where they cannot be."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
import torch.utils.checkpoint
import torchvision
from torch import Tensor, nn

import unconv as uc
from tests.visualize.reference import by_graph_hooks, captum_projection, network, pictures, relative_error
from unconv.errors import ModelError, UnconvError
from unconv.network.run.forward import check_images, find_layer
from unconv.visualize.reverse.project import project
from unconv.visualize.reverse.projections.places import Places, read_units


class Written(nn.Module):
    """One convolution, used three times with one rectifier in between, in the ways that hooks on modules miss."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way = way
        self.conv = nn.Conv2d(3, 3, 3, padding=1)
        self.last = nn.Conv2d(3, 4, 3)
        self.act = nn.ReLU()
        self.act6 = nn.ReLU6(inplace=True)

    def rectify(self, x: Tensor) -> Tensor:
        if self.way == "ignored in place":
            F.relu(x, inplace=True)
            return x
        ways = {
            "reused": self.act,
            "functional": F.relu,
            "method": lambda x: x.relu_(),
            "clamp": lambda x: x.clamp_(min=0),
            "relu6": self.act6,
        }
        return ways[self.way](x)

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(3):
            x = self.rectify(self.conv(x))
        return self.last(x)


def by_hand(model: Written, x: Tensor, seed: tuple[int, ...], rule: str) -> Tensor:
    """Three convolutions and rectifiers, forward and back in formulas."""
    top = 6.0 if model.way == "relu6" else float("inf")
    slopes = []
    for _ in range(3):
        x = model.conv(x)
        slopes.append(((x > 0) & (x < top)).to(x))
        x = torch.minimum(x * (x > 0), torch.tensor(top))
    signal = torch.zeros_like(model.last(x))
    signal[(slice(None), *seed)] = 1
    signal = F.conv_transpose2d(signal, model.last.weight)
    for slope in reversed(slopes):
        if rule != "gradient":
            signal = signal * (signal > 0)
        if rule != "deconvnet":
            signal = slope * signal
        signal = F.conv_transpose2d(signal, model.conv.weight, padding=1)
    return signal.detach()


@pytest.mark.parametrize("rule", ["deconvnet", "guided", "gradient"])
@pytest.mark.parametrize("way", ["reused", "functional", "method", "clamp", "relu6", "ignored in place"])
def test_however_a_rectifier_is_written_it_is_reversed(way: str, rule: str) -> None:
    torch.manual_seed(0)
    model = Written(way)
    images = 4 * torch.randn(2, 3, 12, 12)
    ours = project(model, images, "last", 1, (4, 5), rule)
    assert relative_error(ours.image, by_hand(model, images, (1, 4, 5), rule)) < 1e-5
    assert ours.coverage.reversed == ours.coverage.total == 3
    if rule != "gradient":
        plain = by_hand(model, images, (1, 4, 5), "gradient")
        assert relative_error(ours.image, plain) > 1e-2
        if way not in ("reused",):
            # What a tool that hooks modules of type nn.ReLU makes of the same network: the plain gradient, in silence.
            theirs = captum_projection(model, images, "last", (1, 4, 5), rule)
            assert relative_error(theirs, plain) < 1e-5


def test_value_is_what_the_module_returns_at_that_moment() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 1, 1), nn.ReLU(inplace=True))
    nn.init.constant_(model[0].weight, -1.0)
    nn.init.zeros_(model[0].bias)
    images = torch.rand(1, 1, 4, 4) + 1
    projection = project(model, images, "0", 0, (2, 2))
    assert projection.activation.item() == -images[0, 0, 2, 2]
    # The rectifier behind the layer is not on the way back.
    assert projection.image[0, 0, 2, 2] == -1
    assert projection.coverage.total == 0


def test_position_none_is_the_peak_of_each_image() -> None:
    model, images = copy.deepcopy(network("alexnet")).double(), pictures(batch=3).double()
    value = images
    for block in model.features[:7]:
        value = block(value)
    projection = project(model, images, "features.6", 5)
    for image, (y, x) in enumerate(projection.position):
        assert value[image, 5, y, x] == value[image, 5].max()
        torch.testing.assert_close(projection.activation[image], value[image, 5, y, x].detach())
    again = project(model, images, "features.6", 5, projection.position)
    assert projection.way == "whole images: for few images a network is not traced"
    assert again.way.startswith("windows of")
    assert relative_error(again.image, projection.image) < 1e-12


@pytest.mark.parametrize(
    ("model", "shape", "position"),
    [
        (nn.Sequential(nn.Conv1d(2, 4, 3), nn.ReLU(), nn.Conv1d(4, 5, 3)), (2, 2, 9), (3,)),
        (nn.Sequential(nn.Conv3d(2, 4, 3), nn.ReLU(), nn.Conv3d(4, 5, 3)), (2, 2, 7, 8, 9), (1, 2, 4)),
        (nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 5)), (2, 6), ()),
    ],
)
def test_any_number_of_dimensions(model: nn.Module, shape: tuple[int, ...], position: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    for module in model:
        # What torch draws while the tests are collected depends on the other tests.
        if not isinstance(module, nn.ReLU):
            module.reset_parameters()
    images = torch.randn(shape)
    projection = project(model, images, "2", 3, position, "guided")
    assert projection.image.shape == shape
    assert projection.image.abs().max() > 0
    assert projection.position == (position, position)
    assert relative_error(projection.image, by_graph_hooks(model, images, "2", (3, *position), "guided")) < 1e-6


def test_model_is_given_back_as_it_was() -> None:
    model = torchvision.models.resnet18(weights=None).train()
    model.layer1.eval()
    model.conv1.weight.requires_grad_(False)
    model.fc.weight.grad = torch.ones_like(model.fc.weight)
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    before = [(m.training, len(m._forward_hooks), len(m._backward_hooks)) for m in model.modules()]
    frozen = [p.requires_grad for p in model.parameters()]
    images = torch.randn(2, 3, 64, 64, requires_grad=True)
    project(model, images, "layer4", 3)
    with pytest.raises(ModelError):
        project(model, torch.randn(2, 5, 64, 64), "layer4", 3)
    assert before == [(m.training, len(m._forward_hooks), len(m._backward_hooks)) for m in model.modules()]
    assert frozen == [p.requires_grad for p in model.parameters()]
    assert images.grad is None
    assert [name for name, p in model.named_parameters() if p.grad is not None] == ["fc.weight"]
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_works_without_gradient_around(context: type) -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU())
    images = torch.randn(1, 1, 6, 6)
    outside = project(model, images, "1", 1)
    with context():
        inside = project(model, images.clone(), "1", 1)
    assert torch.equal(outside.image, inside.image)


def test_forward_pass_ends_at_the_layer() -> None:
    class Forbidden(nn.Module):
        def forward(self, _x: Tensor) -> Tensor:
            raise RuntimeError("ran beyond the layer")

    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), Forbidden())
    assert project(model, torch.randn(1, 1, 6, 6), "1", 0).image.shape == (1, 1, 6, 6)


def test_compiled_models_are_run_as_written() -> None:
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Conv2d(2, 2, 3))
    images = torch.randn(1, 1, 8, 8)
    compiled = project(torch.compile(plain), images, "_orig_mod.2", 1)
    assert torch.equal(compiled.image, project(plain, images, "2", 1).image)


class Checkpointed(nn.Sequential):
    def __init__(self, *blocks: nn.Module, reentrant: bool) -> None:
        super().__init__(*blocks)
        self.reentrant = reentrant

    def forward(self, x: Tensor) -> Tensor:
        return torch.utils.checkpoint.checkpoint(super().forward, x, use_reentrant=self.reentrant)


CHECKPOINTED = (
    nn.Conv2d(1, 4, 3),
    nn.BatchNorm2d(4).eval(),
    nn.ReLU(inplace=True),
    nn.Conv2d(4, 4, 3),
    nn.SiLU(inplace=True),
    nn.Conv2d(4, 4, 3),
    nn.ReLU6(),
)


@pytest.mark.parametrize("rule", ["deconvnet", "guided", "gradient"])
def test_what_is_computed_again_on_the_way_back_follows_the_rule(rule: str) -> None:
    images = torch.randn(1, 1, 12, 12)
    inside = project(Checkpointed(*CHECKPOINTED, reentrant=False), images, "6", 1, (2, 3), rule)
    plain = project(nn.Sequential(*CHECKPOINTED), images, "6", 1, (2, 3), rule)
    assert torch.equal(inside.image, plain.image)
    assert inside.coverage == plain.coverage


def test_a_way_back_that_torch_refuses_is_one_line() -> None:
    model = nn.Sequential(Checkpointed(*CHECKPOINTED, reentrant=True), nn.Conv2d(4, 2, 1))
    with pytest.raises(ModelError, match="gradient checkpointing with use_reentrant=False") as refusal:
        project(model, torch.randn(1, 1, 12, 12), "1", 1, (2, 3))
    assert "\n" not in str(refusal.value)


class Awkward(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3)
        self.unused = nn.Conv2d(1, 2, 3)
        self.pool = nn.MaxPool2d(2, return_indices=True)
        self.cut = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y, _ = self.pool(self.conv(x))
        return self.cut(y.detach())


SOUND = torch.randn(2, 1, 8, 8)


@pytest.mark.parametrize(
    ("images", "arguments", "line"),
    [
        (SOUND, {"layer": "convv"}, r"layer 'convv': Awkward has no layer of that name; the nearest names are conv"),
        (SOUND, {"layer": "unused"}, r"layer 'unused': is not called when Awkward runs"),
        (SOUND, {"layer": "cut"}, r"layer 'cut': nothing leads back from it"),
        (SOUND, {"unit": 2}, r"unit: 2 is not in layer 'conv', which has units 0 to 1"),
        (SOUND, {"unit": -1}, r"unit: -1 is not in layer 'conv'"),
        (SOUND, {"position": (6, 0)}, r"position: \(6, 0\) is not in a feature map of layer 'conv', .* \(6, 6\)"),
        (SOUND, {"position": (1,)}, r"position: \(1,\) is not in a feature map"),
        (SOUND, {"position": [(1, 1)]}, r"position: 1 positions for 2 images"),
        (SOUND, {"rule": "lrp"}, r"rule: 'lrp' is not one of auto, deconvnet, guided, gradient"),
        (torch.randn(2, 3, 8, 8), {}, r"forward: Awkward fails on images of shape 2×3×8×8, torch.float32: .*channels"),
        (torch.randn(2, 1, 2, 2), {}, r"forward: Awkward fails on images of shape 2×1×2×2"),
        (SOUND.double(), {}, r"forward: Awkward fails on images of shape 2×1×8×8, torch.float64: "),
        (torch.zeros(2, 1, 8, 8, dtype=torch.int64), {}, r"images: torch.int64 is not floating point"),
        (torch.randn(8), {}, r"images: shape \(8,\) is not a batch"),
        (torch.randn(0, 1, 8, 8), {}, r"images: shape \(0, 1, 8, 8\) is not a batch"),
        (SOUND / 0, {}, r"images: contain NaN or infinite values"),
    ],
)
def test_bad_input_ends_in_one_line(images: Tensor, arguments: dict[str, object], line: str) -> None:
    with pytest.raises(UnconvError, match=line) as refusal:
        project(Awkward(), images, **({"layer": "conv", "unit": 0} | arguments))
    assert "\n" not in str(refusal.value)


# Arguments of the wrong type do not reach the public function here: the checker of annotations speaks first.
@pytest.mark.parametrize(
    ("check", "line"),
    [
        (lambda: check_images("cat.png"), r"images: a tensor .* is needed, not a str"),
        (lambda: find_layer(Awkward(), None), r"layer None: Awkward has no layer of that name"),
        (lambda: read_units(0.5), r"unit: 0.5 is not an integer"),
        (lambda: read_units("17"), r"unit: '17' is not an integer"),
        (lambda: read_units([]), r"unit: an empty list"),
        (lambda: Places.of(3, 1), r"position: 3 is not a tuple of integers"),
        (lambda: Places.of((1, 2.5), 1), r"position: \(1, 2.5\) is not a tuple of integers"),
        (lambda: Places.of("12", 1), r"position: '12' is not a tuple of integers"),
    ],
)
def test_wrong_types_end_in_one_line(check: Callable[[], object], line: str) -> None:
    with pytest.raises(UnconvError, match=line):
        check()


def test_weights_that_are_not_numbers_are_named() -> None:
    model = Awkward()
    nn.init.constant_(model.conv.weight, float("nan"))
    with pytest.raises(ModelError, match="layer 'conv': contains NaN or infinite values; check the weights"):
        project(model, SOUND, "conv", 0)


def chain_of_operators(blocks: nn.Sequential, x: Tensor) -> tuple[Tensor, list[Callable[[Tensor], Tensor]]]:
    """A stack of blocks run forward; its way back as unpool(switches), rectify and Cᵀ from unconv.operators."""
    way: list[Callable[[Tensor], Tensor]] = []
    for block in blocks:
        if isinstance(block, nn.MaxPool2d):
            geometry = uc.operators.MaxPoolGeometry(
                tuple(x.shape[2:]), block.kernel_size, block.stride, block.padding, block.dilation, block.ceil_mode
            )
            way.append(uc.operators.MaxPoolOperator.of(x, geometry).T.__matmul__)
            x = block(x)
        elif isinstance(block, nn.ReLU):
            way.append(lambda y: torch.where(y > 0, y, 0))
            x = torch.where(x > 0, x, 0)
        else:
            C = uc.ConvOperator(block.weight.detach(), tuple(x.shape[2:]), block.stride, block.padding)
            way.append(C.T.__matmul__)
            x = C @ x + block.bias.detach()[:, None, None]
    return x, way


SMALL = nn.Sequential(
    *(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
    *(nn.Conv2d(8, 16, 5, stride=2), nn.ReLU(), nn.MaxPool2d(3, stride=2, padding=1, ceil_mode=True)),
    *(nn.Conv2d(16, 16, 3, padding=1), nn.ReLU()),
)


@pytest.mark.parametrize(
    ("blocks", "size", "seed"),
    [
        (SMALL, (45, 38), (3, 2, 1)),
        (network("vgg16").features[:17], (64, 64), (30, 3, 4)),
        (network("alexnet").features[:8], (224, 224), (5, 6, 7)),
    ],
    ids=["small", "vgg16", "alexnet"],
)
def test_projection_equals_explicit_chain(
    blocks: nn.Sequential, size: tuple[int, int], seed: tuple[int, int, int]
) -> None:
    images = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(3))
    value, way = chain_of_operators(blocks, images)
    signal = torch.zeros_like(value)
    signal[(slice(None), *seed)] = 1
    for step in reversed(way):
        signal = step(signal)
    ours = project(blocks, images, str(len(blocks) - 1), seed[0], seed[1:])
    assert signal.abs().max() > 0
    assert relative_error(ours.image, signal) < 1e-5
    assert torch.allclose(ours.activation, value[(slice(None), *seed)], atol=1e-5)
