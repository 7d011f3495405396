"""Threads give what one after the other gives, in order, holding few items, and stop when they are told to."""

from __future__ import annotations

import gc
import pickle
import random
import threading
import time
import weakref

import pytest
from hypothesis import given, settings, strategies as st

from unconv.jobs import Executor, JobError, Serial, Threads

EXECUTORS: list[Executor] = [Serial(), Threads(1), Threads(2), Threads(5)]


def dawdle(item: int) -> int:
    time.sleep(random.Random(item).random() / 500)
    return item * item


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 100), max_size=30), st.sampled_from(EXECUTORS))
def test_results_come_in_the_order_of_the_items(items: list[int], executor: Executor) -> None:
    assert list(executor.map(dawdle, iter(items))) == [item * item for item in items]


@pytest.mark.parametrize("executor", EXECUTORS, ids=str)
def test_no_more_items_are_taken_than_are_held(executor: Executor) -> None:
    class Item:
        pass

    alive: weakref.WeakSet[Item] = weakref.WeakSet()
    most = 0

    def stream():
        nonlocal most
        for _ in range(200):
            item = Item()
            alive.add(item)
            most = max(most, len(alive))
            yield item
            del item

    count = sum(1 for _ in executor.map(lambda item: item, stream()))
    assert count == 200
    gc.collect()
    assert not alive
    held = 2 * executor.count + executor.count if isinstance(executor, Threads) else 1
    assert most <= held + 2


@pytest.mark.parametrize("executor", EXECUTORS, ids=str)
def test_errors_come_at_their_place_and_threads_end(executor: Executor) -> None:
    before = threading.active_count()

    def fail(item: int) -> int:
        if item == 7:
            raise ZeroDivisionError("seven")
        return item

    results = executor.map(fail, range(100))
    seen = [next(results) for _ in range(7)]
    with pytest.raises(ZeroDivisionError, match="seven"):
        next(results)
    assert seen == list(range(7))
    assert threading.active_count() == before


def test_closing_stops_python_code_inside_the_threads() -> None:
    before = threading.active_count()

    def spin(item: int) -> int:
        while item:
            time.sleep(0.001)
        return item

    results = Threads(3).map(spin, range(100))
    assert next(results) == 0
    began = time.perf_counter()
    results.close()
    assert time.perf_counter() - began < 0.4
    assert threading.active_count() == before


def test_closing_leaves_behind_what_cannot_be_stopped() -> None:
    results = Threads(2).map(lambda item: time.sleep(2 * item), range(2))
    next(results)
    began = time.perf_counter()
    results.close()
    assert time.perf_counter() - began < 1.5


def test_no_items_need_no_threads() -> None:
    assert list(Threads(4).map(abs, [])) == []


def test_executors_are_values() -> None:
    assert pickle.loads(pickle.dumps(Threads(3))) == Threads(3) != Threads(2)
    assert Threads().count >= 1


@pytest.mark.parametrize("count", [0, -1, 1.5, True, "2"])
def test_a_count_that_is_none_is_refused(count: object) -> None:
    with pytest.raises(JobError, match="give 1 or more"):
        Threads(count)
