"""Fréchet distance of two sets of features, as normal distributions."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from unconv.errors import UnconvError
from unconv.results import Shown


@dataclass(frozen=True, eq=False, repr=False)
class Gaussian(Shown):
    """The normal distribution with the mean and the covariance of some features.

    Attributes:
        mean: (features,), float64.
        covariance: (features, features), float64, with n − 1 below.
        count: how many examples it was made of.
    """

    mean: Float[Tensor, " features"]
    covariance: Float[Tensor, "features features"]
    count: int


def gaussian(features: Float[Tensor, "count features"]) -> Gaussian:
    """The distribution of some features.

    Raises UnconvError for fewer than two examples, which have no covariance, and for values that are not finite.

    >>> gaussian(torch.tensor([[0.0, 1.0], [2.0, 5.0]])).covariance
    tensor([[2., 4.],
            [4., 8.]], dtype=torch.float64)
    """
    if len(features) < 2:
        raise UnconvError(f"distance: {len(features)} pictures have no covariance; give 2 at least")
    values = features.detach().to("cpu", torch.float64)
    if not bool(values.isfinite().all()):
        raise UnconvError("distance: features are not finite; the network that made the pictures has diverged")
    return Gaussian(values.mean(0), torch.cov(values.T).reshape(values.shape[1], values.shape[1]), len(values))


def frechet_distance(one: Gaussian, other: Gaussian) -> float:
    """|μ₁ − μ₂|² + tr(Σ₁ + Σ₂ − 2(Σ₁^½ Σ₂ Σ₁^½)^½): the square of the Fréchet distance of two normal distributions.

    D. C. Dowson and B. V. Landau, "The Fréchet distance between multivariate normal distributions" (1982); M. Heusel
    et al., "GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium" (2017), whose "Fréchet
    Inception distance" is this for features of one certain network. Eigenvalues that rounding has made negative count
    as zero, so that few examples, whose covariance has no inverse, are no exception.

    >>> frechet_distance(gaussian(torch.tensor([[0.0], [2.0]])), gaussian(torch.tensor([[3.0], [7.0]])))
    18.0
    """
    if one.mean.shape != other.mean.shape:
        raise UnconvError(f"distance: {len(one.mean)} features and {len(other.mean)}; both must be of one network")
    values, vectors = torch.linalg.eigh(one.covariance)
    root = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
    middle = torch.linalg.eigvalsh(root @ other.covariance @ root).clamp(min=0).sqrt().sum()
    apart = (one.mean - other.mean).square().sum()
    # What is zero may come out as −1e-13.
    return float((apart + one.covariance.trace() + other.covariance.trace() - 2 * middle).clamp(min=0))
