"""Twenty-odd mismatches of real life: each gets an answer that, applied, makes the model run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

import unconv as uc
from unconv.network.shapes.explain_shapes import ShapeError

Run = Callable[[], object]


class Net(nn.Module):
    """Layers by name, and a forward that is given."""

    def __init__(self, forward: Callable[[Any, Tensor], object], **layers: nn.Module) -> None:
        super().__init__()
        for name, layer in layers.items():
            setattr(self, name, layer)
        self.way = forward

    def forward(self, x: Tensor) -> object:
        return self.way(self, x)


def unet(up: nn.Module, join: Callable[[Tensor, Tensor], Tensor] = torch.add, sized: bool = False) -> nn.Module:
    def way(net: Any, x: Tensor) -> Tensor:
        skip = net.enter(x)
        small = net.pool(skip)
        return join(net.up(small, output_size=skip.shape[2:]) if sized else net.up(small), skip)

    return Net(way, enter=nn.Conv2d(3, 8, 3, padding=1), pool=nn.MaxPool2d(2), up=up)


def concatenated(a: Tensor, b: Tensor) -> Tensor:
    return torch.cat([a, b], 1)


def resized(a: Tensor, b: Tensor) -> Tensor:
    return F.interpolate(a, size=b.shape[2:]) + b


def lenet(features: int, head: nn.Module | None = None) -> nn.Sequential:
    layers = [nn.Conv2d(1, 6, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, *([head] if head else []), nn.Flatten(), nn.Linear(features, 10))


def excite(at: Callable[[Tensor], Tensor]) -> nn.Module:
    return Net(lambda net, x: net.conv(x) * at(net.conv(x).mean((2, 3))), conv=nn.Conv2d(3, 8, 3))


def images(*shape: int) -> Tensor:
    return torch.zeros(shape)


UP2 = nn.ConvTranspose2d(8, 8, 2, stride=2)
UP3 = nn.ConvTranspose2d(8, 8, 3, stride=2, padding=1)

# Name: the model, its input, what the answer says, what its fix says, and the fix applied.
CASES: dict[str, tuple[nn.Module, Tensor, tuple[str, ...], str, Run]] = {
    "45 against 44, added": (
        *(unet(UP2), images(2, 3, 45, 45), ("up comes to 44×44", "enter to 45×45", "⌊(45 − 2)/2⌋ + 1 = 22")),
        *("output_size=skip.shape[2:]", lambda: unet(UP2, sized=True)(images(2, 3, 45, 45))),
    ),
    "45 against 44, concatenated": (
        *(unet(UP2, concatenated), images(2, 3, 44, 45), ("up comes to 44×44", "enter to 44×45")),
        *("output_padding=(0, 1)", lambda: unet(UP2, concatenated, True)(images(2, 3, 44, 45))),
    ),
    "the riddle of output_padding": (
        *(unet(UP3), images(1, 3, 32, 32), ("up comes to 31×31", "o′ = 2·(16 − 1) + 3 − 2·1 = 31")),
        *("output_padding=1", lambda: unet(nn.ConvTranspose2d(8, 8, 3, 2, 1, output_padding=1))(images(1, 3, 32, 32))),
    ),
    "a resize that rounds down": (
        *(unet(nn.Upsample(scale_factor=2)), images(1, 3, 33, 32), ("up comes to 32×32", "enter to 33×32")),
        *("F.interpolate", lambda: unet(nn.Identity(), resized)(images(1, 3, 33, 32))),
    ),
    "no output padding reaches it": (
        *(unet(nn.ConvTranspose2d(8, 8, 3, 2, 1, 1)), images(1, 3, 45, 45), ("up comes to 44×44",)),
        *("no output_padding", lambda: unet(nn.ConvTranspose2d(8, 8, 3, 2, 1, 1), resized)(images(1, 3, 45, 45))),
    ),
    "an output size out of reach": (
        *(Net(lambda net, x: net.up(x, output_size=(40, 40)), up=UP3), images(1, 8, 16, 16), ("31×31 up to 32×32",)),
        *("an output_size from", lambda: UP3(images(1, 8, 16, 16), output_size=(32, 32))),
    ),
    "channels of a sum": (
        *(unet(nn.ConvTranspose2d(8, 4, 2, 2)), images(1, 3, 32, 32), ("4 channels against 8",)),
        *("nn.Conv2d(8, 4, 1)", lambda: nn.Conv2d(8, 4, 1)(images(1, 8, 32, 32)) + images(1, 4, 32, 32)),
    ),
    "matmul after flatten: another input": (
        *(lenet(400), images(2, 1, 28, 28), ("takes 400 features and gets 256", "16×4×4", "1×32×32")),
        *("nn.Linear(256, 10)", lambda: lenet(256)(images(2, 1, 28, 28))),
    ),
    "matmul after flatten: pooled to a size": (
        *(lenet(784), images(2, 1, 64, 64), ("gets 2704", "⌊")),
        *("nn.AdaptiveAvgPool2d(7)", lambda: lenet(784, nn.AdaptiveAvgPool2d(7))(images(2, 1, 64, 64))),
    ),
    "nothing flattens": (
        *(nn.Sequential(nn.Conv2d(3, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Linear(8, 4)), images(2, 3, 9, 9), ("2",)),
        *("x.flatten(1)", lambda: nn.Linear(8, 4)(images(2, 8, 1, 1).flatten(1))),
    ),
    "a linear layer behind another": (
        *(
            nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(32, 4)),
            images(5, 8),
            ("takes 32 features and gets 16",),
        ),
        *("nn.Linear(16, 4)", lambda: nn.Linear(16, 4)(images(5, 16))),
    ),
    "grey pictures": (
        *(torchvision.models.resnet18(), images(2, 1, 64, 64), ("conv1 takes 3 channels and gets 1",)),
        *("x.expand(-1, 3, -1, -1)", lambda: torchvision.models.resnet18()(images(2, 1, 64, 64).expand(-1, 3, -1, -1))),
    ),
    "channels last": (
        *(nn.Sequential(nn.Conv2d(3, 8, 3)), images(2, 32, 32, 3), ("takes 3 channels and gets 32",)),
        *("x.permute(0, 3, 1, 2)", lambda: nn.Conv2d(3, 8, 3)(images(2, 32, 32, 3).permute(0, 3, 1, 2))),
    ),
    "channels between convolutions": (
        *(
            nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(16, 4, 3)),
            images(2, 3, 9, 9),
            ("1 takes 16 channels and gets 8 from 0",),
        ),
        *("nn.Conv2d(8, 4, kernel_size=3", lambda: nn.Conv2d(8, 4, 3)(images(2, 8, 7, 7))),
    ),
    "channels of a transposed convolution": (
        *(nn.Sequential(nn.Conv2d(3, 8, 3), nn.ConvTranspose2d(16, 4, 2, 2)), images(2, 3, 9, 9), ("gets 8 from 0",)),
        *("nn.ConvTranspose2d(8, 4, kernel_size=2", lambda: nn.ConvTranspose2d(8, 4, 2, 2)(images(2, 8, 7, 7))),
    ),
    "channels of batch norm": (
        *(
            nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(16)),
            images(2, 3, 9, 9),
            ("1 takes 16 channels and gets 8",),
        ),
        *("nn.BatchNorm2d(8)", lambda: nn.BatchNorm2d(8)(images(2, 8, 7, 7))),
    ),
    "channels of group norm": (
        *(
            nn.Sequential(nn.Conv2d(3, 8, 3), nn.GroupNorm(4, 16)),
            images(2, 3, 9, 9),
            ("takes 16 channels and gets 8",),
        ),
        *("nn.GroupNorm(4, 8)", lambda: nn.GroupNorm(4, 8)(images(2, 8, 7, 7))),
    ),
    "layer norm of another width": (
        *(nn.Sequential(nn.Linear(8, 16), nn.LayerNorm(32)), images(2, 8), ("takes 32 as last axes",)),
        *("nn.LayerNorm(16)", lambda: nn.LayerNorm(16)(images(2, 16))),
    ),
    "squeeze and excite without its axes": (
        *(excite(lambda gate: gate), images(2, 3, 12, 12), ("(mul)",)),
        *("x[..., None, None]", lambda: excite(lambda gate: gate[..., None, None])(images(2, 3, 12, 12))),
    ),
    "a vector of channels": (
        *(Net(lambda net, x: net.conv(x) - torch.zeros(8), conv=nn.Conv2d(3, 8, 3)), images(2, 3, 12, 12), ("(sub)",)),
        *("x.reshape(1, -1, 1, 1)", lambda: images(2, 8, 10, 10) - torch.zeros(8).reshape(1, -1, 1, 1)),
    ),
    "a view to a fixed size": (
        *(
            Net(
                lambda net, x: net.fc(net.conv(x).view(-1, 8 * 12 * 12)), conv=nn.Conv2d(3, 8, 3), fc=nn.Linear(1152, 4)
            ),
        ),
        *(images(2, 3, 12, 12), ("numbers do not fill it",)),
        *("x.flatten(1): 800 features", lambda: nn.Linear(800, 4)(images(2, 8, 10, 10).flatten(1))),
    ),
    "a view of what lies otherwise": (
        *(
            Net(lambda net, x: net.conv(x).transpose(1, 2).view(len(x), -1), conv=nn.Conv2d(3, 8, 3)),
            images(2, 3, 9, 9),
        ),
        *(("order",), "x.reshape", lambda: images(2, 8, 7, 7).transpose(1, 2).reshape(2, -1)),
    ),
    "a kernel larger than what is left": (
        *(lenet(400), images(2, 1, 12, 12), ("3 has a kernel of 5 and gets 4×4",)),
        *("a larger input", lambda: lenet(400)(images(2, 1, 32, 32))),
    ),
    "a pooling of nothing": (
        *(
            nn.Sequential(nn.Conv2d(3, 4, 3), nn.MaxPool2d(8)),
            images(1, 3, 8, 8),
            ("1 has a kernel of 8 and gets 6×6",),
        ),
        *("a larger input", lambda: nn.MaxPool2d(8)(images(1, 4, 8, 8))),
    ),
    "the batch that a view lost": (
        *(
            Net(lambda net, x: net.conv(x).view(-1, 4) + net.conv(x).mean((2, 3)), conv=nn.Conv2d(3, 4, 3)),
            images(2, 3, 9, 9),
        ),
        *(("in the batch",), "x.flatten(1)", lambda: images(2, 4, 7, 7).flatten(1)),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_answers_make_the_model_run(name: str) -> None:
    model, x, says, fix, fixed = CASES[name]
    with pytest.raises((RuntimeError, ValueError)) as plain:
        model(x)
    with pytest.raises(ShapeError) as answer, uc.explain_shapes():
        model(x)
    error = answer.value
    for part in says:
        assert part in str(error)
    assert fix in error.fix
    assert type(error.__cause__) is type(plain.value)
    assert str(error.__cause__) == str(plain.value)
    fixed()
    for (size,) in error.input_sizes:
        model(torch.zeros(len(x), *size))


@pytest.mark.parametrize(
    "name", ["45 against 44, added", "matmul after flatten: another input", "a kernel larger than what is left"]
)
def test_input_sizes_that_work_are_named(name: str) -> None:
    model, x, *_ = CASES[name]
    with pytest.raises(ShapeError) as answer, uc.explain_shapes():
        model(x)
    assert answer.value.input_sizes
    assert "inputs that work: " in str(answer.value)


def test_there_are_twenty() -> None:
    assert len(CASES) >= 20


def test_errors_that_are_not_about_shapes_pass() -> None:
    def way(_net: Any, _x: Tensor) -> Tensor:
        raise RuntimeError("out of luck")

    for model, x, told in (
        (Net(way, conv=nn.Conv2d(3, 3, 1)), images(1, 3, 8, 8), "out of luck"),
        (nn.Conv2d(3, 3, 1).double(), images(1, 3, 8, 8), "expected scalar type|same dtype|Input type"),
    ):
        with pytest.raises(RuntimeError, match=told) as passed, uc.explain_shapes():
            model(x)
        assert not isinstance(passed.value, ShapeError)
    with pytest.raises(KeyError), uc.explain_shapes():
        {}["no model"]
    with uc.explain_shapes():
        assert nn.Conv2d(3, 3, 1)(images(1, 3, 8, 8)).shape == (1, 3, 8, 8)


def test_nothing_is_hooked_and_the_model_stays_as_it_is() -> None:
    model = unet(UP2).train()
    with uc.explain_shapes():
        model(images(1, 3, 32, 32))
    with pytest.raises(ShapeError), uc.explain_shapes():
        model(images(1, 3, 33, 33))
    assert model.training
    assert not any(one._forward_hooks or one._forward_pre_hooks for one in model.modules())
