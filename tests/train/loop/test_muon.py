"""Muon: torch's own on matrices, torch's AdamW on the rest, and a network learns by it."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy

import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch import Tensor, nn

from tests.train.contests import adversaries
from tests.train.tasks import examples, measure, wide
from unconv.errors import UnconvError
from unconv.train.loop.loop import Settings, fit
from unconv.train.loop.muon import LEAST_SIDE, Muon, is_matrix, orthogonal


def gradients(count: int, *shapes: tuple[int, ...]) -> list[list[Tensor]]:
    random = torch.Generator().manual_seed(1)
    return [[torch.randn(shape, generator=random) for shape in shapes] for _ in range(count)]


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="torch has it since 2.9")
@pytest.mark.parametrize("shape", [(32, 16), (16, 48), (24, 24)])
def test_matrices_are_moved_as_by_torchs(shape: tuple[int, int]) -> None:
    ours, theirs = (nn.Parameter(torch.ones(shape)) for _ in range(2))
    mine = Muon([ours], lr=0.02, weight_decay=0.1)
    other = torch.optim.Muon([theirs], lr=0.02, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    for (gradient,) in gradients(6, shape):
        ours.grad, theirs.grad = gradient.clone(), gradient.clone()
        mine.step()
        other.step()
    # torch rounds to eight bits on the way.
    assert (ours - theirs).abs().max() < 0.05 * (theirs - 1).abs().max()


def pixels(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)


def columns(x: Tensor) -> Tensor:
    return x.transpose(2, 3).contiguous().transpose(2, 3)


@pytest.mark.parametrize("of_gradient", [pixels, columns, torch.clone])
@pytest.mark.parametrize("of_kernel", [pixels, columns, torch.clone])
def test_kernels_are_moved_as_the_matrices_that_they_are(
    of_kernel: Callable[[Tensor], Tensor], of_gradient: Callable[[Tensor], Tensor]
) -> None:
    shape = (32, 16, 3, 2)
    kernel = nn.Parameter(of_kernel(torch.ones(shape)))
    strides = kernel.stride()
    matrix = nn.Parameter(torch.ones(32, 96))
    optimisers = [Muon([one], lr=0.02, weight_decay=0.1) for one in (kernel, matrix)]
    for (gradient,) in gradients(4, shape):
        kernel.grad = of_gradient(gradient)
        matrix.grad = gradient.flatten(1)
        for optimiser in optimisers:
            optimiser.step()
    assert kernel.stride() == strides
    torch.testing.assert_close(kernel.flatten(1), matrix)


def test_everything_else_is_moved_as_by_adamw() -> None:
    shapes = ((10, 64), (64,), (32, 1, 3, 3))
    ours, theirs = ([nn.Parameter(torch.ones(shape)) for shape in shapes] for _ in range(2))
    mine, other = (kind(own, lr=0.02, weight_decay=0.1) for kind, own in ((Muon, ours), (torch.optim.AdamW, theirs)))
    for given_ in gradients(6, *shapes):
        for own in (ours, theirs):
            for parameter, gradient in zip(own, given_, strict=True):
                parameter.grad = gradient.clone()
        mine.step()
        other.step()
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_goes_on_from_a_kept_state() -> None:
    shapes = ((32, 16), (16,))
    ours = [nn.Parameter(torch.ones(shape)) for shape in shapes]
    mine, steps = Muon(ours, lr=0.02), gradients(5, *shapes)
    ends = []
    for number, given_ in enumerate(steps):
        if number == 2:
            kept = deepcopy((mine.state_dict(), [own.detach() for own in ours]))
        for parameter, gradient in zip(ours, given_, strict=True):
            parameter.grad = gradient.clone()
        mine.step()
    ends.append([own.detach().clone() for own in ours])
    again = [nn.Parameter(own) for own in kept[1]]
    other = Muon(again, lr=0.5)
    other.load_state_dict(kept[0])
    for given_ in steps[2:]:
        for parameter, gradient in zip(again, given_, strict=True):
            parameter.grad = gradient.clone()
        other.step()
    assert all(torch.equal(a, b) for a, b in zip(ends[0], again, strict=True))


@settings(max_examples=60, deadline=None)
@given(st.integers(LEAST_SIDE, 80), st.integers(LEAST_SIDE, 80), st.integers(0, 2**32), st.floats(-6, 6))
def test_singular_vectors_stay_and_values_come_near_one(rows: int, columns: int, seed: int, power: float) -> None:
    # Singular values within two decades: what is smaller does not come near 1 in five steps.
    random = torch.Generator().manual_seed(seed)
    left, _, right = torch.linalg.svd(torch.randn(rows, columns, generator=random), full_matrices=False)
    values = 10**power * torch.logspace(-1, 0, min(rows, columns))
    found = orthogonal(left * values @ right)
    assert found.shape == (rows, columns)
    along = left.T @ found @ right.T
    assert ((along.diagonal() > 0.5) & (along.diagonal() < 1.4)).all()
    assert (along - along.diagonal().diag()).abs().max() < 0.1


def test_no_gradient_no_step() -> None:
    still = nn.Parameter(torch.ones(16, 16))
    Muon([still], lr=1.0).step()
    assert torch.equal(still, torch.ones(16, 16))
    assert orthogonal(torch.zeros(16, 16)).abs().max() == 0


def test_a_closure_is_asked_once_with_gradients() -> None:
    weight = nn.Parameter(torch.ones(16, 16))

    def closure() -> Tensor:
        loss = weight.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    assert Muon([weight], lr=0.01).step(closure) == 256
    assert not torch.equal(weight, torch.ones(16, 16))


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_a_network_learns_by_it(precision: str) -> None:
    assert [is_matrix(weight) for weight in wide().parameters() if weight.ndim > 1] == [True, True, False]
    told = Settings(8, 16, 0.03, optimiser="muon", precision=precision)
    fitted = fit(wide(), measure, examples(640), examples(80, seed=1), told)
    assert fitted.history[-1].held_out["accuracy"] > 0.8 > fitted.history[0].held_out["accuracy"]


def test_who_does_not_know_it_says_so() -> None:
    with pytest.raises(UnconvError, match="optimiser 'lion' is unknown; it is adamw or muon"):
        Settings(optimiser="lion")
    with pytest.raises(UnconvError, match="'muon'; generator and discriminator are Adam's"):
        adversaries(optimiser="muon")
