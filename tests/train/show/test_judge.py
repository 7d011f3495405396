"""The judge sees what the classifier sees: real pictures near each other, samples of nothing far away."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import unconv
from unconv.data.fashion import fashion
from unconv.errors import UnconvError
from unconv.models.dcgan import Generator, dcgan_form
from unconv.train.data.examples import Batch, TensorExamples
from unconv.train.show.frechet import frechet_distance, gaussian
from unconv.train.show.judge import Judge, noise, paint_samples


class Copies(nn.Module):
    """A generator that returns the same picture."""

    def __init__(self, picture: Tensor) -> None:
        super().__init__()
        self.picture = nn.Parameter(picture * 2 - 1)

    def forward(self, latents: Tensor) -> Tensor:
        return self.picture.expand(len(latents), -1, -1, -1)


def examples(pictures: Tensor) -> TensorExamples:
    return TensorExamples(pictures * 2 - 1, torch.zeros(len(pictures)))


def test_noise_is_uniform_follows_from_its_seed_and_leaves_the_generator_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    drawn = noise(4000, seed=1)
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(drawn[:7], noise(7, seed=1))
    assert not torch.equal(drawn, noise(4000, seed=2))
    assert drawn.min() >= -1
    assert drawn.max() < 1
    assert drawn.var().item() == pytest.approx(1 / 3, rel=0.01)


def test_painted_is_the_generator_brought_to_pictures() -> None:
    generator = Generator(dcgan_form("dcgan-32", "2")).eval()
    latents = noise(301, seed=0)
    with torch.no_grad():
        assert torch.allclose(paint_samples(generator, latents), (generator(latents) + 1) / 2, atol=1e-6)


def test_frames_are_cut_off_and_other_pictures_resized_to_what_the_classifier_takes() -> None:
    loaded = unconv.load_model("zfnet-28")
    pictures = torch.rand(5, 1, 28, 28)
    with torch.no_grad():
        scores = loaded.module(loaded.preprocess.normalise(pictures))
    framed = Judge(margin=2).look(F.pad(pictures, (2,) * 4, value=0.7))
    plain = Judge().look(pictures)
    colour = Judge().look(pictures.expand(-1, 3, -1, -1))
    doubled = Judge().look(F.interpolate(pictures, scale_factor=2, mode="nearest"))
    for seen in (framed, plain, colour):
        assert torch.allclose(seen.features, plain.features, atol=1e-5)
        assert torch.equal(seen.classes, scores.argmax(1))
    assert doubled.features.shape == (5, 128)
    assert (plain.features >= 0).all()  # behind a rectifier
    last = loaded.module.classifier.linear7
    assert torch.allclose(last(plain.features), scores, atol=1e-5)


def test_one_picture_over_and_over_is_one_class_without_entropy() -> None:
    judge = Judge(margin=2, samples=20)
    generator, held_out = Copies(torch.rand(1, 32, 32)), examples(torch.rand(30, 1, 32, 32))
    told, skipped = judge(generator, held_out)
    assert (told["rarest"], told["entropy"], skipped) == (0.0, 0.0, ())
    other, _ = Judge(margin=2, clothes=False, samples=20)(generator, held_out)
    assert other == {"distance": told["distance"]}


def test_entropy_is_scipys() -> None:
    from scipy.stats import entropy

    judge, pictures = Judge(samples=50), torch.rand(300, 1, 28, 28) ** torch.linspace(0.2, 9, 300)[:, None, None, None]
    seen = judge.look(pictures)
    told = judge.numbers(seen, gaussian(torch.rand(300, 128)))
    assert len(set(seen.classes.tolist())) > 1
    assert told["entropy"] == pytest.approx(entropy(seen.shares.numpy()))
    assert seen.shares.sum().item() == pytest.approx(1)


class Broken(TensorExamples):
    """None of the pictures can be read."""

    def fetch(self, numbers: Sequence[int]) -> Batch:
        return Batch(self.inputs[:0], self.targets[:0], tuple(f"{n}.png: broken" for n in numbers))


def test_without_real_pictures_or_samples_it_is_one_line() -> None:
    with pytest.raises(UnconvError, match="0 pictures have no covariance"):
        Judge().reference(Broken(torch.rand(4, 1, 28, 28), torch.zeros(4)))
    with pytest.raises(UnconvError, match="1 samples have no covariance; ask for 2"):
        Judge(samples=1)


def test_real_pictures_are_near_each_other_and_an_untrained_generator_is_far() -> None:
    judge = Judge(margin=2, samples=200)
    pictures, labels = fashion("test")
    shown = F.pad(pictures[:1000].float() / 255, (2,) * 4)
    held_out = examples(shown)
    reference = judge.reference(held_out)
    assert judge.reference(held_out) is reference
    untrained = judge(Generator(dcgan_form("dcgan-32")).eval(), held_out)[0]["distance"]
    halves = frechet_distance(gaussian(judge.look(shown[::2]).features), gaussian(judge.look(shown[1::2]).features))
    assert reference.of_halves == pytest.approx(halves)
    assert halves < 0.02 * untrained
    # Every class is named about as often as it is there: 92% of the pictures are named rightly.
    there = labels[:1000].bincount(minlength=10).double() / 1000
    assert (judge.look(shown).shares - there).abs().max() < 0.04
