"""Prefetching: the next item is made in a thread, so that files are read while the one before is computed with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar, overload

Item = TypeVar("Item")
Made = TypeVar("Made")


class Ahead(Sequence[Made], Generic[Item, Made]):
    """make(item) of some items, as a sequence: while one is used the next is made.

    Taken in order, each is made once and at most two are held; any other is made when asked for.

    >>> squares = Ahead(lambda n: n * n, range(4))
    >>> list(squares), len(squares), squares[2]
    ([0, 1, 4, 9], 4, 4)
    """

    def __init__(self, make: Callable[[Item], Made], items: Sequence[Item]) -> None:
        self._make, self._items = make, items
        self._worker = _worker()
        self._next: tuple[int, Future[Made]] | None = None

    def __len__(self) -> int:
        return len(self._items)

    @overload
    def __getitem__(self, index: int) -> Made: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Made]: ...

    def __getitem__(self, index: int | slice) -> Made | Sequence[Made]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        place = index + len(self) if index < 0 else index
        if not 0 <= place < len(self):
            raise IndexError(f"item {index} of {len(self)}")
        waiting, self._next = self._next, None
        if waiting is None or waiting[0] != place:
            waiting = (place, self._worker.submit(self._make, self._items[place]))
        if place + 1 < len(self):
            self._next = (place + 1, self._worker.submit(self._make, self._items[place + 1]))
        return waiting[1].result()


def ahead(make: Callable[[Item], Made], items: Iterable[Item]) -> Iterator[Made]:
    """The same for a stream.

    >>> list(ahead(str, iter([1, 2, 3])))
    ['1', '2', '3']
    """
    stream = iter(items)
    with _worker() as worker:

        def step() -> tuple[bool, Made | None]:
            for item in stream:
                return True, make(item)
            return False, None

        waiting = worker.submit(step)
        while True:
            there, made = waiting.result()
            if not there:
                return
            waiting = worker.submit(step)
            yield made  # type: ignore[misc]


def _worker() -> ThreadPoolExecutor:
    """One thread that works alone.

    torch would give it a team of as many threads as there are cores. While there are more threads than cores those of
    OpenMP go to sleep between any two operations, also the team that computes: ResNet-50 takes a tenth longer.
    """
    import torch

    def alone() -> None:
        torch.set_num_threads(1)
        # A thread looks once, when it is first asked, at what threads begin with.
        torch.get_num_threads()

    threads = torch.get_num_threads()
    worker = ThreadPoolExecutor(1, "ahead", initializer=alone)
    worker.submit(int).result()
    # What a thread sets is also what those begin with that are yet to come.
    torch.set_num_threads(threads)
    return worker
