"""What a projection cannot show is said where it is true."""

from __future__ import annotations

import pytest
import torch

from tests.visualize.reference import network, pictures, relative_error
from unconv.models.efficientnet_lite import EfficientNetLite0
from unconv.visualize.reverse.coverage import Coverage
from unconv.visualize.reverse.limits import SWITCHLESS, limits
from unconv.visualize.reverse.project import project
from unconv.visualize.reverse.rules import choose_rule


def coverage(rule: str, reversed_: int = 5, switches: int = 0, passed: int = 0) -> Coverage:
    return Coverage(rule, {"relu": 5}, reversed_, switches, {"sigmoid": passed} if passed else {})


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (coverage("deconvnet"), "nothing of the forward pass but the position"),
        (coverage("deconvnet", passed=1), "little of the forward pass but the position"),
        (coverage("deconvnet", switches=2), "Mahendran & Vedaldi 2016"),
        (coverage("guided"), "Adebayo et al. 2018"),
        (coverage("gradient"), "derivative is local"),
        (coverage("guided", reversed_=3), "2 of 5 rectifiers ran where the rule cannot reach"),
        (Coverage("guided", {}, 0, 0, {}), "No rectifier lies between"),
    ],
)
def test_limits_follow_from_the_coverage(given: Coverage, words: str) -> None:
    assert words in limits(given)


def test_switchless_deconvnet_shows_the_same_for_every_picture() -> None:
    """The claim itself: without max-pooling, nothing but the position."""
    torch.manual_seed(0)
    model = EfficientNetLite0()
    one, other = torch.randn(2, 1, 3, 64, 64)
    views = [project(model, image, "features.4", 7, (2, 1), "deconvnet") for image in (one, other)]
    assert limits(views[0].coverage) == SWITCHLESS.format(rule="deconvnet")
    assert views[0].image.abs().max() > 0
    torch.testing.assert_close(views[0].image, views[1].image, rtol=0, atol=0)
    guided = [project(model, image, "features.4", 7, (2, 1), "guided").image for image in (one, other)]
    assert relative_error(*guided) > 1e-2


def test_rule_follows_from_max_pooling() -> None:
    pooled = project(network("alexnet"), pictures(), "features.8", 0, (0, 0), "guided").coverage
    assert choose_rule(pooled.switches) == (
        "deconvnet",
        "chosen because 2 max-poolings lie on the way, whose switches a deconvnet image needs",
    )
    bare = project(network("mobilenet_v2"), pictures(64), "features.8", 0, (0, 0), "guided").coverage
    assert choose_rule(bare.switches)[0] == "guided"
