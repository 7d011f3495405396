"""A generator is trained, measured, saved and sampled; what cannot be is one line."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.data.test_fashion import make
from tests.train.data.test_unlabelled import draw
from unconv.data.fashion import CLASSES
from unconv.errors import ImageError, ModelError, UnconvError
from unconv.models.load.resolve import load_model
from unconv.models.load.trained import about_trained, save_trained
from unconv.models.zfnet28 import WEIGHTS
from unconv.operators.checkerboard import checkerboard_score, stride_pattern
from unconv.train.loop.settings import Settings
from unconv.train.tasks.adversarial import Contest
from unconv.train.tasks.generate import Generated, generate, load_generator, sample

SETTINGS = Settings(2, 8, 0.001, weight_decay=0.0)


def trained(data: Path, model: str = "dcgan-32:2", **options: object) -> Generated:
    return generate(model, data, options.pop("settings", SETTINGS), samples=40, **options)


@pytest.fixture
def fashion(tmp_path: Path) -> Path:
    make(tmp_path / "fashion", count=24)
    return tmp_path / "fashion"


def test_the_file_is_the_generator_that_was_measured(fashion: Path, tmp_path: Path) -> None:
    made = trained(fashion)
    path = made.save(tmp_path / "generator.safetensors")
    for loaded in (load_generator(path), load_model("dcgan-32:2", weights=path)):
        assert torch.equal(sample(loaded, 7), sample(made.network, 7))
        assert loaded.preprocess == made.network.preprocess
        assert loaded.classes is None
    pictures = sample(load_generator(path), 40, seed=0)
    about = about_trained(path)
    assert about["model"] == "dcgan-32:2"
    assert (about["data"], about["smoothing"], about["settings"]["rate"]) == ("Fashion-MNIST", 0.1, 0.001)
    told = about["trained"]
    assert told["samples"] == 40
    assert told["stride_pattern"]["samples"] == pytest.approx(stride_pattern(pictures, 2))
    layers = made.network.module.layers
    scores = {f"up{n}": pytest.approx(checkerboard_score(layers.get_submodule(f"up{n}").weight, 2)) for n in (1, 2, 3)}
    assert told["checkerboard"] == scores
    assert tuple(told["shares"]) == CLASSES
    assert sum(told["shares"].values()) == pytest.approx(1)
    assert told["rarest"] == min(told["shares"].values())
    assert {key: told[key] for key in ("distance", "rarest", "entropy")} == pytest.approx(made.history[-1].held_out)
    assert about["untrained"]["distance"] != told["distance"]


def test_the_seed_decides_and_a_checkpoint_changes_nothing(fashion: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    one = trained(fashion)
    torch.manual_seed(1)
    kept = {"checkpoint": tmp_path / "kept", "checkpoint_seconds": 0}
    two, again = trained(fashion, **kept), trained(fashion, **kept)
    files = [made.save(tmp_path / f"{n}.safetensors").read_bytes() for n, made in enumerate((one, two, again))]
    assert files[0] == files[1] == files[2]
    assert (two.resumed, again.resumed) == (0, 6)
    other = trained(fashion, settings=Settings(2, 8, 0.001, weight_decay=0.0, seed=1))
    assert not torch.equal(sample(other.network, 3), sample(one.network, 3))


def test_what_comes_out_is_smoother_with_the_average_and_the_last_without(fashion: Path) -> None:
    def weights(contest: Contest) -> Tensor:
        return trained(fashion, contest=contest).network.module.layers.up2.weight

    assert not torch.equal(weights(Contest(average=0.9)), weights(Contest(average=0)))


def test_a_users_photographs_are_learned_in_colour_and_what_is_broken_is_named(tmp_path: Path) -> None:
    draw(tmp_path / "photos/holiday", 9, (30, 40))
    (tmp_path / "photos/broken.png").write_bytes(b"")
    made = trained(tmp_path / "photos", "dcgan:resize:1", settings=Settings(1, 4, weight_decay=0.0))
    assert [Path(item.partition(":")[0]).name for item in made.skipped] == ["broken.png"]
    assert sample(made.network, 3).shape == (3, 3, 64, 64)
    # They are no clothes: nothing is said of classes.
    assert "shares" not in made.about["trained"]
    assert made.history[0].held_out.keys() == {"distance"}


def test_patience_keeps_the_nearest(fashion: Path) -> None:
    made = trained(fashion, settings=Settings(3, 8, 0.002, weight_decay=0.0, patience=1))
    distances = [epoch.held_out["distance"] for epoch in made.history]
    assert made.about["trained"]["distance"] == pytest.approx(min(distances))
    assert made.about["epoch"] == distances.index(min(distances)) + 1


def test_models_that_make_no_pictures_are_one_line(fashion: Path) -> None:
    for model in ("zfnet-28", "torchvision:resnet18"):
        with pytest.raises(ModelError, match=f"{model}: makes no pictures from noise; take dcgan or dcgan-32"):
            trained(fashion, model)
    with pytest.raises(ModelError, match="zfnet-28: makes no pictures"):
        sample(load_model("zfnet-28"))
    with pytest.raises(ModelError, match=r"zfnet28\.safetensors: it is zfnet28, which makes no pictures from noise"):
        load_generator(WEIGHTS)


def test_files_that_are_no_generators_are_one_line(tmp_path: Path) -> None:
    path = save_trained({"weight": torch.ones(2)}, tmp_path / "a.safetensors", {"model": "dcgan-32"})
    with pytest.raises(ModelError, match="do not fit dcgan-32"):
        load_generator(path)
    (tmp_path / "text.safetensors").write_text("nothing")
    with pytest.raises(ModelError, match="unconv train generate has not written it; give it a file of"):
        load_generator(tmp_path / "text.safetensors")
    with pytest.raises(ModelError, match="there is no such file"):
        load_generator(tmp_path / "nowhere.safetensors")


def test_data_and_numbers_that_will_not_do_are_one_line(fashion: Path, tmp_path: Path) -> None:
    draw(tmp_path / "one", 1)
    with pytest.raises(ImageError, match="1 pictures; give 4 at least") as caught:
        trained(tmp_path / "one")
    assert "\n" not in str(caught.value)
    with pytest.raises(UnconvError, match="1 samples have no covariance"):
        generate("dcgan-32:2", fashion, SETTINGS, samples=1)
    told = (
        r"loss \S+ of the \w+ in epoch 1, step \d; lower the learning rates \(generator 1e\+30, discriminator 0\.0002\)"
    )
    with pytest.raises(UnconvError, match=told):
        trained(fashion, settings=Settings(2, 8, 1e30, weight_decay=0.0))


def test_another_training_in_the_checkpoint_is_refused(fashion: Path, tmp_path: Path) -> None:
    kept = {"checkpoint": tmp_path / "kept", "checkpoint_seconds": 0}
    trained(fashion, settings=Settings(1, 24, weight_decay=0.0), **kept)
    with pytest.raises(UnconvError, match="smoothing") as caught:
        trained(fashion, settings=Settings(1, 24, weight_decay=0.0), contest=Contest(smoothing=0.2), **kept)
    assert "\n" not in str(caught.value)
