"""Sufficient statistics of the codes: sums from which the dictionary is updated, of a size that no image changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from unconv.errors import SparseError
from unconv.results import Shown
from unconv.sparse.code.problem import Problem
from unconv.sparse.code.synthesize import synthesize_sparse


@dataclass(frozen=True, eq=False, repr=False)
class Statistics(Shown):
    """½ Σ ‖s̃ − Σ_k d_k ∗ z_k‖² as a quadratic of the dictionary alone (Mairal et al. 2010, for convolutions).

    ``gram`` A_jk(τ) = Σ_u z_j(u) z_k(u + τ), kept for row lags 0 ≤ dy < h: (K, K, h, 2w − 1), since
    A_kj(−τ) = A_jk(τ); ``correlation`` B_k(c, i) = Σ_u z_k(u) s̃(c, u + i): (K, C, h, w); ``energy`` ‖s̃‖². Signals have
    h = 1. float64. They add up over images, minibatches and machines.

    >>> total = Statistics.zero(4, 1, (5, 5))
    >>> total.gram.shape, total.correlation.shape
    (torch.Size([4, 4, 5, 9]), torch.Size([4, 1, 5, 5]))
    """

    gram: Float[Tensor, "kernels kernels rows lags"]
    correlation: Float[Tensor, "kernels channels rows columns"]
    energy: float = 0.0

    @classmethod
    def zero(cls, n_kernels: int, channels: int, kernel_size: Sequence[int]) -> Statistics:
        """The sum over no image."""
        height, width = (1, *kernel_size)[-2:]
        gram = torch.zeros(n_kernels, n_kernels, height, 2 * width - 1, dtype=torch.float64)
        return cls(gram, torch.zeros(n_kernels, channels, height, width, dtype=torch.float64))

    def __add__(self, other: Statistics) -> Statistics:
        """The statistics of the images of both."""
        return Statistics(self.gram + other.gram, self.correlation + other.correlation, self.energy + other.energy)

    def add_(self, other: Statistics) -> Statistics:
        """The same in place of this one's tensors, which must not be used again."""
        return Statistics(
            self.gram.add_(other.gram), self.correlation.add_(other.correlation), self.energy + other.energy
        )

    def decayed(self, factor: float) -> Statistics:
        """The statistics with all images counting for ``factor`` of what they did."""
        return Statistics(self.gram * factor, self.correlation * factor, self.energy * factor)

    def rescaled(self, factors: Float[Tensor, " kernels"]) -> Statistics:
        """The statistics of codes z_k · factors[k]."""
        wide = factors.double()
        pairs = (wide[:, None] * wide[None, :])[:, :, None, None]
        return Statistics(self.gram * pairs, self.correlation * wide[:, None, None, None], self.energy)

    @property
    def use(self) -> Float[Tensor, " kernels"]:
        """Σ_u z_k(u)² of each kernel: 0 where it is used nowhere."""
        return self.gram.diagonal()[0, self.gram.shape[3] // 2]

    @property
    def full_gram(self) -> Float[Tensor, "kernels kernels all_rows lags"]:
        """A_jk(τ) for all lags: (K, K, 2h − 1, 2w − 1), lag 0 in the middle."""
        mirrored = self.gram[:, :, 1:].transpose(0, 1).flip(2, 3)
        return torch.cat([mirrored, self.gram], 2)

    def data_term(self, dictionary: Float[Tensor, "kernels channels *kernel"]) -> float:
        """½ Σ ‖s̃ − Σ_k d_k ∗ z_k‖² of any dictionary, for the codes that these statistics are of."""
        height, width = self.correlation.shape[2:]
        kernels = dictionary.double().reshape(self.correlation.shape)
        # ⟨d_j ∗ z_j, d_k ∗ z_k⟩ needs the correlations of the kernels at the lags of A.
        pairs = torch.zeros_like(self.full_gram)
        for channel in range(kernels.shape[1]):
            padded = F.pad(kernels[:, channel, None], (width - 1, width - 1, height - 1, height - 1))
            pairs += F.conv2d(padded, kernels[:, channel, None])
        quadratic = float((pairs * self.full_gram).sum())
        return 0.5 * (self.energy - 2 * float((kernels * self.correlation).sum()) + quadratic)


def statistics_of(
    problem: Problem,
    indices: Int[Tensor, "axes nonzeros"],
    values: Float[Tensor, " nonzeros"],
    threads: int = 1,
    total: Statistics | None = None,
) -> Statistics:
    """The statistics of one image with these codes, sorted by kernel and then row-major by position.

    Given a ``total`` they are added to its tensors in place, and the sum is returned.

    Exact for ``valid`` and ``circular`` without a mask. For ``crop`` and under a mask W the quadratic would depend on
    absolute positions; there pixels that count less are filled with what the problem's own dictionary makes of the
    codes: s̃ = Dz + W²(s − Dz)/m on all pixels that a kernel can reach, m = max(1, max W²). The statistics of m-fold
    weight on s̃ are a quadratic that lies above ½‖W(s − Dz)‖² and touches it at that dictionary: going down on it never
    goes up on the other (Lange et al. 2000, majorise and minimise).

    Raises :class:`~unconv.errors.SparseError` for images of three axes and for those not on the processor.
    """
    from unconv import _native

    if len(problem.image_size) > 2 or problem.image.device.type != "cpu":
        raise SparseError(
            f"learn: image of {len(problem.image_size)} axes on {problem.image.device.type}; dictionaries are learned "
            "from signals and images on the processor"
        )
    total = total or Statistics.zero(problem.n_kernels, problem.image.shape[0], problem.kernel_size)
    canvas, scale, constant = _canvas(problem, indices, values)
    flat = (
        indices if len(problem.image_size) == 2 else torch.stack([indices[0], torch.zeros_like(indices[1]), indices[1]])
    )
    if len(problem.image_size) == 1:
        canvas = canvas[:, None]
    _native.add_statistics(
        indices=flat.contiguous().numpy(),
        values=values.contiguous().numpy(),
        canvas=canvas.contiguous().numpy(),
        circular=problem.boundary == "circular",
        scale=scale,
        threads=threads,
        gram=total.gram.numpy(),
        correlation=total.correlation.numpy(),
    )
    return Statistics(total.gram, total.correlation, total.energy + constant)


def _canvas(problem: Problem, indices: Tensor, values: Tensor) -> tuple[Tensor, float, float]:
    """The image on all pixels that a kernel can reach; the weight of its statistics; and their energy."""
    image, weight = problem.image, problem.weight
    if weight is None and problem.boundary != "crop":
        return _wrapped(image, problem), 1.0, float(image.double().square().sum())
    known = torch.ones_like(image) if weight is None else weight.square().expand_as(image)
    whole = problem.boundary
    size: tuple[int, ...] = problem.image_size
    if problem.boundary == "crop":
        overhang = [taps - 1 for taps in reversed(problem.kernel_size) for _ in range(2)]
        image, known = F.pad(image, overhang), F.pad(known, overhang)
        whole, size = "valid", tuple(image.shape[1:])
    made = synthesize_sparse(indices, values, problem.dictionary, whole, size)
    most = max(1.0, float(known.max()))
    share, left = known / most, image - made
    filled = made + share * left
    # What the surrogate lacks of ½‖W(s − Dz)‖² where W is between 0 and its largest.
    lacking = (share * (1 - share) * left.square()).sum(dtype=torch.float64)
    energy = most * float(filled.double().square().sum() + lacking)
    return _wrapped(filled, problem), most, energy


def _wrapped(image: Tensor, problem: Problem) -> Tensor:
    if problem.boundary != "circular":
        return image
    for axis, taps in enumerate(problem.kernel_size, start=1):
        image = torch.cat([image, image.narrow(axis, 0, taps - 1)], axis)
    return image
