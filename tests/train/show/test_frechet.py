"""The Fréchet distance of Gaussians: closed forms, scipy's square root of a matrix, torchmetrics."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from scipy.linalg import sqrtm
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance

from unconv.errors import UnconvError
from unconv.train.show.frechet import Gaussian, frechet_distance, gaussian


def features(count: int, size: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(size, size, generator=generator, dtype=torch.float64)
    return torch.randn(count, size, generator=generator, dtype=torch.float64) @ mixing + torch.randn(
        size, generator=generator, dtype=torch.float64
    )


def by_scipy(one: Gaussian, other: Gaussian) -> float:
    root = sqrtm(one.covariance.numpy() @ other.covariance.numpy())
    trace = np.trace(one.covariance.numpy() + other.covariance.numpy() - 2 * np.real(root))
    return float((one.mean - other.mean).square().sum()) + float(trace)


@settings(max_examples=25, deadline=None)
@given(size=st.integers(1, 12), seeds=st.tuples(st.integers(0, 999), st.integers(0, 999)))
def test_is_what_scipys_square_root_gives(size: int, seeds: tuple[int, int]) -> None:
    one, other = (gaussian(features(60, size, seed)) for seed in seeds)
    assert frechet_distance(one, other) == pytest.approx(by_scipy(one, other), rel=1e-6, abs=1e-5)
    assert frechet_distance(other, one) == pytest.approx(frechet_distance(one, other), rel=1e-6, abs=1e-6)


@given(
    means=st.lists(st.tuples(st.floats(-5, 5), st.floats(-5, 5)), min_size=1, max_size=6),
    deviations=st.lists(st.tuples(st.floats(0, 5), st.floats(0, 5)), min_size=6, max_size=6),
)
def test_independent_features_have_a_closed_form(
    means: list[tuple[float, float]], deviations: list[tuple[float, float]]
) -> None:
    """Σ (μ − μ′)² + (σ − σ′)²: features without spread, whose covariance has no inverse, included."""
    pairs = list(zip(means, deviations[: len(means)], strict=True))
    one, other = (
        Gaussian(
            torch.tensor([mean[n] for mean, _ in pairs], dtype=torch.float64),
            torch.diag(torch.tensor([deviation[n] ** 2 for _, deviation in pairs], dtype=torch.float64)),
            10,
        )
        for n in (0, 1)
    )
    expected = sum((m[0] - m[1]) ** 2 + (d[0] - d[1]) ** 2 for m, d in pairs)
    assert frechet_distance(one, other) == pytest.approx(expected, rel=1e-9, abs=1e-9)


class Flat(nn.Module):
    """Pixels as features, for torchmetrics."""

    num_features = 12

    def forward(self, pictures: Tensor) -> Tensor:
        return pictures.flatten(1).double()


@pytest.mark.parametrize("count", [200, 8])
def test_is_torchmetrics_fid_with_the_same_features(count: int) -> None:
    """With 8 examples of 12 features, too."""
    generator = torch.Generator().manual_seed(count)
    shape = (count, 3, 2, 2)
    real, fake = (torch.randint(0, most, shape, generator=generator, dtype=torch.uint8) for most in (256, 90))
    theirs = FrechetInceptionDistance(feature=Flat(), input_img_size=(3, 2, 2))
    theirs.set_dtype(torch.float64)
    theirs.update(real, real=True)
    theirs.update(fake, real=False)
    ours = frechet_distance(gaussian(real.flatten(1)), gaussian(fake.flatten(1)))
    assert ours == pytest.approx(float(theirs.compute()), rel=1e-6)


def test_a_distribution_is_nowhere_from_itself_and_moves_add_their_square() -> None:
    one = features(50, 5, 3)
    assert frechet_distance(gaussian(one), gaussian(one)) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(gaussian(one), gaussian(one + 2)) == pytest.approx(5 * 4, rel=1e-9)


def test_mean_and_covariance_are_numpys() -> None:
    one = features(30, 4, 1)
    assert np.allclose(gaussian(one.float()).covariance, np.cov(one.float().double().numpy().T), rtol=1e-12)
    assert np.allclose(gaussian(one).mean, one.numpy().mean(0))


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (torch.zeros(1, 3), "1 pictures have no covariance; give 2 at least"),
        (torch.full((4, 3), float("nan")), "features are not finite; .* has diverged"),
    ],
)
def test_what_has_no_distribution_is_one_line(values: Tensor, told: str) -> None:
    with pytest.raises(UnconvError, match=told) as caught:
        gaussian(values)
    assert "\n" not in str(caught.value)


def test_features_of_two_networks_are_refused() -> None:
    with pytest.raises(UnconvError, match="3 features and 4; both must be of one network"):
        frechet_distance(gaussian(features(9, 3, 0)), gaussian(features(9, 4, 0)))
