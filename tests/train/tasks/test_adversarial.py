"""A step of two networks against each other is the paper's, follows from its seed, and can be gone back to."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.train.contests import adversaries, flat, halves, likeness, networks
from unconv.errors import UnconvError
from unconv.train.data.examples import Batch, TensorExamples
from unconv.train.loop.learner import Learner
from unconv.train.loop.loop import run_learner
from unconv.train.loop.settings import Settings
from unconv.train.show.judge import noise
from unconv.train.tasks.adversarial import Adversaries, Contest


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_steps_are_those_of_the_paper_written_out(smoothing: float) -> None:
    """Binary cross-entropy of probabilities, torch's Adam, gradients by hand; in double precision."""
    generator, discriminator = (network.double() for network in networks())
    settings = Settings(rate=0.003, weight_decay=0.01)
    learner = Adversaries(generator, discriminator, settings, Contest(0.001, smoothing, average=0), likeness)
    slow = torch.optim.Adam(generator.parameters(), 0.003, (0.5, 0.999), weight_decay=0.01)
    other = torch.optim.Adam(discriminator.parameters(), 0.001, (0.5, 0.999), weight_decay=0.01)
    entropy = nn.BCELoss()
    for number in range(3):
        real = halves(6, number).inputs.double()
        told = _double_step(learner, real, number)
        latents = noise(6, 100 + number).double()
        fake = generator(latents)
        discriminator.zero_grad()
        loss = entropy(discriminator(real).sigmoid(), torch.full((6,), 1 - smoothing, dtype=torch.float64))
        loss = loss + entropy(discriminator(fake.detach()).sigmoid(), torch.zeros(6, dtype=torch.float64))
        loss.backward()
        other.step()
        generator.zero_grad()
        answer = entropy(discriminator(fake).sigmoid(), torch.ones(6, dtype=torch.float64))
        answer.backward()
        slow.step()
        assert told["discriminator"].item() == pytest.approx(6 * loss.item(), rel=1e-9)
        assert told["generator"].item() == pytest.approx(6 * answer.item(), rel=1e-9)
    for network, name in ((generator, "generator"), (discriminator, "discriminator")):
        theirs, ours = network.state_dict(), learner.networks[name].state_dict()
        assert torch.allclose(flat(ours), flat(theirs), rtol=1e-7, atol=1e-9)


def _double_step(learner: Adversaries, real: torch.Tensor, number: int) -> dict[str, torch.Tensor]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("unconv.train.tasks.adversarial.noise", lambda count, seed: noise(count, seed).double())
        return learner.step(Batch(real, torch.zeros(6)), number, 100 + number, "here")


def test_what_comes_out_is_the_moving_average() -> None:
    learner, plain = adversaries(Contest(0.002, average=0.8)), adversaries(Contest(0.002, average=0))
    expected = flat(dict(plain.kept().weights))
    for number in range(8):
        for one in (learner, plain):
            one.step(halves(5, number).fetch(range(5)), number, number, "here")
        keep = min(0.8, (1 + number) / (10 + number))
        expected = keep * expected + (1 - keep) * flat(dict(plain.kept().weights))
    # All but the counter of the norms, which is copied.
    floating = torch.cat([torch.full((v.numel(),), v.is_floating_point()) for v in learner.now().weights.values()])
    assert torch.allclose(flat(dict(learner.now().weights))[floating], expected[floating], rtol=1e-4, atol=1e-6)
    assert all(
        torch.equal(value, plain.networks["generator"].state_dict()[name])
        for name, value in plain.now().weights.items()
    )


def test_a_step_follows_from_moment_batch_and_seed_alone() -> None:
    learner, torch_state = adversaries(), torch.get_rng_state()
    batch = halves(7).fetch(range(7))
    for number in range(3):
        learner.step(batch, number, number, "here")
    kept = learner.kept()
    before = flat(kept.weights)
    outcomes = []
    for seed in (11, 11, 12):
        torch.rand(seed)  # the global generator has no say
        learner.load(kept)
        learner.step(batch, 3, seed, "here")
        learner.step(batch, 4, seed + 1, "here")
        outcomes.append(torch.cat([flat(part) for part in learner.kept().optimiser["networks"].values()]))
    assert torch.equal(outcomes[0], outcomes[1])
    assert not torch.equal(outcomes[0], outcomes[2])
    assert torch.equal(flat(kept.weights), before)
    torch.set_rng_state(torch_state)


def test_training_draws_nothing_from_the_callers_generator() -> None:
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    run_learner(adversaries(epochs=1), halves(20), halves(8, 1), Settings(1, 10))
    assert torch.equal(torch.rand(2), expected)


def test_the_generator_learns_where_the_light_is() -> None:
    learner: Learner = adversaries()
    settings = Settings(epochs=10, batch_size=16)
    fitted = run_learner(learner, halves(160), halves(60, 1), settings, score=lambda numbers: -numbers["distance"])
    first, _ = likeness(networks()[0].eval(), halves(60, 1))
    assert fitted.history[-1].held_out["distance"] < 0.6 * first["distance"]
    assert fitted.history[0].train.keys() == {"discriminator", "generator"}
    generator = networks()[0]
    generator.load_state_dict(fitted.weights)
    assert likeness(generator.eval(), halves(60, 1))[0] == pytest.approx(fitted.history[-1].held_out, rel=1e-5)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_takes_nearly_the_same_steps(precision: str) -> None:
    exact, rough = adversaries(), adversaries(precision=precision)
    for number in range(3):
        batch = halves(32, number).fetch(range(32))
        told = [one.step(batch, number, number, "here") for one in (exact, rough)]
        for name in ("generator", "discriminator"):
            assert told[1][name].item() == pytest.approx(told[0][name].item(), rel=0.1)
            assert told[1][name].dtype == torch.float64
    assert all(value.dtype != torch.bfloat16 for value in rough.now().weights.values())


def test_one_picture_is_still_a_step() -> None:
    learner = adversaries()
    told = learner.step(halves(1).fetch([0]), 0, 0, "here")
    assert all(value.isfinite() for value in told.values())


@pytest.mark.parametrize("name", ["generator", "discriminator"])
def test_divergence_is_one_line(name: str) -> None:
    learner = adversaries()
    with torch.no_grad():
        next(learner.networks[name].parameters()).fill_(float("nan"))
    told = "loss nan of the discriminator in epoch 2, step 1; lower the learning rates"
    with pytest.raises(UnconvError, match=told) as caught:
        learner.step(halves(4).fetch(range(4)), 0, 0, "epoch 2, step 1")
    assert "\n" not in str(caught.value)


def test_an_exploding_training_stops_with_one_line() -> None:
    data = TensorExamples(torch.full((8, 1, 8, 8), float("inf")), torch.zeros(8))
    with pytest.raises(UnconvError, match=r"loss nan of the discriminator in epoch 1, step 1; lower"):
        run_learner(adversaries(), data, halves(8), Settings(1, 8))


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"discriminator_rate": 0.0}, "discriminator_rate 0.0 makes no steps"),
        ({"discriminator_rate": float("inf")}, "discriminator_rate inf makes no steps"),
        ({"smoothing": 0.5}, "smoothing 0.5; give 0 or more, less than 0.5"),
        ({"smoothing": -0.1}, "smoothing -0.1; give"),
        ({"average": 1.0}, "average 1.0; give 0 or more, less than 1"),
    ],
)
def test_impossible_numbers_are_one_line(told: dict[str, float], said: str) -> None:
    with pytest.raises(UnconvError, match=said):
        Contest(**told)
