"""The loop is a fold: the same state from the same beginning, whoever fetches and however often it stops."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.train.tasks import examples, measure, network
from unconv.errors import UnconvError
from unconv.jobs import JobError, Threads
from unconv.jobs.progress import Quiet
from unconv.train.data.augment import augmentation
from unconv.train.data.examples import Batch, TensorExamples
from unconv.train.loop.loop import Fitted, Settings, fit

SETTINGS = Settings(epochs=4, batch_size=16, rate=0.05, seed=3)


def train(**options: Any) -> Fitted:
    given = {"settings": SETTINGS, "augment": augmentation(flip=True, shift=0.0), **options}
    settings = given.pop("settings")
    return fit(network(), measure, examples(90), examples(40, seed=1), settings, **given)


def same(one: Fitted, other: Fitted) -> bool:
    return one.history == other.history and all(
        torch.equal(value, other.weights[name]) for name, value in one.weights.items()
    )


def test_it_learns() -> None:
    fitted = fit(network(), measure, examples(600), examples(200, seed=1), Settings(20, 32, 0.03))
    assert fitted.history[-1].held_out["accuracy"] > 0.85
    assert fitted.history[-1].train["loss"] < fitted.history[0].train["loss"] / 2
    assert [epoch.number for epoch in fitted.history] == list(range(1, 21))


def test_the_seed_decides_alone() -> None:
    torch.manual_seed(1)
    one = train()
    torch.manual_seed(2)
    assert same(one, train())
    assert same(one, train(executor=Threads(2)))
    assert not same(one, train(settings=Settings(4, 16, 0.05, seed=4)))


def test_the_network_given_is_left_as_it_is() -> None:
    model = network().eval()
    fit(model, measure, examples(32), examples(32), Settings(1, 8))
    assert not model.training
    assert all(torch.equal(value, network().state_dict()[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


@dataclass(frozen=True, eq=False)
class Watched:
    """Examples that write down what is fetched, and fail once at a fetch."""

    data: TensorExamples
    fetched: list[tuple[int, ...]]
    fail_at: int = -1
    skipped: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.data)

    def fetch(self, numbers: Sequence[int]) -> Batch:
        self.fetched.append(tuple(numbers))
        if len(self.fetched) == self.fail_at:
            raise KeyboardInterrupt
        kept = [number for number in numbers if number not in self.skipped]
        told = tuple(f"{number}.png: gone" for number in numbers if number in self.skipped)
        batch = self.data.fetch(kept)
        return Batch(batch.inputs, batch.targets, told)

    def fingerprint(self) -> Any:
        return self.data.fingerprint()


def test_every_epoch_sees_every_example_once_in_another_order_and_even_batches() -> None:
    watched = Watched(examples(33), [])
    fit(network(), measure, watched, examples(8), Settings(3, 8))
    assert [len(batch) for batch in watched.fetched] == [7, 7, 7, 6, 6] * 3
    orders = [sum(watched.fetched[5 * epoch : 5 * epoch + 5], ()) for epoch in range(3)]
    assert all(sorted(order) == list(range(33)) for order in orders)
    assert len(set(orders)) == 3


@pytest.mark.parametrize("stop", [1, 2, 6, 7, 13, 23])
def test_stopped_and_resumed_is_the_same(tmp_path: Path, stop: int) -> None:
    alone = train()
    watched = Watched(examples(90), [], fail_at=stop)
    with pytest.raises(KeyboardInterrupt):
        fit(
            network(),
            measure,
            watched,
            examples(40, seed=1),
            SETTINGS,
            augment=augmentation(shift=0),
            checkpoint=tmp_path,
        )
    watched = Watched(examples(90), [])
    again = fit(
        network(), measure, watched, examples(40, seed=1), SETTINGS, augment=augmentation(shift=0), checkpoint=tmp_path
    )
    assert again.resumed == stop - 1
    assert len(watched.fetched) == 24 - (stop - 1)
    assert same(alone, again)
    assert same(alone, train(checkpoint=tmp_path))


def test_a_checkpoint_of_another_training_is_refused(tmp_path: Path) -> None:
    train(checkpoint=tmp_path)
    with pytest.raises(JobError, match=r"made with epochs 4, now 5"):
        train(checkpoint=tmp_path, settings=Settings(5, 16, 0.05, seed=3))
    with pytest.raises(JobError, match=r"without words, now 'other'"):
        train(checkpoint=tmp_path, about={"words": "other"})


def test_examples_that_cannot_be_read_are_left_out_and_named() -> None:
    watched = Watched(examples(12), [], skipped=(3, 7))
    fitted = fit(network(), measure, watched, Watched(examples(6), [], skipped=(0,)), Settings(2, 4))
    assert sorted(fitted.skipped) == ["0.png: gone", "3.png: gone", "7.png: gone"]
    nothing = Watched(examples(12), [], skipped=tuple(range(12)))
    with pytest.raises(UnconvError, match="no example could be used: "):
        fit(network(), measure, nothing, examples(6), Settings(2, 4))


def failing(outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
    raise UnconvError(f"measure: {len(outputs)} for {len(targets)}")


def test_what_fails_is_one_line() -> None:
    with pytest.raises(UnconvError, match=r"^measure: 4 for 4$"):
        fit(network(), failing, examples(12), examples(6), Settings(2, 4))
    with pytest.raises(UnconvError, match="0 examples and 6 held out"):
        fit(network(), measure, examples(0), examples(6))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"epochs": 0}, "epochs 0"),
        ({"batch_size": -1}, "batch_size -1"),
        ({"rate": float("nan")}, "rate nan"),
        ({"rate": 0.0}, "rate 0.0"),
        ({"weight_decay": -1.0}, "weight_decay -1.0"),
    ],
)
def test_impossible_settings_are_one_line(options: dict[str, Any], told: str) -> None:
    with pytest.raises(UnconvError, match=told):
        Settings(**options)


def test_progress_speaks_of_epochs_and_steps() -> None:
    texts: list[str] = []

    class Follow(Quiet):
        def advance(self, count: int = 1, text: str | None = None) -> None:  # noqa: ARG002
            texts.extend([text] if text else [])

    train(progress=Follow())
    assert texts[0] == "epoch 1, step 0 of 6"
    assert not any("round" in text or "part" in text for text in texts)
