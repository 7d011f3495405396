"""Items made one ahead."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from unconv.data.read.prefetch import Ahead, ahead


def test_each_is_made_once_and_one_ahead_of_its_use() -> None:
    made: list[int] = []
    turn = threading.Event()

    def make(n: int) -> int:
        made.append(n)
        if n == 2:
            turn.set()
        return n * n

    squares = Ahead(make, range(5))
    assert squares[0] == 0
    assert squares[1] == 1
    assert turn.wait(10)
    assert made == [0, 1, 2]
    assert list(squares)[2:] == [4, 9, 16]


def test_any_order_slices_and_ends() -> None:
    squares = Ahead(lambda n: n * n, range(5))
    assert [squares[n] for n in (3, 0, -1)] == [9, 0, 16]
    assert squares[1:3] == [1, 4]
    for index in (5, -6):
        with pytest.raises(IndexError):
            squares[index]


def test_errors_come_at_the_item_they_belong_to() -> None:
    def make(n: int) -> int:
        if n == 2:
            raise ValueError("two")
        return n

    for numbers in (iter(Ahead(make, range(4))), ahead(make, range(4))):
        assert [next(numbers), next(numbers)] == [0, 1]
        with pytest.raises(ValueError, match="two"):
            next(numbers)


def test_streams_end_and_may_be_left() -> None:
    assert list(ahead(str, iter(range(3)))) == ["0", "1", "2"]
    assert list(ahead(str, iter(()))) == []
    endless = ahead(str, iter(int, 1))
    assert next(endless) == "0"
    endless.close()


def test_the_thread_has_no_team_and_others_keep_theirs() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert list(Ahead(lambda _: torch.get_num_threads(), range(2))) == [1, 1]
        assert list(ahead(lambda _: torch.get_num_threads(), range(2))) == [1, 1]
        assert torch.get_num_threads() == 2
        with ThreadPoolExecutor(1) as other:
            assert other.submit(torch.get_num_threads).result() == 2
    finally:
        torch.set_num_threads(before)
