"""The statistics are sums that can be written down; the objective that follows from them is the real one."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch import Tensor

from unconv.sparse.code.boundary import code_size, synthesize
from unconv.sparse.code.problem import Problem, problems_from
from unconv.sparse.learn.dictionary_step import _Quadratic
from unconv.sparse.learn.statistics import Statistics, statistics_of

BOUNDARIES = ("valid", "circular", "crop")


def example(
    boundary: str,
    size: tuple[int, ...] = (11, 9),
    kernel: tuple[int, ...] = (5, 4),
    channels: int = 2,
    masked: str = "no",
    seed: int = 0,
    dtype: torch.dtype = torch.float64,
) -> tuple[Problem, Tensor]:
    """A problem, and dense codes for it of which a fifth is not zero."""
    generator = torch.Generator().manual_seed(seed)
    image = torch.randn(channels, *size, generator=generator, dtype=dtype)
    dictionary = torch.randn(3, channels, *kernel, generator=generator, dtype=dtype)
    weight = 1.7 * torch.rand(1, *size, generator=generator, dtype=dtype)
    mask = {"no": None, "binary": weight > 0.5, "weights": weight}[masked]
    problem = problems_from([image], dictionary, 0.1, None if mask is None else [mask], boundary=boundary)[0]
    codes = torch.randn(3, *code_size(size, kernel, problem.boundary), generator=generator, dtype=dtype)
    return problem, codes * (torch.rand(codes.shape, generator=generator) < 0.2)


def statistics(problem: Problem, codes: Tensor, threads: int = 1) -> Statistics:
    sparse = codes.to_sparse().coalesce()
    return statistics_of(problem, sparse.indices(), sparse.values(), threads)


def real(problem: Problem, codes: Tensor, dictionary: Tensor) -> Tensor:
    left = problem.image - synthesize(codes, dictionary, problem.boundary, problem.image_size)
    return 0.5 * ((left if problem.weight is None else left * problem.weight) ** 2).sum()


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_gram_is_the_correlation_of_the_codes_lag_by_lag(boundary: str) -> None:
    problem, codes = example(boundary)
    found = statistics(problem, codes).full_gram
    z, size = codes.numpy(), codes.shape[1:]
    for lag in product(range(-4, 5), range(-3, 4)):
        expected = np.zeros((3, 3))
        for u in product(*map(range, size)):
            v = tuple(a + b for a, b in zip(u, lag, strict=True))
            if boundary == "circular":
                v = tuple(a % n for a, n in zip(v, size, strict=True))
            if all(0 <= a < n for a, n in zip(v, size, strict=True)):
                expected += np.outer(z[(slice(None), *u)], z[(slice(None), *v)])
        np.testing.assert_allclose(found[:, :, lag[0] + 4, lag[1] + 3], expected, atol=1e-12)


@pytest.mark.parametrize("boundary", ["valid", "circular"])
def test_correlation_is_the_image_seen_from_the_codes(boundary: str) -> None:
    problem, codes = example(boundary)
    found = statistics(problem, codes).correlation
    image = problem.image.numpy()
    expected = np.zeros(found.shape)
    for k, *u in np.argwhere(codes.numpy()):
        for tap in product(range(5), range(4)):
            pixel = [(a + b) % n for a, b, n in zip(u, tap, problem.image_size, strict=True)]
            expected[(k, slice(None), *tap)] += float(codes[(k, *u)]) * image[(slice(None), *pixel)]
    np.testing.assert_allclose(found, expected, atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(
    boundary=st.sampled_from(BOUNDARIES),
    masked=st.sampled_from(["no", "binary", "weights"]),
    size=st.lists(st.integers(1, 12), min_size=1, max_size=2),
    taps=st.lists(st.integers(1, 6), min_size=2, max_size=2),
    channels=st.integers(1, 3),
    seed=st.integers(0, 2**31),
)
def test_objective_and_gradient_are_the_real_ones_at_the_dictionary_that_made_the_surrogate(
    boundary: str, masked: str, size: list[int], taps: list[int], channels: int, seed: int
) -> None:
    kernel = tuple(min(a, b) if boundary != "crop" else b for a, b in zip(size, taps, strict=False))
    problem, codes = example(boundary, tuple(size), kernel, channels, masked, seed)
    found = statistics(problem, codes)
    dictionary = problem.dictionary.clone().requires_grad_()
    value = real(problem, codes, dictionary)
    value.backward()
    scale = max(1.0, found.energy)
    assert abs(found.data_term(problem.dictionary) - value.item()) < 1e-11 * scale
    flat = problem.dictionary.reshape(found.correlation.shape)
    slope = _Quadratic.of(found, torch.float64).gradient(flat).reshape(dictionary.shape)
    torch.testing.assert_close(slope, dictionary.grad, atol=1e-10 * scale, rtol=1e-9)
    # Anywhere else it is the real one without mask and overhang, and lies above it otherwise.
    other = problem.dictionary + torch.randn(dictionary.shape, dtype=torch.float64)
    above = found.data_term(other) - float(real(problem, codes, other))
    assert above > -1e-11 * max(scale, found.data_term(other))
    if boundary != "crop" and masked == "no":
        assert above < 1e-11 * max(scale, found.data_term(other))


def test_statistics_add_up_over_images_and_in_place() -> None:
    parts = [statistics(*example("circular", seed=seed)) for seed in (1, 2)]
    both = parts[0] + parts[1]
    dictionary = torch.randn(3, 2, 5, 4, dtype=torch.float64)
    assert both.data_term(dictionary) == pytest.approx(sum(part.data_term(dictionary) for part in parts))
    sparse = example("circular", seed=2)[1].to_sparse().coalesce()
    summed = statistics_of(example("circular", seed=2)[0], sparse.indices(), sparse.values(), 1, parts[0])
    torch.testing.assert_close(summed.gram, both.gram)
    assert summed.energy == pytest.approx(both.energy)


def test_scaled_codes_have_scaled_statistics() -> None:
    problem, codes = example("valid")
    factors = torch.tensor([0.5, 0.0, 2.0])
    expected = statistics(problem, codes * factors[:, None, None].double())
    found = statistics(problem, codes).rescaled(factors)
    torch.testing.assert_close(found.gram, expected.gram)
    torch.testing.assert_close(found.correlation, expected.correlation)


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_any_number_of_threads_gives_the_same_bits(boundary: str) -> None:
    problem, codes = example(boundary, (40, 37), dtype=torch.float32)
    one, three = statistics(problem, codes, 1), statistics(problem, codes, 3)
    assert torch.equal(one.gram, three.gram)
    assert torch.equal(one.correlation, three.correlation)


def test_codes_that_do_not_fit_are_refused_before_anything_is_written() -> None:
    problem, _ = example("valid")
    for place in ((0, 0, 99), (0, -1, 0), (3, 0, 0)):
        with pytest.raises(ValueError, match="outside"):
            statistics_of(problem, torch.tensor(place)[:, None], torch.ones(1, dtype=torch.float64))
    unsorted = torch.tensor([[1, 0], [0, 0], [0, 0]])
    with pytest.raises(ValueError, match="sorted"):
        statistics_of(problem, unsorted, torch.ones(2, dtype=torch.float64))
