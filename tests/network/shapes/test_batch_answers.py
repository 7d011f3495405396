"""Samples of several shapes: the answer says which, where a DataLoader puts them together."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

import unconv as uc
from unconv.network.shapes.explain_shapes import ShapeError


@pytest.mark.parametrize(
    ("samples", "says", "fix"),
    [
        ([torch.zeros(3, 8, 8), torch.zeros(3, 8, 9)], "sample 1 of a batch is 3×8×9 and the first 3×8×8", "Resize((h"),
        ([torch.zeros(3, 8, 8), torch.zeros(1, 8, 8)], "1×8×8 and the first 3×8×8", 'convert("RGB")'),
        ([torch.zeros(5, 4), torch.zeros(7, 4)], "7×4 and the first 5×4", "pad_sequence"),
        ([torch.zeros(5), torch.zeros(5), torch.zeros(())], "sample 2 of a batch is one number", "of one shape"),
    ],
)
def test_shapes_of_samples_are_told(samples: list[Tensor], says: str, fix: str) -> None:
    assert says in explained(samples, 0)
    assert fix in explained(samples, 0)


def explained(samples: list[Tensor], workers: int) -> str:
    loader = DataLoader(samples, batch_size=len(samples), num_workers=workers)  # type: ignore[arg-type]
    with pytest.raises(ShapeError) as told, uc.explain_shapes():
        next(iter(loader))
    return str(told.value)


def test_shapes_of_samples_in_another_process() -> None:
    # torch does not tell the shapes where a later sample is smaller.
    assert "num_workers=0 tells which" in explained([torch.zeros(3, 8, 9), torch.zeros(3, 8, 8)], 1)


def test_padded_samples_are_put_together() -> None:
    samples = [torch.zeros(5, 4), torch.zeros(7, 4)]
    loader = DataLoader(
        samples,  # type: ignore[arg-type]
        batch_size=2,
        collate_fn=lambda batch: nn.utils.rnn.pad_sequence(batch, batch_first=True),
    )
    with uc.explain_shapes():
        assert next(iter(loader)).shape == (2, 7, 4)


def test_other_stacks_pass() -> None:
    with pytest.raises(RuntimeError, match="equal size") as told, uc.explain_shapes():
        torch.stack([torch.zeros(2), torch.zeros(3)])
    assert not isinstance(told.value, ShapeError)
