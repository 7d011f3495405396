"""Through every kind of layer a projection is the adjoint of the layer's derivative: from forward passes alone.

The reference takes a network apart into chains, sums and concatenations. A layer without a rule goes back by its
Jacobian, transposed, which differences of forward passes in float64 give: no autograd, and no formula of torch's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor, nn

from unconv.visualize.reverse.project import project

REVERSE_RULES = ("deconvnet", "guided", "gradient")
STEP = 1e-5


class Branches(nn.Module):
    """The same input through several branches, which are added up or concatenated."""

    def __init__(self, *branches: nn.Module, added: bool) -> None:
        super().__init__()
        self.branches, self.added = nn.ModuleList(branches), added

    def forward(self, x: Tensor) -> Tensor:
        values = [branch(x) for branch in self.branches]
        return torch.stack(values).sum(0) if self.added else torch.cat(values, 1)


def adjoint(layer: Callable[[Tensor], Tensor], x: Tensor, signal: Tensor) -> Tensor:
    """Jᵀ·signal at x, ``(1, channel, height, width)``, by a difference in each pixel."""
    steps = STEP * torch.eye(x.numel(), dtype=x.dtype).reshape(-1, *x.shape[1:])
    change = (layer(x + steps) - layer(x - steps)) / (2 * STEP)
    return (change * signal).flatten(1).sum(1).reshape(x.shape)


@torch.no_grad()
def back(block: nn.Module, x: Tensor, signal: Tensor, rule: str) -> Tensor:
    """A signal at a block's output, sent back to its input x."""
    if isinstance(block, nn.Sequential):
        inputs = [x]
        for step in block:
            inputs.append(step(inputs[-1]))
        for step, before in zip(reversed(block), reversed(inputs[:-1]), strict=True):
            signal = back(step, before, signal, rule)
        return signal
    if isinstance(block, Branches):
        widths = [branch(x).shape[1] for branch in block.branches]
        parts: Sequence[Tensor] = [signal] * len(widths) if block.added else signal.split(widths, 1)
        return sum(back(branch, x, part, rule) for branch, part in zip(block.branches, parts, strict=True))
    if isinstance(block, nn.ReLU):
        if rule != "gradient":
            signal = torch.where(signal > 0, signal, 0)
        return signal if rule == "deconvnet" else torch.where(x > 0, signal, 0)
    return adjoint(block, x, signal)


def conv(inputs: int, outputs: int, size: int = 3, **options: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, size, padding=options.pop("padding", size // 2), **options)


LAYERS: dict[str, Callable[[], nn.Module]] = {
    "batch norm": lambda: nn.BatchNorm2d(4),
    "local response normalisation": lambda: nn.LocalResponseNorm(3, alpha=0.5, beta=0.75, k=1.0),
    "group norm": lambda: nn.GroupNorm(2, 4),
    "overlapping max pool": lambda: nn.MaxPool2d(3, stride=2),
    "max pool over the border": lambda: nn.MaxPool2d(3, stride=2, padding=1, ceil_mode=True),
    "max pool of stride 1": lambda: nn.MaxPool2d(3, stride=1, padding=1),
    "dilated max pool": lambda: nn.MaxPool2d(2, stride=1, dilation=2),
    "average pool": lambda: nn.AvgPool2d(2),
    "overlapping average pool": lambda: nn.AvgPool2d(3, stride=2, padding=1, ceil_mode=True, count_include_pad=False),
    "adaptive average pool": lambda: nn.AdaptiveAvgPool2d((4, 3)),
    "adaptive max pool": lambda: nn.AdaptiveMaxPool2d(4),
    "depthwise": lambda: nn.Sequential(conv(4, 4, groups=4), conv(4, 4, 1)),
    "depthwise of stride 2": lambda: conv(4, 8, groups=4, stride=2),
    "dilated": lambda: conv(4, 4, padding=2, dilation=2),
    "grouped": lambda: conv(4, 4, groups=2),
    "circular": lambda: nn.Conv2d(4, 4, 3, padding=1, padding_mode="circular"),
    "reflecting": lambda: nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"),
    "padding by name": lambda: nn.Conv2d(4, 4, (3, 5), padding="same"),
    "transposed": lambda: nn.ConvTranspose2d(4, 4, 3, stride=2, padding=1, output_padding=1),
    "transposed in groups": lambda: nn.ConvTranspose2d(4, 4, 4, stride=2, groups=2, dilation=2),
    "nearest": lambda: nn.Upsample(scale_factor=2),
    "bilinear": lambda: nn.Upsample(scale_factor=2, mode="bilinear"),
    "pixel shuffle": lambda: nn.PixelShuffle(2),
    "residual": lambda: Branches(
        nn.Identity(), nn.Sequential(conv(4, 4), nn.BatchNorm2d(4), nn.ReLU(), conv(4, 4)), added=True
    ),
    "residual with a projection": lambda: Branches(
        conv(4, 6, 1, stride=2), nn.Sequential(conv(4, 6, stride=2), nn.ReLU(), conv(6, 6)), added=True
    ),
    "concatenating": lambda: Branches(
        conv(4, 2, 1), nn.Sequential(conv(4, 2), nn.ReLU(), conv(2, 3, 5)), nn.MaxPool2d(3, 1, 1), added=False
    ),
    "dense": lambda: nn.Sequential(
        Branches(nn.Identity(), nn.Sequential(nn.BatchNorm2d(4), nn.ReLU(), conv(4, 2)), added=False),
        Branches(nn.Identity(), nn.Sequential(nn.BatchNorm2d(6), nn.ReLU(), conv(6, 2)), added=False),
    ),
    "U-Net": lambda: Branches(
        nn.Identity(),
        nn.Sequential(
            *(nn.MaxPool2d(2), conv(4, 6)),
            Branches(
                nn.ReLU(),
                nn.Sequential(nn.MaxPool2d(2), conv(6, 8), nn.ReLU(), nn.ConvTranspose2d(8, 6, 2, stride=2), nn.ReLU()),
                added=False,
            ),
            *(conv(12, 6), nn.ReLU(), nn.ConvTranspose2d(6, 4, 4, stride=2, padding=1), nn.ReLU()),
        ),
        added=False,
    ),
}


def network(kind: str) -> nn.Sequential:
    """The layer between two rectified convolutions."""
    torch.manual_seed(0)
    layer = LAYERS[kind]()
    with torch.no_grad():
        channels = layer.double().eval()(torch.zeros(1, 4, 8, 8, dtype=torch.float64)).shape[1]
    # No rectifier right before a pooling: where all of a window is zero, differences know no switch.
    model = nn.Sequential(conv(3, 4), nn.ReLU(), conv(4, 4), layer, nn.ReLU(), conv(channels, 5, 5)).double().eval()
    nn.init.constant_(model[2].bias, 0.3)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.running_mean, module.bias.data):
                nn.init.normal_(tensor, std=0.3)
            for tensor in (module.running_var, module.weight.data):
                nn.init.uniform_(tensor, 0.5, 2.0)
    return model


@pytest.mark.parametrize("rule", REVERSE_RULES)
@pytest.mark.parametrize("kind", LAYERS)
def test_projection_is_the_adjoint_of_every_layer(kind: str, rule: str) -> None:
    model = network(kind)
    image = torch.randn(1, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        value = model(image)
    shown = 0
    for unit, position in ((2, (0, 0)), (3, (value.shape[2] // 2, value.shape[3] - 1)), (1, (2, 2))):
        signal = torch.zeros_like(value)
        signal[(0, unit, *position)] = 1
        expected = back(model, image, signal, rule)
        ours = project(model, image, "5", unit, position, rule)
        torch.testing.assert_close(ours.image, expected, rtol=1e-6, atol=1e-6 * float(expected.abs().max()))
        assert ours.coverage.reversed == ours.coverage.total > 1
        shown += bool(expected.any())
    assert shown > 1


def test_where_max_pools_overlap_their_signals_add_up() -> None:
    image = torch.zeros(1, 1, 7, 7)
    image[0, 0, 2, 4] = 5.0
    image[0, 0, 4, 4] = 3.0
    total = nn.Conv2d(1, 1, 3, bias=False)
    nn.init.ones_(total.weight)
    model = nn.Sequential(nn.MaxPool2d(3, stride=2), total)
    # Nine windows; the pixel of 5 is the largest of four, that of 3 of the two below.
    ours = project(model, image, "1", 0, (0, 0), "deconvnet").image[0, 0]
    assert ours[2, 4] == 4
    assert ours[4, 4] == 2
    assert ours.sum() == 9


@pytest.mark.parametrize(
    ("kind", "said"),
    [("local response normalisation", True), ("group norm", True), ("batch norm", False), ("U-Net", False)],
)
def test_what_depends_on_the_activations_is_said(kind: str, said: bool) -> None:
    model = network(kind)
    assert bool(project(model, torch.randn(1, 3, 8, 8).double(), "5", 2).coverage.passed) == said
