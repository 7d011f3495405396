"""Confusion matrices and IoU: those of torchmetrics and scikit-learn."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, strategies as st
from sklearn.metrics import confusion_matrix
from torchmetrics.classification import MulticlassAccuracy, MulticlassJaccardIndex

from unconv.train.data.label_images import NOT_COUNTED
from unconv.train.show.confusion import class_ious, conclude_confusion, confusion


@st.composite
def labelled(draw: st.DrawFn) -> tuple[torch.Tensor, torch.Tensor, int]:
    """Predictions and targets, some classes of which may not occur, some pixels of which may not be counted."""
    classes = draw(st.integers(2, 22))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32)))
    used = draw(st.integers(1, classes))
    predicted, targets = torch.randint(0, used, (2, 3, 5, 7), generator=generator)
    if draw(st.booleans()):
        targets = targets.masked_fill(torch.rand(3, 5, 7, generator=generator) < 0.4, NOT_COUNTED)
    if draw(st.booleans()):
        targets[1] = NOT_COUNTED
    return predicted, targets, classes


@given(case=labelled())
def test_equals_scikit_learn_picture_by_picture(case: tuple[torch.Tensor, torch.Tensor, int]) -> None:
    predicted, targets, classes = case
    for table, guess, target in zip(confusion(predicted, targets, classes), predicted, targets, strict=True):
        counted = target != NOT_COUNTED
        theirs = (
            confusion_matrix(target[counted], guess[counted], labels=range(classes))
            if counted.any()
            else torch.zeros(classes, classes).numpy()
        )
        assert torch.equal(table.long(), torch.from_numpy(theirs).long())


@given(case=labelled())
def test_miou_and_accuracy_equal_torchmetrics(case: tuple[torch.Tensor, torch.Tensor, int]) -> None:
    predicted, targets, classes = case
    if not (targets != NOT_COUNTED).any():
        return
    means = {"loss": torch.tensor(0.0), "confusion": confusion(predicted, targets, classes).double().mean(0)}
    told = conclude_confusion(means, [f"c{number}" for number in range(classes)])
    jaccard = MulticlassJaccardIndex(classes, ignore_index=NOT_COUNTED)
    each = MulticlassJaccardIndex(classes, average=None, ignore_index=NOT_COUNTED)
    accuracy = MulticlassAccuracy(classes, average="micro", ignore_index=NOT_COUNTED)
    assert told["miou"] == pytest.approx(jaccard(predicted, targets).item(), abs=1e-6)
    assert told["pixel_accuracy"] == pytest.approx(accuracy(predicted, targets).item(), abs=1e-6)
    theirs = each(predicted, targets)
    for number in range(classes):
        assert told.get(f"iou/c{number}", 0.0) == pytest.approx(theirs[number].item(), abs=1e-6)


def test_a_class_that_never_occurs_has_no_iou_and_does_not_count() -> None:
    table = torch.tensor([[3.0, 1.0, 0.0], [0.0, 4.0, 0.0], [0.0, 0.0, 0.0]])
    assert class_ious(table).isnan().tolist() == [False, False, True]
    told = conclude_confusion({"loss": torch.tensor(1.0), "confusion": table}, ("a", "b", "c"))
    assert "iou/c" not in told
    assert told["miou"] == pytest.approx((0.75 + 0.8) / 2)
