"""A job folds the same parts in the same order into the same state, however they are computed."""

from __future__ import annotations

import os
import signal
import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st

from unconv.jobs import Checkpoint, Executor, JobError, Serial, Threads, iterate, run
from unconv.jobs.checkpoint import Saved
from unconv.jobs.progress import Quiet


class Followed(Quiet):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[int | None, str | None]] = []
        self.closed = False

    def __exit__(self, *_: object) -> None:
        self.closed = True

    def start(self, total: int | None, text: str = "") -> None:
        self.told.append((total, text))

    def advance(self, count: int = 1, text: str | None = None) -> None:
        self.told.append((count, text))


def append(state: list[int], part: int) -> list[int]:
    return [*state, part]


def double(item: int) -> int:
    return 2 * item


def failing_at(place: int, error: BaseException | None = None) -> Callable[[int], int]:
    def function(item: int) -> int:
        if item == place:
            raise error or RuntimeError("no\nmore")
        return 2 * item

    return function


@pytest.mark.parametrize("executor", [None, Serial(), Threads(1), Threads(3)], ids=str)
def test_parts_are_combined_in_order(executor: Executor | None) -> None:
    result = run(range(20), double, append, state=[], executor=executor)
    assert result.state == list(range(0, 40, 2))
    assert (result.rounds, result.parts, result.resumed, result.notes) == (1, 20, 0, ())
    assert run([], double, append, state=[1], executor=executor).state == [1]


def test_threads_give_the_bits_of_one_after_the_other() -> None:
    """Floating-point sums depend on their order: a fixed one makes them equal."""
    parts = [np.random.default_rng(seed).standard_normal(1000).astype("float32") * 10.0**seed for seed in range(12)]
    sums = [
        run(parts, np.cumsum, np.add, state=np.zeros(1000, "float32"), executor=executor).state
        for executor in (Serial(), Threads(2), Threads(7))
    ]
    assert sums[0].tobytes() == sums[1].tobytes() == sums[2].tobytes()


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 12), st.lists(st.integers(0, 11), max_size=4), st.sampled_from([None, 1, 3]), st.booleans())
def test_failed_runs_go_on_where_they_stood(count, failures, every, stream) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Checkpoint(folder, every_parts=every)
        done = 0
        for place in sorted(failures):
            if place < count:
                with pytest.raises(JobError, match=f"part {place} "):
                    run(range(count), failing_at(place), append, state=[], checkpoint=checkpoint, executor=Threads(2))
                done = place
        items = iter(range(count)) if stream else range(count)
        mapped: list[int] = []
        result = run(items, lambda item: mapped.append(item) or 2 * item, append, state=[], checkpoint=checkpoint)
        assert result.state == list(range(0, 2 * count, 2))
        assert mapped == list(range(done, count))
        assert (result.parts, result.resumed) == (count, done)
        again = run(range(count), failing_at(0), append, state=[], checkpoint=checkpoint)
        assert (again.state, again.resumed) == (result.state, count)


def learn(rounds: int, folder=None, executor=None, fail=None, stop=None, every=1, progress=None):
    """A toy of dictionary learning: the map reads a model, the total sums, the end of a round makes a new model."""

    def partition(_: dict, t: int) -> list[int]:
        return torch.randperm(4, generator=torch.Generator().manual_seed(t)).tolist()

    def map_part(model: dict, item: int) -> torch.Tensor:
        if fail is not None and fail == (model["round"], partition(model, model["round"]).index(item)):
            raise RuntimeError("power")
        return torch.sin(model["weights"] * (item + 1))

    def combine(total: torch.Tensor, part: torch.Tensor) -> torch.Tensor:
        return total.add_(part)

    def finish(model: dict, total: torch.Tensor) -> dict:
        noise = torch.Generator()
        noise.set_state(model["noise"].get_state())
        step = total / 4 + 0.01 * torch.randn(5, generator=noise)
        return {"weights": model["weights"] + step, "noise": noise, "round": model["round"] + 1}

    model = {"weights": torch.linspace(0, 1, 5), "noise": torch.Generator().manual_seed(1), "round": 0}
    return iterate(
        rounds, partition, map_part, combine, finish, model=model, start=lambda _: torch.zeros(5),
        stop=stop, executor=executor, progress=progress, describe=lambda model: f"sum {model['weights'].sum():.2f}",
        checkpoint=None if folder is None else Checkpoint(folder, {"seed": 1}, every_parts=every),
    )  # fmt: skip


@pytest.mark.parametrize("every", [1, 3, None])
def test_rounds_that_were_broken_off_end_as_undisturbed_ones(tmp_path, every) -> None:
    undisturbed = learn(5).state
    for fail in [(0, 2), (0, 3), (2, 0), (2, 1), (4, 3)]:
        with pytest.raises(JobError, match="RuntimeError: power"):
            learn(5, tmp_path, Threads(2), fail, every=every)
    result = learn(5, tmp_path, every=every)
    assert torch.equal(result.state["weights"], undisturbed["weights"])
    assert torch.equal(result.state["noise"].get_state(), undisturbed["noise"].get_state())
    assert (result.rounds, result.parts) == (5, 20)


def test_a_finished_run_goes_on_with_more_rounds_and_not_with_fewer(tmp_path) -> None:
    learn(2, tmp_path)
    assert torch.equal(learn(4, tmp_path).state["weights"], learn(4).state["weights"])
    with pytest.raises(JobError, match="has 4 rounds done, now 3 are asked for; ask for 4 or more"):
        learn(3, tmp_path)


def test_rounds_stop_when_told_and_stay_stopped(tmp_path) -> None:
    result = learn(9, tmp_path, stop=lambda model: model["round"] >= 3)
    assert result.rounds == 3
    assert torch.equal(result.state["weights"], learn(3).state["weights"])
    again = learn(9, tmp_path, stop=lambda model: model["round"] >= 3)
    assert (again.rounds, again.resumed) == (3, 12)
    assert learn(0).rounds == 0
    with pytest.raises(JobError, match="-1 rounds"):
        learn(-1)


def test_memory_stays_flat_over_a_stream() -> None:
    def stream():
        for _ in range(300):
            yield np.zeros(100_000)

    tracemalloc.start()
    run(stream(), np.sum, lambda total, part: total + part, state=0.0, executor=Threads(2))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 9 * 800_000


@pytest.mark.parametrize("executor", [Serial(), Threads(2)], ids=str)
@pytest.mark.parametrize(
    ("items", "error", "words"),
    [
        (["a.png", "b.png"], ValueError("image: nothing\nin it"), "job: part 1 (b.png): image: nothing in it"),
        ([(0, 1), (2, 3)], KeyError("x"), "job: part 1 ((2, 3)): KeyError: 'x'"),
        ([torch.zeros(2), torch.ones(50, 50)], MemoryError(), "job: part 1 (tensor([[1., 1.,"),
    ],
)
def test_errors_of_the_map_name_the_item_on_one_line(executor, items, error, words) -> None:
    def fail(item: object) -> object:
        if item is items[1]:
            raise error
        return item

    with pytest.raises(JobError) as refusal:
        run(items, fail, lambda total, _part: total, state=0, executor=executor)
    assert str(refusal.value).startswith(words)
    assert "\n" not in str(refusal.value)
    assert len(str(refusal.value)) < 200
    assert refusal.value.__cause__ is error


def test_an_interrupted_wait_keeps_what_is_done_and_an_interrupted_sum_does_not(tmp_path) -> None:
    checkpoint = Checkpoint(tmp_path, every_seconds=1e9)
    with pytest.raises(KeyboardInterrupt):
        run(range(9), failing_at(5, KeyboardInterrupt()), append, state=[], checkpoint=checkpoint)
    assert checkpoint.load().total == [0, 2, 4, 6, 8]

    def torn(total: list[int], part: int) -> list[int]:
        total.append(part)
        if part == 14:
            raise KeyboardInterrupt
        return total

    with pytest.raises(KeyboardInterrupt):
        run(range(9), double, torn, state=[], checkpoint=checkpoint)
    assert checkpoint.load().total == [0, 2, 4, 6, 8]
    assert run(range(9), double, append, state=[], checkpoint=checkpoint).state == list(range(0, 18, 2))


def test_a_state_that_cannot_be_kept_shows_after_the_first_part(tmp_path) -> None:
    mapped: list[int] = []
    with pytest.raises(JobError, match="total is a set"):
        run(range(9), mapped.append, lambda total, _part: {*total}, state=set(), checkpoint=Checkpoint(tmp_path))
    assert len(mapped) == 1


@pytest.mark.parametrize("items", [[0, 1], iter([0, 1])], ids=["sequence", "stream"])
def test_a_partition_that_shrank_is_refused(tmp_path, items) -> None:
    checkpoint = Checkpoint(tmp_path)
    with pytest.raises(JobError):
        run(range(9), failing_at(5), append, state=[], checkpoint=checkpoint)
    with pytest.raises(JobError, match="has 5 parts of the round done, now there are 2"):
        run(items, double, append, state=[], checkpoint=checkpoint)


def test_progress_counts_parts_resumed_ones_too(tmp_path) -> None:
    checkpoint, first, second = Checkpoint(tmp_path), Followed(), Followed()
    with pytest.raises(JobError):
        run(range(5), failing_at(3), append, state=[], checkpoint=checkpoint, progress=first)
    run(range(5), double, append, state=[], checkpoint=checkpoint, progress=second)
    assert [count for count, _ in first.told] == [5, 0, 1, 1, 1]
    assert [count for count, _ in second.told] == [5, 3, 1, 1]
    assert first.closed
    assert second.closed


def test_progress_counts_rounds_with_the_parts_in_words() -> None:
    progress = Followed()
    learn(2, progress=progress)
    assert sum(count for count, _ in progress.told[1:]) == 2
    texts = [text for _, text in progress.told if text]
    assert texts[:2] == ["rounds", "round 1, part 0 of 4"]
    assert texts[-1].startswith("round 2, part 4 of 4; sum ")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("where", ["combined", "saved"])
def test_signals_that_come_while_a_state_changes_wait_until_it_is_whole(tmp_path, number, where) -> None:
    def end(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    def combine(total: list[int], part: int) -> list[int]:
        total.append(part)
        if where == "combined" and part == 3:
            os.kill(os.getpid(), number)
        return total

    class Saving(Checkpoint):
        def save(self, saved: Saved) -> None:
            if where == "saved" and saved.parts == 4:
                os.kill(os.getpid(), number)
            super().save(saved)

    checkpoint = Saving(tmp_path, every_parts=1 if where == "saved" else None)
    before = {one: signal.signal(one, end) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        with pytest.raises(KeyboardInterrupt):
            run(range(9), lambda n: n, combine, state=[], checkpoint=checkpoint)
        assert [signal.getsignal(one) for one in before] == [end, end]
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
    found = run(range(9), lambda n: n, append, state=[], checkpoint=checkpoint)
    assert (found.state, found.resumed) == (list(range(9)), 4)
