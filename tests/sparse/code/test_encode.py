"""Both solvers against scikit-learn's Lasso on the explicit matrix, and what must hold for any input."""

from __future__ import annotations

import warnings
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st

from tests.sparse.oracles import BOUNDARIES, Array, code_shape, kkt_violation, lasso, matrix, objective
from unconv.errors import SparseError
from unconv.sparse.code.encode import encode, penalty_max
from unconv.sparse.code.encoding import Encoding
from unconv.sparse.code.penalty import InverseCorrelation

# hypothesis runs a test many times, a fixture once.
SOLVERS = ("torch", "native") if find_spec("unconv._native") else ("torch",)
SIGNAL = ((18,), (4,))
PICTURE = ((7, 6), (3, 2))


def example(size: tuple[int, ...], kernel: tuple[int, ...], channels: int = 2, seed: int = 0) -> tuple[Array, Array]:
    """(images (1, C, *size), dictionary (3, C, *kernel)) in float64."""
    rng = np.random.default_rng(seed)
    return rng.standard_normal((1, channels, *size)), rng.standard_normal((3, channels, *kernel))


def dense(encoding: Encoding) -> Array:
    assert isinstance(encoding.codes, torch.Tensor)
    return encoding.codes.to_dense().numpy()


@pytest.mark.parametrize(("channels", "nonnegative"), [(1, False), (3, False), (1, True)])
def test_circular_optimum_is_sporcos(solver: str, channels: int, nonnegative: bool) -> None:
    pytest.importorskip("sporco")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from sporco.admm import cbpdn

        images, dictionary = example((14, 12), (4, 3), channels=channels)
        image = np.ascontiguousarray(images[0].transpose(1, 2, 0))
        kernels = np.ascontiguousarray(dictionary.transpose(2, 3, 1, 0))
        if channels == 1:
            image, kernels = image[..., 0], kernels[..., 0, :]
        steps = {"MaxMainIter": 800, "RelStopTol": 1e-9, "NonNegCoef": nonnegative, "AutoRho": {"Enabled": False}}
        coder = cbpdn.ConvBPDN(
            kernels, image, 0.5, cbpdn.ConvBPDN.Options({**steps, "rho": 5.0}), dimK=0 if channels == 1 else None
        )
        coder.solve()
    theirs = np.moveaxis(np.squeeze(coder.Y), -1, 0)
    columns = matrix(dictionary, (14, 12), "circular")
    best = objective(theirs.ravel(), images.ravel(), columns, np.full(theirs.size, 0.5), np.ones(images.size))
    found = encode(images, dictionary, 0.5, nonnegative=nonnegative, boundary="circular", tol=1e-7, solver=solver)
    assert float(found.objective) == pytest.approx(best, rel=2e-7)
    np.testing.assert_allclose(dense(found)[0], theirs, atol=1e-3)


@pytest.mark.parametrize("nonnegative", [False, True])
@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize(("size", "kernel"), [SIGNAL, PICTURE])
def test_optimum_is_scikit_learns_and_certified(
    solver: str, size: tuple[int, ...], kernel: tuple[int, ...], boundary: str, nonnegative: bool
) -> None:
    images, dictionary = example(size, kernel)
    weight = np.random.default_rng(1).uniform(size=images.shape)
    weight[weight < 0.3] = 0
    hidden = np.where(weight == 0, np.nan, images)
    penalties = np.array([0.5, 0.2, 0.8])
    found = encode(
        hidden, dictionary, penalties, mask=weight, nonnegative=nonnegative, boundary=boundary, tol=1e-9, solver=solver
    )
    columns = matrix(dictionary, size, boundary)
    each = penalties.repeat(columns.shape[1] // 3)
    problem = images.flatten(), columns, each, weight.flatten()
    best = objective(lasso(*problem, nonnegative), *problem)
    codes = dense(found).flatten()
    assert found.solver == solver
    assert bool(found.converged.all())
    assert float(found.objective) == pytest.approx(objective(codes, *problem), rel=1e-9)
    assert float(found.objective) == pytest.approx(best, rel=2e-9)
    assert kkt_violation(codes, *problem, nonnegative) < 1e-3
    if nonnegative:
        assert codes.min() >= 0


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_gap_bounds_what_is_left_at_every_tolerance(solver: str, boundary: str) -> None:
    images, dictionary = example(*PICTURE)
    columns = matrix(dictionary, PICTURE[0], boundary)
    problem = images.flatten(), columns, np.full(columns.shape[1], 0.3), np.ones(images.size)
    best = objective(lasso(*problem, False), *problem)
    for steps in (0, 1, 3, 30):
        found = encode(images, dictionary, 0.3, boundary=boundary, tol=1e-12, max_steps=steps, solver=solver)
        value = objective(dense(found).flatten(), *problem)
        assert float(found.objective) == pytest.approx(value, rel=1e-9)
        assert value - best <= float(found.gap) * value + 1e-9
        assert bool(found.converged) == (float(found.gap) <= 1e-12)
    for tol in (0.1, 1e-3):
        found = encode(images, dictionary, 0.3, boundary=boundary, tol=tol, solver=solver)
        assert float(found.gap) <= tol
        assert float(found.objective) - best <= tol * float(found.objective)


def test_penalty_by_position_and_forbidden_coefficients(solver: str) -> None:
    images, dictionary = example(*PICTURE)
    codes = code_shape(*PICTURE, "crop")
    penalties = np.random.default_rng(2).uniform(0.2, 1, (3, *codes))
    forbidden = np.random.default_rng(3).uniform(size=penalties.shape) < 0.3
    found = encode(images, dictionary, np.where(forbidden, np.inf, penalties), tol=1e-9, solver=solver)
    assert not dense(found)[0][forbidden].any()
    columns = matrix(dictionary, PICTURE[0], "crop")[:, ~forbidden.flatten()]
    problem = images.flatten(), columns, penalties[~forbidden], np.ones(images.size)
    assert float(found.objective) == pytest.approx(objective(lasso(*problem, False), *problem), rel=2e-9)


@pytest.mark.parametrize(("size", "kernel"), [SIGNAL, PICTURE])
def test_penalty_by_correlation_is_that_array(solver: str, size: tuple[int, ...], kernel: tuple[int, ...]) -> None:
    images, dictionary = example(size, kernel)
    weight = np.random.default_rng(4).uniform(size=size)
    columns = matrix(dictionary, size, "circular")
    seen = columns.T @ (images * weight**2).flatten()
    penalties = (0.3 / np.maximum(np.abs(seen) ** 1.5, 1e-3)).reshape(3, *size)
    common: dict[str, Any] = {"mask": weight, "boundary": "circular", "tol": 1e-9, "solver": solver}
    by_array = encode(images, dictionary, penalties, **common)
    by_rule = encode(images, dictionary, InverseCorrelation(0.3, 1.5, 1e-3), **common)
    by_function = encode(images, dictionary, lambda block: 0.3 / block.abs().pow(1.5).clamp_min(1e-3), **common)
    for found in (by_rule, by_function):
        np.testing.assert_allclose(dense(found), dense(by_array), atol=1e-4)
        assert float(found.objective) == pytest.approx(float(by_array.objective), rel=1e-8)


def test_penalties_of_each_image_and_images_of_different_sizes(solver: str) -> None:
    sizes = [(6, 9), (1, 1), (12, 3)]
    images = [example(size, (3, 3), seed=n)[0][0] for n, size in enumerate(sizes)]
    dictionary = example(*PICTURE)[1]
    together = encode(images, dictionary, 0.3, tol=1e-8, solver=solver)
    assert isinstance(together.codes, tuple)
    for index, image in enumerate(images):
        alone = encode(image[None], dictionary, 0.3, tol=1e-8, solver=solver)
        torch.testing.assert_close(together.codes[index].to_dense(), alone.codes.to_dense()[0])
    different = encode([images[0]] * 2, dictionary, [np.full((3, 1, 1), 0.3), "0.5max"], tol=1e-8, solver=solver)
    torch.testing.assert_close(different.codes[0].to_dense(), together.codes[0].to_dense())
    top = penalty_max([images[0]] * 2, dictionary)
    half = encode(images[0][None], dictionary, 0.5 * top, tol=1e-8, solver=solver)
    torch.testing.assert_close(different.codes[1].to_dense(), half.codes.to_dense()[0])
    stacked = encode(np.stack([images[0]] * 2), dictionary, np.reshape([0.3, 0.5 * top], (2, 1, 1, 1)), solver=solver)
    assert stacked.penalty[1].startswith("per position")


@settings(max_examples=5, deadline=None)
@given(st.floats(0.01, 100), st.permutations(range(3)), st.integers(0, 6), st.integers(0, 5), st.integers(0, 99))
def test_scaling_permuting_shifting_and_zero_kernels(
    factor: float, order: list[int], down: int, right: int, seed: int
) -> None:
    for solver in SOLVERS:
        images, dictionary = example(*PICTURE, seed=seed)
        common: dict[str, Any] = {"boundary": "circular", "tol": 1e-10, "solver": solver}
        plain = dense(encode(images, dictionary, 0.3, **common))
        scaled = encode(factor * images, dictionary, factor * 0.3, **common)
        np.testing.assert_allclose(dense(scaled), factor * plain, atol=1e-3 * factor)
        np.testing.assert_allclose(dense(encode(images, dictionary[order], 0.3, **common)), plain[:, order], atol=1e-3)
        shifted = encode(np.roll(images, (down, right), (2, 3)), dictionary, 0.3, **common)
        np.testing.assert_allclose(dense(shifted), np.roll(plain, (down, right), (2, 3)), atol=1e-3)
        extended = np.concatenate([dictionary, np.zeros_like(dictionary[:1])])
        np.testing.assert_allclose(dense(encode(images, extended, 0.3, **common))[:, :3], plain, atol=1e-3)
        assert not dense(encode(images, extended, 0.3, **common))[:, 3].any()


def test_mask_of_ones_changes_nothing_and_of_zeros_leaves_nothing(solver: str) -> None:
    images, dictionary = example(*PICTURE)
    plain = encode(images, dictionary, 0.3, solver=solver)
    ones = encode(images, dictionary, 0.3, mask=np.ones((7, 6), bool), solver=solver)
    np.testing.assert_array_equal(dense(plain), dense(ones))
    nothing = encode(np.full_like(images, np.nan), dictionary, 0.3, mask=np.zeros((7, 6)), solver=solver)
    assert not dense(nothing).any()
    assert (float(nothing.objective), float(nothing.gap), bool(nothing.converged)) == (0, 0, True)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_under_the_mask_counts_nothing(solver: str, bad: float) -> None:
    images, dictionary = example(*PICTURE)
    mask = np.random.default_rng(5).uniform(size=(7, 6)) > 0.4
    expected = encode(np.where(mask, images, 0), dictionary, 0.3, mask=mask, solver=solver)
    found = encode(np.where(mask, images, bad), dictionary, 0.3, mask=mask, solver=solver)
    np.testing.assert_array_equal(dense(found), dense(expected))


@pytest.mark.parametrize("nonnegative", [False, True])
@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_penalty_max_is_the_threshold(solver: str, boundary: str, nonnegative: bool) -> None:
    images, dictionary = example(*PICTURE)
    mask = np.random.default_rng(6).uniform(size=(7, 6))
    common: dict[str, Any] = {"mask": mask, "boundary": boundary, "nonnegative": nonnegative}
    top = penalty_max(images, dictionary, **common)
    seen = matrix(dictionary, (7, 6), boundary).T @ (mask**2 * images).flatten()
    assert top == pytest.approx(seen.max() if nonnegative else np.abs(seen).max(), rel=1e-12)
    above = encode(images, dictionary, top * (1 + 1e-9), tol=1e-9, solver=solver, **common)
    assert not dense(above).any()
    assert float(above.objective) == pytest.approx(0.5 * np.sum((mask * images) ** 2))
    assert dense(encode(images, dictionary, top * 0.999, tol=1e-9, solver=solver, **common)).any()
    part = encode(images, dictionary, "0.1max", tol=1e-9, solver=solver, **common)
    assert part.penalty == (f"{0.1 * top:.6g}",)


def test_warm_start_at_the_answer_stays_there(solver: str) -> None:
    images, dictionary = example(*PICTURE)
    answer = encode(images, dictionary, 0.3, tol=1e-6, solver=solver)
    for start in (answer, answer.codes, dense(answer), [answer.codes.to_dense()[0].to_sparse()]):
        again = encode(images, dictionary, 0.3, tol=1e-5, start=start, solver=solver)
        assert int(again.steps) <= 1
        assert float(again.objective) <= float(answer.objective) * (1 + 1e-5)
    far = encode(images, dictionary, 0.3, tol=1e-6, start=np.full((1, 3, 9, 7), 5.0), solver=solver)
    assert float(far.objective) == pytest.approx(float(answer.objective), rel=2e-6)


def test_constant_images_and_zero_kernels_have_a_right_answer(solver: str) -> None:
    images, dictionary = np.zeros((1, 1, 6, 6), "f4"), np.zeros((2, 1, 3, 3), "f4")
    black = encode(images, dictionary + 1, "0.1max", solver=solver)
    assert float(black.objective) == float(black.gap) == 0
    nothing = encode(images + 1, dictionary, 0.1, solver=solver)
    assert (float(nothing.objective), float(nothing.gap)) == (18, 0)
    grey = encode(images + 0.5, dictionary + 1, 0.1, solver=solver)
    assert bool(grey.converged)


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_no_images_are_an_empty_encoding(solver: str, boundary: str) -> None:
    _, dictionary = example(*PICTURE)
    stack = encode(np.zeros((0, 2, 7, 6)), dictionary, boundary=boundary, solver=solver)
    assert stack.codes.shape == (0, 3, *code_shape(*PICTURE, boundary))
    assert stack.reconstruct().shape == (0, 2, 7, 6)
    empty = encode([], dictionary, boundary=boundary, solver=solver)
    assert (empty.codes, empty.reconstruct(), empty.density, len(empty)) == ((), [], 0.0, 0)


def test_every_number_type_gives_the_same_codes(solver: str) -> None:
    eight_bits = np.random.default_rng(7).integers(0, 256, (1, 2, 7, 6), np.uint8)
    dictionary = example(*PICTURE)[1].astype("f4")
    expected = encode(eight_bits.astype("f4") / 255, dictionary, 0.1, solver=solver)
    assert expected.codes.dtype == torch.float32
    for same in (eight_bits, torch.from_numpy(eight_bits), list(eight_bits)):
        found = encode(same, dictionary, 0.1, solver=solver)
        codes = found.codes[0].to_dense()[None] if isinstance(found.codes, tuple) else found.codes.to_dense()
        torch.testing.assert_close(codes, expected.codes.to_dense())
    half = (eight_bits / 256).astype("f2")
    assert encode(half, dictionary, 0.1, solver=solver).codes.dtype == torch.float32
    double = encode(eight_bits / 255, dictionary, 0.1, solver=solver)
    assert double.codes.dtype == torch.float64
    torch.testing.assert_close(double.objective, expected.objective, rtol=2e-3, atol=0)


def test_threads_and_the_progress_bar_change_no_bit(
    solver: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # a terminal, for rich
    images, dictionary = example((12, 12), (3, 3))
    stack = np.concatenate([images] * 3)
    before = torch.get_num_threads()
    steps = 3 if solver == "torch" else None
    one = encode(stack, dictionary, 0.3, threads=1, max_steps=steps, solver=solver)
    two = encode(stack, dictionary, 0.3, threads=2, max_steps=steps, progress=True, solver=solver)
    assert torch.get_num_threads() == before
    assert "images coded" in capsys.readouterr().err
    np.testing.assert_allclose(dense(one), dense(two), atol=0 if solver == "native" else 1e-9)


def test_auto_takes_three_axes_to_torch_and_says_so() -> None:
    found = encode(np.random.default_rng(0).standard_normal((1, 1, 5, 4, 6)), np.ones((2, 1, 2, 2, 2)), 0.5)
    assert (found.solver, found.codes.shape) == ("torch", (1, 2, 6, 5, 7))
    assert bool(found.converged)
    pytest.importorskip("unconv._native", exc_type=ImportError)
    assert encode(*example(*PICTURE)).solver == "native"
    with pytest.raises(SparseError, match="native solver takes 1 and 2 axes"):
        encode(np.zeros((1, 1, 5, 4, 6)), np.ones((2, 1, 2, 2, 2)), solver="native")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"tol": 0}, "tol 0 is no relative gap"),
        ({"tol": float("nan")}, "tol nan"),
        ({"tol": "1e-3"}, "tol '1e-3'"),
        ({"threads": 0}, "threads 0 is not an integer of at least 1"),
        ({"threads": 1.5}, "threads 1.5"),
        ({"max_steps": -1}, "max_steps -1"),
        ({"solver": "admm"}, "solver 'admm' is not known; use 'auto', 'native' or 'torch'"),
        ({"start": np.zeros((1, 3, 7, 6))}, "start of image 0 has shape"),
    ],
)
def test_bad_controls_are_one_line(changed: dict[str, Any], message: str) -> None:
    images, dictionary = example(*PICTURE)
    with pytest.raises(SparseError, match=message) as caught:
        encode(images, dictionary, **changed)
    assert "\n" not in str(caught.value)


def test_without_the_native_part_auto_is_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "unconv.sparse.code.native", None)
    images, dictionary = example(*PICTURE)
    assert encode(images, dictionary).solver == "torch"
    with pytest.raises(SparseError, match="the native solver is not installed"):
        encode(images, dictionary, solver="native")


@pytest.mark.parametrize("boundary", ["crop", "valid", "circular"])
@pytest.mark.parametrize("nonnegative", [False, True])
def test_gap_bounds_the_distance_from_the_optimum_wherever_it_stops(boundary: str, nonnegative: bool) -> None:
    generator = torch.Generator().manual_seed(3)
    image = torch.rand(1, 2, 40, 37, generator=generator, dtype=torch.float64)
    dictionary = torch.randn(9, 2, 6, 5, generator=generator, dtype=torch.float64)
    mask = torch.rand(1, 1, 40, 37, generator=generator) > 0.2
    task = {"penalty": "0.02max", "mask": mask, "boundary": boundary, "nonnegative": nonnegative, "solver": "native"}
    best = float(encode(image, dictionary, **task, tol=1e-10).objective[0])
    for steps in range(1, 60, 2):
        stopped = encode(image, dictionary, **task, tol=2e-3, max_steps=steps)
        reached, gap = float(stopped.objective[0]), float(stopped.gap[0])
        assert (reached - best) / reached <= gap * (1 + 1e-9)
        if stopped.converged[0]:
            return
    pytest.fail(f"gap {gap} after {steps} steps")
