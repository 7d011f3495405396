"""The soft intersection over union: scikit-learn's where the network is sure, its definition where it is not."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings, strategies as st
from sklearn.metrics import jaccard_score
from torch import Generator, Tensor

from unconv.train.confusion import NOT_COUNTED
from unconv.train.segment import pixel_scores, soft_jaccard

CLASSES = 4


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


def test_its_gradient_is_right_and_it_is_added_to_the_cross_entropy() -> None:
    scores, targets = drawn(1, side=3)
    assert torch.autograd.gradcheck(lambda s: soft_jaccard(s, targets), scores.requires_grad_())
    plain, both = (pixel_scores(scores, targets, CLASSES, jaccard=weight)["loss"] for weight in (0.0, 2.0))
    torch.testing.assert_close(both, plain + 2 * (1 - soft_jaccard(scores.float(), targets)))
