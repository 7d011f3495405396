"""What lies between a unit and the pixels is counted on the graph, and what no rule reaches is said."""

from __future__ import annotations

import warnings

import pytest
import torch
import torchvision
from torch import Tensor, nn

from tests.visualize.reference import network, pictures
from unconv.visualize.reverse.coverage import Coverage
from unconv.visualize.reverse.project import project


def test_coverage_counts_what_has_no_reverse_rule() -> None:
    coverage = project(network("mobilenet_v3_small"), pictures(96), "features.12", 0, (0, 0)).coverage
    assert (coverage.reversed, coverage.total) == (32, 32)
    assert coverage.passed == {"squeeze-excite": 9}
    attention = project(network("vit_b_32"), pictures(), "encoder.layers.encoder_layer_0", 0, (0, 0)).coverage
    assert attention.rectifiers == {"gelu": 1}
    assert attention.passed == {"layer norm": 2, "attention": 1}
    vgg = project(network("vgg16"), pictures(), "features.30", 0, (0, 0)).coverage
    assert (vgg.reversed, vgg.total, vgg.switches, vgg.passed) == (13, 13, 5, {})


@pytest.mark.parametrize(
    ("name", "passed"),
    [
        ("efficientnet_b0", {"squeeze-excite": 16}),
        ("googlenet", {}),
        ("resnet18", {}),
        ("densenet121", {}),
        ("shufflenet_v2_x0_5", {}),
    ],
)
def test_linear_operations_are_counted_by_kind(name: str, passed: dict[str, int]) -> None:
    model = network(name)
    layer = [part for part, module in model.named_modules() if isinstance(module, nn.Linear)][-1]
    coverage = project(model, pictures(64), layer, 0, ()).coverage
    used = [module for part, module in model.named_modules() if not part.startswith("aux")]
    for kind, types in (("convolution", nn.Conv2d), ("batch norm", nn.BatchNorm2d), ("linear layer", nn.Linear)):
        assert coverage.linear[kind] == sum(isinstance(module, types) for module in used), kind
    assert coverage.passed == passed
    assert set(coverage.linear) <= {
        *("convolution", "batch norm", "linear layer", "addition", "concatenation", "average pooling", "scaling")
    }


def test_vision_transformer_is_counted() -> None:
    torch.manual_seed(0)
    model = torchvision.models.VisionTransformer(32, 8, num_layers=3, num_heads=2, hidden_dim=32, mlp_dim=64).eval()
    coverage = project(model, pictures(32), "encoder", 0, (0, 0)).coverage
    assert coverage.passed == {"layer norm": 7, "attention": 3}
    assert coverage.rectifiers == {"gelu": 3}
    # Of each block: all projections in one, the output's, two of the MLP; two sums around them.
    assert coverage.linear == {"linear layer": 4 * 3, "addition": 2 * 3, "convolution": 1, "concatenation": 1}


def test_coverage_tells_what_the_rule_cannot_reach() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scripted = torch.jit.script(nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU()))
    model = nn.Sequential(scripted, nn.ReLU(), nn.Conv2d(2, 2, 1))
    coverage = project(model, torch.randn(1, 1, 6, 6), "2", 0).coverage
    assert (coverage.reversed, coverage.total) == (1, 2)


class Gates(nn.Module):
    """Operations of which some are linear and some are not."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4, track_running_stats=way != "batch")
        self.way = way
        self.last = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.conv(x))
        ways = {
            "scale": lambda y: 3 * y / 2 - 1,
            "batch": lambda y: y,
            "square": lambda y: y * y,
            "inverse": lambda y: 1 / (y + 100),
            "ratio": lambda y: y / (y.mean() + 100),
            "sigmoid": torch.sigmoid,
            "linear": lambda y: torch.cat([y[:, :2].mean(1, keepdim=True), y.flip(2)], 1).permute(0, 1, 3, 2),
            "hardtanh": nn.functional.hardtanh,
            "pool": lambda y: nn.functional.adaptive_max_pool2d(y, 2),
        }
        return self.last(ways[self.way](y))


@pytest.mark.parametrize(
    ("way", "passed"),
    [
        ("scale", {}),
        ("linear", {}),
        ("pool", {}),
        ("batch", {"batch norm over the batch": 1}),
        ("square", {"product of activations": 1}),
        ("inverse", {"reciprocal": 1}),
        ("ratio", {"quotient of activations": 1}),
        ("sigmoid", {"sigmoid": 1}),
        ("hardtanh", {"hardtanh": 1}),
    ],
)
def test_only_what_is_not_linear_is_listed(way: str, passed: dict[str, int]) -> None:
    coverage = project(Gates(way), torch.randn(2, 3, 8, 8), "last", 0).coverage
    assert coverage.passed == passed
    assert coverage.total == 0
    assert coverage.switches == (way == "pool")


def test_sentence_says_what_was_left_as_it_is() -> None:
    coverage = Coverage("guided", {"relu": 3, "silu": 1}, 3, 0, passed={"sigmoid": 2}, linear={"addition": 4})
    assert coverage.sentence == (
        "3 of 4 rectifiers reversed (relu ×3, silu ×1); no max-pooling on the way; "
        "passed as they are: addition ×4; without a deconvnet meaning, by their own gradient: sigmoid ×2"
    )
