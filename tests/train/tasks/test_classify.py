"""A network of any source learns the classes of the data, and its file says what it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import log_loss
from torch import nn

from tests.data.test_fashion import make
from unconv.errors import ModelError, UnconvError
from unconv.jobs import JobError
from unconv.models.load.resolve import load_model, untrained_model
from unconv.models.load.trained import about_trained
from unconv.train.loop.loop import Settings
from unconv.train.tasks.classify import classify, scores

NET = """
from torch import nn

def build():
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                         nn.Linear(8, 2)), {"size": 16, "mean": [0.5] * 3, "std": [0.5] * 3}

def three():
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3)), {"size": 16}

class Pair(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Conv2d(3, 2, 3)
    def forward(self, x):
        return self.inner(x), x
"""


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Red and blue pictures with noise."""
    rng = np.random.default_rng(0)
    (tmp_path / "net.py").write_text(NET)
    for number in range(60):
        pixels = rng.integers(0, 160, (20, 24, 3), dtype=np.uint8)
        pixels[..., 2 * (number % 2)] += 90
        path = tmp_path / "photos" / ["red", "blue"][number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    return tmp_path


def test_a_users_network_learns_a_users_pictures(photos: Path) -> None:
    (photos / "photos/red/broken.png").write_bytes(b"")
    trained = classify(f"{photos}/net.py:build", photos / "photos", Settings(8, 8, 0.05), shift=0.1)
    assert trained.accuracy == 1
    assert trained.network.classes == ("blue", "red")
    assert [Path(item.partition(":")[0]).name for item in trained.skipped] == ["broken.png"]
    path = trained.save(photos / "weights.safetensors")
    loaded = load_model(f"{photos}/net.py:build", weights=path)
    assert loaded.classes == ("blue", "red")
    image = torch.rand(3, 20, 24)
    with torch.no_grad():
        assert torch.equal(loaded.module(loaded.preprocess(image)), trained.network.module(loaded.preprocess(image)))


def test_the_built_in_network_gets_the_classes_of_the_data(photos: Path) -> None:
    trained = classify("zfnet-28", photos / "photos", Settings(1, 30))
    path = trained.save(photos / "weights.safetensors")
    loaded = load_model("zfnet-28", weights=path)
    assert loaded.classes == ("blue", "red")
    assert loaded.module.classifier.linear7.out_features == 2
    about = about_trained(path)
    assert about["model"] == "zfnet-28"
    assert about["settings"]["epochs"] == 1
    assert about["history"][0]["held_out"].keys() == {"loss", "accuracy"}


def test_the_picture_transform_comes_with_the_weights(photos: Path) -> None:
    trained = classify(f"{photos}/net.py:build", photos / "photos", Settings(1, 30), size=12, mean=0.4)
    path = trained.save(photos / "weights.safetensors")
    assert load_model(f"{photos}/net.py:build", weights=path).preprocess == trained.network.preprocess
    assert load_model(f"{photos}/net.py:build", weights=path, size=20).preprocess.mean == (0.4,) * 3
    assert trained.network.preprocess.size == (12, 12)


def test_ten_classes_of_another_data_set_are_not_called_clothes(tmp_path: Path) -> None:
    for number in range(20):
        path = tmp_path / f"digits/{number % 10}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((28, 28), number, np.uint8)).save(path)
    path = classify("zfnet-28", tmp_path / "digits", Settings(1)).save(tmp_path / "digits.safetensors")
    assert load_model("zfnet-28", weights=path).classes == tuple("0123456789")


def test_the_seed_decides_and_a_checkpoint_changes_nothing(tmp_path: Path) -> None:
    make(tmp_path, count=40)
    torch.manual_seed(0)
    one = classify(data=tmp_path, settings=Settings(2, 16, seed=1))
    torch.manual_seed(1)
    two = classify(data=tmp_path, settings=Settings(2, 16, seed=1), checkpoint=tmp_path / "kept", checkpoint_seconds=0)
    again = classify(data=tmp_path, settings=Settings(2, 16, seed=1), checkpoint=tmp_path / "kept")
    files = [trained.save(tmp_path / f"{n}.safetensors").read_bytes() for n, trained in enumerate((one, two, again))]
    assert files[0] == files[1] == files[2]
    assert (two.resumed, again.resumed) == (0, 6)


def test_first_weights_follow_the_seed() -> None:
    first, second, other = (
        untrained_model("zfnet-28", 4, seed=seed).module.features.conv1.weight for seed in (1, 1, 2)
    )
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    assert untrained_model("torchvision:resnet18", 7, size=64).module.fc.out_features == 7


@pytest.mark.parametrize(
    ("network", "told"),
    [
        ("three", r"returns shape \(8, 3\) for 8 pictures of 2 classes; scores \(8, 2\) are needed"),
        ("Pair", r"returns a tuple; scores \(batch, 2\) are needed"),
        ("nothing", "nothing"),
    ],
)
def test_networks_that_do_not_fit_are_one_line(photos: Path, network: str, told: str) -> None:
    with pytest.raises(UnconvError, match=told) as caught:
        classify(f"{photos}/net.py:{network}", photos / "photos", Settings(1, 8), size=16)
    assert "\n" not in str(caught.value)


def test_a_checkpoint_of_another_network_is_refused(photos: Path) -> None:
    classify(f"{photos}/net.py:build", photos / "photos", Settings(1, 8), checkpoint=photos / "kept")
    with pytest.raises(JobError, match=r"checkpoint .*kept/: made with .*zfnet-28.*; use another folder") as caught:
        classify("zfnet-28", photos / "photos", Settings(1, 8), checkpoint=photos / "kept")
    assert "\n" not in str(caught.value)


def test_a_class_that_cannot_be_read_is_told_before_anything_is_trained(photos: Path) -> None:
    for path in (photos / "photos/red").iterdir():
        path.write_bytes(b"")
    with pytest.raises(UnconvError, match="class red has no picture that can be read, of 27"):
        classify(f"{photos}/net.py:build", photos / "photos", Settings(1, 8))


def test_a_picture_too_small_for_the_network_is_one_line(photos: Path) -> None:
    with pytest.raises(ModelError, match="zfnet-28: input 12x12"):
        classify("zfnet-28", photos / "photos", Settings(1, 8), size=12)


def test_loss_is_scikit_learns_log_loss() -> None:
    outputs, targets = torch.randn(50, 4, dtype=torch.float64), torch.arange(50) % 4
    measured = scores(outputs, targets, classes=4)
    expected = log_loss(targets.numpy(), nn.functional.softmax(outputs, 1).numpy())
    assert measured["loss"].mean().item() == pytest.approx(expected, rel=1e-12)


def test_lenet_learns_scikit_learns_digits_in_seconds() -> None:
    trained = classify("lenet5", "digits", Settings(6, 32, 0.002), shift=0.04)
    assert trained.accuracy > 0.8
    assert int(trained.confusion.sum()) == 450
