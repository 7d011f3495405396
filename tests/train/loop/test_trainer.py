"""The trainer makes torch's steps, says what fails in one line, and measures without changing anything."""

from __future__ import annotations

import math
import warnings

import pytest
import torch
from torch import nn

from tests.train.tasks import examples, measure, network
from unconv.errors import UnconvError
from unconv.train.data.examples import Batch, TensorExamples
from unconv.train.loop.settings import Settings
from unconv.train.loop.trainer import Trainer, evaluate


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_steps_are_those_of_plain_torch(precision: str) -> None:
    data, mine = examples(64), network(dropout=0.0)
    trainer = Trainer(mine, measure, Settings(rate=0.02, weight_decay=0.1, precision=precision), steps=12)
    theirs = network(dropout=0.0).to(memory_format=torch.channels_last)
    matrices = [parameter for parameter in theirs.parameters() if parameter.ndim > 1]
    vectors = [parameter for parameter in theirs.parameters() if parameter.ndim == 1]
    optimiser = torch.optim.AdamW(
        [{"params": matrices}, {"params": vectors, "weight_decay": 0.0}], 0.02, weight_decay=0.1
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 0.02, 12, pct_start=0.25, cycle_momentum=False)
    scaler = torch.amp.GradScaler("cpu", enabled=precision == "float16")
    for number in range(12):
        batch = data.fetch(range(5 * number, 5 * number + 5))
        told = trainer.step(batch, number, seed=number, place="")
        optimiser.zero_grad()
        with torch.autocast("cpu", getattr(torch, precision), enabled=precision != "float32"):
            outputs = theirs(batch.inputs)
        loss = nn.functional.cross_entropy(outputs.float(), batch.targets)
        scaler.scale(loss).backward()
        scaler.step(optimiser)
        scaler.update()
        if number < 11:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of a step that the scaler left out
                schedule.step()
        assert told["loss"] == pytest.approx(5 * loss.item(), rel=1e-4)
    for name, value in trainer.now().weights.items():
        assert torch.allclose(value, theirs.state_dict()[name], atol=1e-5), name
    assert all(torch.equal(a, b) for a, b in zip(mine.parameters(), network().parameters(), strict=True))


def test_a_moment_that_is_kept_stays_and_can_be_gone_back_to() -> None:
    data = examples(32)
    trainer = Trainer(network(), measure, Settings(rate=0.05, weight_decay=0.0), 10)
    trainer.step(data.fetch(range(8)), 0, 0, "")
    kept = trainer.kept()
    copy = {name: value.clone() for name, value in kept.weights.items()}
    ends = []
    for _ in range(2):
        trainer.load(kept)
        for number in (1, 2):
            trainer.step(data.fetch(range(8 * number, 8 * number + 8)), number, number, "")
        ends.append(trainer.kept().weights)
    assert all(torch.equal(kept.weights[name], value) for name, value in copy.items())
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in copy)
    assert not torch.equal(ends[0]["linear.weight"], copy["linear.weight"])


def test_dropout_follows_the_seed_and_leaves_the_generator_alone() -> None:
    batch = examples(16).fetch(range(16))
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    losses = [
        Trainer(network(0.5), measure, Settings(rate=0.1, weight_decay=0.0), 2).step(batch, 0, seed, "")["loss"]
        for seed in (1, 1, 2)
    ]
    assert torch.equal(torch.rand(2), expected)
    assert losses[0] == losses[1] != losses[2]


def test_parameters_that_require_no_gradient_stay() -> None:
    model = network()
    model.conv.weight.requires_grad_(False)
    trainer = Trainer(model, measure, Settings(rate=0.1, weight_decay=0.1), 2)
    trainer.step(examples(16).fetch(range(16)), 0, 0, "")
    after = trainer.now().weights
    assert torch.equal(after["conv.weight"], model.conv.weight)
    assert not torch.equal(after["linear.weight"], model.linear.weight)


def test_steps_are_made_where_gradients_are_off() -> None:
    trainer = Trainer(network(), measure, Settings(rate=0.1, weight_decay=0.1), 2)
    with torch.no_grad():
        trainer.step(examples(16).fetch(range(16)), 0, 0, "")
    assert not torch.equal(trainer.now().weights["linear.weight"], network().linear.weight)


def test_means_are_over_examples_whatever_the_batches() -> None:
    data, model = examples(503), network()
    model.norm.eval()
    got, skipped = evaluate(model, measure, data)
    with torch.no_grad():
        outputs = network().eval()(data.inputs)
    assert skipped == ()
    assert got["accuracy"] == pytest.approx((outputs.argmax(1) == data.targets).double().mean().item(), abs=1e-9)
    assert got["loss"] == pytest.approx(nn.functional.cross_entropy(outputs, data.targets).item(), rel=1e-5)
    assert model.training
    assert not model.norm.training


def nan(outputs: torch.Tensor, targets: torch.Tensor) -> dict[str, torch.Tensor]:
    return {"loss": outputs.sum(1) * math.nan + targets}


@pytest.mark.parametrize(
    ("model", "measured", "told"),
    [
        (network(), nan, "loss nan in epoch 2, step 5; lower the learning rate"),
        (
            nn.Sequential(nn.Flatten(), nn.Linear(7, 3)),
            measure,
            r"Sequential fails on inputs of shape \(16, 1, 6, 6\): mat1",
        ),
    ],
)
def test_what_fails_is_one_line(model: nn.Module, measured: object, told: str) -> None:
    trainer = Trainer(model, measured, Settings(rate=0.1, weight_decay=0.0), 2)  # type: ignore[arg-type]
    with pytest.raises(UnconvError, match=told) as caught:
        trainer.step(examples(16).fetch(range(16)), 0, 0, "epoch 2, step 5")
    assert "\n" not in str(caught.value)


def test_nothing_to_train_and_nothing_to_measure_are_refused() -> None:
    with pytest.raises(UnconvError, match="Flatten has no parameter that requires a gradient"):
        Trainer(nn.Flatten(), measure, Settings(rate=0.1, weight_decay=0.0), 2)

    class Unreadable(TensorExamples):
        def fetch(self, numbers: object) -> Batch:  # noqa: ARG002
            return Batch(torch.empty(0, 1, 6, 6), torch.empty(0).long(), ("a.png: empty file",))

    data = examples(3)
    with pytest.raises(UnconvError, match="none of 3 examples could be used: a"):
        evaluate(network(), measure, Unreadable(data.inputs, data.targets))
