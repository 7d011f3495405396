"""Numbers without a row or a class: the answer says which there are, and makes the call run."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import unconv as uc
from unconv.network.shapes.explain_shapes import ShapeError


class Positions(nn.Module):
    """Words and their positions."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(10, 8), nn.Embedding(most, 8)

    def forward(self, x: Tensor) -> Tensor:
        return self.words(x) + self.places(torch.arange(x.shape[1]))  # type: ignore[no-any-return]


def rows(count: int) -> Callable[[Tensor], object]:
    return lambda x: F.embedding(x, torch.zeros(count, 4))


def of_classes(count: int, **more: int) -> Callable[[Tensor], object]:
    return lambda target: nn.CrossEntropyLoss(**more)(nn.Linear(3, count)(torch.zeros(len(target), 3)), target)


# What is called, the numbers, what the answer says, what its fix says, and what is called with which numbers then.
CASES: dict[str, tuple[Callable[[Tensor], object], list[object], str, str, Callable[[Tensor], object], int]] = {
    "words": (
        nn.Sequential(nn.Embedding(10, 4), nn.Flatten(), nn.Linear(8, 2)),
        *([[3, 12]], "0 has 10 rows, for numbers from 0 to 9, and gets numbers from 3 to 12", "nn.Embedding(13, 4)"),
        *(nn.Sequential(nn.Embedding(13, 4), nn.Flatten(), nn.Linear(8, 2)), 0),
    ),
    "words that start with 1": (
        *(nn.Sequential(nn.Embedding(3, 4)), [[1, 3]], "0 has 3 rows", "x - 1 where numbers start with 1"),
        *(nn.Sequential(nn.Embedding(3, 4)), -1),
    ),
    "words in bags": (
        *(nn.Sequential(nn.EmbeddingBag(10, 4)), [[3, 12]], "0 has 10 rows", "nn.EmbeddingBag(13, 4)"),
        *(nn.Sequential(nn.EmbeddingBag(13, 4)), 0),
    ),
    "words as a function": (*(rows(10), [[3, 12]], "F.embedding has 10 rows", "a weight of 13×4"), *(rows(13), 0)),
    "positions": (
        *(Positions(3), [[1, 2, 3, 4]], "places has 3 rows", "at most 3 positions, or nn.Embedding(4, 8)"),
        *(Positions(4), 0),
    ),
    "classes that start with 1": (
        *(of_classes(5), [1, 2, 5], "5 classes, 0 to 4, and the target has numbers from 1 to 5", "target - 1"),
        *(of_classes(5), -1),
    ),
    "more classes": (*(of_classes(5), [0, 7], "from 0 to 7", "8 classes in the last layer"), *(of_classes(8), 0)),
    "no class": (
        *(of_classes(5), [0, 4, -1], "from -1 to 4", "ignore_index=-1"),
        *(of_classes(5, ignore_index=-1), 0),
    ),
    "a border without a class": (
        *(of_classes(5), [0, 4, 255], "from 0 to 255", "ignore_index=255"),
        *(of_classes(5, ignore_index=255), 0),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_answers_make_the_call_run(name: str) -> None:
    call, numbers, says, fix, mended, shift = CASES[name]
    x = torch.tensor(numbers)
    with pytest.raises(ShapeError) as told, uc.explain_shapes():
        call(x)
    assert says in str(told.value)
    assert fix in told.value.fix
    assert told.value.input_sizes == ()
    assert isinstance(told.value.__cause__, (IndexError, RuntimeError))
    mended(x + shift)


def test_other_indices_pass() -> None:
    with pytest.raises(IndexError, match="out of") as told, uc.explain_shapes():
        nn.Linear(3, 2)(torch.zeros(4, 3))[7]
    assert not isinstance(told.value, ShapeError)


def test_no_row_for_a_negative_number() -> None:
    with pytest.raises(ShapeError, match="gets numbers from -1 to 3") as told, uc.explain_shapes():
        nn.Embedding(5, 2)(torch.tensor([[-1, 3]]))
    assert "nn.Embedding(" not in told.value.fix
