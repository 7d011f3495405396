"""The loss of pixels: torch's cross-entropy, scikit-learn's intersection over union, and the one walk for both."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings, strategies as st
from sklearn.metrics import jaccard_score
from torch import Generator, Tensor

from unconv.train.data.label_images import NOT_COUNTED
from unconv.train.show.confusion import confusion, confusion_of
from unconv.train.tasks import pixel_loss as module
from unconv.train.tasks.pixel_loss import cross_entropy, pixel_loss, soft_jaccard
from unconv.train.tasks.segment import pixel_scores

CLASSES = 4
LAYOUTS: tuple[Callable[[Tensor], Tensor], ...] = (
    torch.clone,
    lambda x: x.contiguous(memory_format=torch.channels_last),
    lambda x: x.transpose(2, 3).contiguous().transpose(2, 3),
)
"""Planes, pixels, and columns one after the other."""
DTYPES = (torch.float32, torch.float64, torch.bfloat16)


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    yield
    torch.set_num_threads(before)


def drawn(seed: int, count: int = 2, side: int = 6) -> tuple[Tensor, Tensor]:
    random = Generator().manual_seed(seed)
    scores = torch.randn(count, CLASSES, side, side, generator=random, dtype=torch.float64)
    targets = torch.randint(0, 3, (count, side, side), generator=random)
    return scores, targets.masked_fill(torch.rand(targets.shape, generator=random) < 0.2, NOT_COUNTED)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32))
def test_of_decisions_it_is_scikit_learns(seed: int) -> None:
    scores, targets = drawn(seed)
    sure = torch.zeros_like(scores).scatter_(1, scores.argmax(1, keepdim=True), 1e4)
    found = soft_jaccard(sure, targets)
    for own, predicted, truth in zip(found, scores.argmax(1), targets, strict=True):
        counted = truth != NOT_COUNTED
        there = truth[counted].unique().tolist()
        each = jaccard_score(truth[counted], predicted[counted], labels=there, average=None)
        assert own.item() == pytest.approx(each.mean(), abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32))
def test_of_probabilities_it_is_its_definition(seed: int) -> None:
    scores, targets = drawn(seed)
    for own, chances, truth in zip(soft_jaccard(scores, targets), scores.softmax(1), targets, strict=True):
        each = []
        for number in truth[truth != NOT_COUNTED].unique():
            p, y = chances[number][truth != NOT_COUNTED], (truth[truth != NOT_COUNTED] == number).double()
            each.append((p * y).sum() / (p + y - p * y).sum())
        assert own.item() == pytest.approx(torch.stack(each).mean().item(), abs=1e-12)


def test_pixels_that_do_not_count_change_nothing_and_none_is_no_loss() -> None:
    scores, targets = drawn(0)
    other = torch.where((targets == NOT_COUNTED)[:, None], 50 * torch.rand(1, CLASSES, 1, 1).double(), scores)
    torch.testing.assert_close(soft_jaccard(other, targets), soft_jaccard(scores, targets))
    assert soft_jaccard(scores, torch.full_like(targets, NOT_COUNTED)).tolist() == [1.0, 1.0]


@pytest.mark.parametrize("elsewhere", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("jaccard", [0.0, 0.7])
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**32), st.integers(1, 20), st.sampled_from(LAYOUTS))
def test_value_and_gradient_are_those_of_the_definitions(
    monkeypatch: pytest.MonkeyPatch, jaccard: float, weighted: bool, elsewhere: bool, seed: int, side: int, layout: Any
) -> None:
    if elsewhere:  # the walk of other devices
        monkeypatch.setattr(module, "_walked_on_cpu", module._walked)
    scores, targets = drawn(seed, count=3, side=side)
    scores = layout(3 * scores)
    weights = torch.rand(CLASSES, generator=Generator().manual_seed(seed)).double() if weighted else None
    ours, theirs = (scores.clone().requires_grad_() for _ in range(2))
    found = pixel_loss(ours, targets, weights, jaccard)
    expected = cross_entropy(theirs, targets, weights) + jaccard * (1 - soft_jaccard(theirs, targets))
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(pixel_loss(scores, targets, weights, jaccard), expected)
    factors = torch.tensor([0.5, -2.0, 3.0], dtype=torch.float64)
    (found * factors).sum().backward()  # type: ignore[no-untyped-call]
    (expected * factors).sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad)
    assert ours.grad is not None
    assert ours.grad.stride() == ours.stride()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.floats(0.1, 30), st.sampled_from(LAYOUTS), st.integers(1, 3))
def test_single_precision_is_double_precision_to_its_last_digits(
    seed: int, scale: float, layout: Any, threads: int
) -> None:
    scores, targets = drawn(seed, count=5, side=17)
    ours = layout((scale * scores).float()).requires_grad_()
    exact = ours.detach().double().requires_grad_()
    with torch_threads(threads):
        found = pixel_loss(ours, targets, jaccard=1.0)
    expected = cross_entropy(exact, targets) + 1 - soft_jaccard(exact, targets)
    torch.testing.assert_close(found.double(), expected, rtol=1e-6, atol=1e-6)
    gradients = [torch.autograd.grad(one.sum(), of)[0].double() for one, of in ((found, ours), (expected, exact))]
    torch.testing.assert_close(*gradients, rtol=2e-5, atol=2e-8)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_targets_of_another_integer_type_are_the_same_targets(dtype: torch.dtype) -> None:
    scores, targets = drawn(5)
    scores = scores.to(dtype)
    for measure in (lambda truth: pixel_loss(scores, truth, jaccard=1.0), lambda truth: confusion_of(scores, truth)):
        torch.testing.assert_close(measure(targets.to(torch.int32)), measure(targets), rtol=0, atol=0)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("number", range(3))
def test_a_score_that_is_no_number_makes_a_loss_that_is_none(value: float, number: int) -> None:
    scores, targets = torch.zeros(1, 3, 2, 2), torch.zeros(1, 2, 2, dtype=torch.int64)
    scores[0, number, 1, 1] = value
    for dtype in (torch.float32, torch.float64):
        for jaccard in (0.0, 1.0):
            assert pixel_loss(scores.to(dtype), targets, jaccard=jaccard).isnan().all()


def test_a_target_of_no_class_is_named() -> None:
    scores = torch.zeros(1, 3, 1, 2)
    for measure in (pixel_loss, confusion_of):
        with pytest.raises(ValueError, match="target 7 is none of 3 classes"):
            measure(scores, torch.tensor([[[0, 7]]]))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_summed_in_single(dtype: torch.dtype) -> None:
    scores, targets = drawn(3)
    ours = scores.to(dtype).requires_grad_()
    exact = ours.detach().double().requires_grad_()
    found = pixel_loss(ours, targets, jaccard=1.0)
    expected = cross_entropy(exact, targets) + 1 - soft_jaccard(exact, targets)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-6)
    gradients = [torch.autograd.grad(one.sum(), of)[0].double() for one, of in ((found, ours), (expected, exact))]
    torch.testing.assert_close(*gradients, rtol=2 * torch.finfo(dtype).eps, atol=1e-6)


def test_certain_scores_have_finite_loss_and_no_gradient() -> None:
    targets = torch.tensor([[[0, 1], [2, NOT_COUNTED]]])
    scores = 1e4 * torch.eye(3)[[0, 1, 2, 0]].T.reshape(1, 3, 2, 2)
    scores.requires_grad_()
    loss = pixel_loss(scores, targets, jaccard=1.0)
    assert loss.tolist() == [0.0]
    assert torch.autograd.grad(loss.sum(), scores)[0].abs().max() < 1e-6
    assert pixel_loss(-scores, targets).item() == pytest.approx(1e4, rel=1e-3)
    assert pixel_loss(scores, torch.full_like(targets, NOT_COUNTED), jaccard=1.0).tolist() == [0.0]


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 300), st.integers(0, 2**32), st.sampled_from(LAYOUTS), st.sampled_from(DTYPES))
def test_confusion_is_that_of_argmax_the_first_of_equals(
    classes: int, seed: int, layout: Any, dtype: torch.dtype
) -> None:
    random = Generator().manual_seed(seed)
    scores = layout(torch.randint(0, 4, (3, classes, 5, 14), generator=random).to(dtype))
    targets = torch.randint(0, classes, (3, 5, 14), generator=random)
    targets = targets.masked_fill(torch.rand(targets.shape, generator=random) < 0.2, NOT_COUNTED)
    if classes > NOT_COUNTED:
        targets = targets.clamp(max=NOT_COUNTED)
    assert torch.equal(confusion_of(scores, targets), confusion(scores.argmax(1), targets, classes))


def test_it_is_added_to_the_cross_entropy() -> None:
    scores, targets = drawn(1, side=3)
    plain, both = (pixel_scores(scores, targets, CLASSES, jaccard=weight)["loss"] for weight in (0.0, 2.0))
    torch.testing.assert_close(both, plain + 2 * (1 - soft_jaccard(scores, targets)))
