"""Segmentation: the loss is torch's, a network learns, and a run that was interrupted ends the same."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, strategies as st
from sklearn.utils.class_weight import compute_class_weight

from tests.train.segmenting import write_garments, write_masks, write_networks
from unconv.data.fashion import CLASSES as GARMENTS, find_fashion
from unconv.data.scenes import Drawn, Scenes
from unconv.errors import ImageError, ModelError, UnconvError
from unconv.models.load.preprocess import Preprocess
from unconv.models.load.resolve import load_model
from unconv.train.data.examples import Batch
from unconv.train.data.label_images import NOT_COUNTED
from unconv.train.data.segmented import FashionScenes, balanced, segmented
from unconv.train.loop.settings import Settings
from unconv.train.tasks.segment import Segmenter, mask_augmentation, pixel_scores, segment

SMALL = Preprocess(size=(32, 32), resize=(32, 32))
QUICK = Settings(epochs=2, batch_size=8, rate=0.02)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("unconv.train.data.segmented.TEST_COUNT", 12)
    write_networks(tmp_path)
    write_garments(tmp_path / "fashion")
    return tmp_path


def run(model: str = "net.py:tiny", settings: Settings = QUICK, **options: Any) -> Segmenter:
    return segment(model, options.pop("data", "scenes:fashion"), settings, **{"scenes": 20, "size": 32, **options})


@given(seed=st.integers(0, 2**32), weighted=st.booleans(), ignored=st.booleans())
def test_loss_of_one_picture_is_torch_s(seed: int, weighted: bool, ignored: bool) -> None:
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(3, 5, 4, 6, generator=generator)
    targets = torch.randint(0, 5, (3, 4, 6), generator=generator)
    if ignored:
        targets = targets.masked_fill(torch.rand(3, 4, 6, generator=generator) < 0.5, NOT_COUNTED)
    weights = torch.rand(5, generator=generator) + 0.1 if weighted else None
    losses = pixel_scores(scores, targets, 5, weights)["loss"]
    for loss, score, target in zip(losses, scores, targets, strict=True):
        theirs = F.cross_entropy(score[None], target[None], weights, ignore_index=NOT_COUNTED)
        assert loss.item() == pytest.approx(theirs.item(), rel=1e-5)


def test_a_picture_of_which_nothing_counts_changes_nothing() -> None:
    scores = torch.randn(2, 3, 4, 4, requires_grad=True)
    targets = torch.full((2, 4, 4), NOT_COUNTED)
    targets[1] = 1
    measured = pixel_scores(scores, targets, 3)
    measured["loss"].sum().backward()
    assert measured["loss"][0] == 0
    assert not scores.grad[0].any()
    assert not measured["confusion"][0].any()


def test_an_auxiliary_output_is_trained_along() -> None:
    out, aux = torch.randn(2, 2, 3, 4, 4)
    targets = torch.randint(0, 3, (2, 4, 4))
    both, alone, other = (
        pixel_scores(value, targets, 3)["loss"] for value in ({"out": out, "aux": aux}, {"out": out}, aux)
    )
    assert torch.allclose(both, alone + 0.5 * other)


def test_pictures_and_masks_move_together() -> None:
    masks = torch.randint(0, 9, (16, 10, 14), generator=torch.Generator().manual_seed(0))
    change = mask_augmentation(flip=True, shift=0.2)
    batch = change(Batch(masks[:, None].float(), masks), torch.Generator().manual_seed(5))
    assert torch.equal(batch.inputs[:, 0].long(), batch.targets)
    assert not torch.equal(batch.targets, masks)
    assert mask_augmentation(flip=False, shift=0.0) is None


@pytest.mark.parametrize("model", ["net.py:tiny", "net.py:told"])
def test_a_network_learns_and_its_file_brings_everything_along(place: Path, model: str) -> None:
    trained = run(model, Settings(epochs=4, batch_size=4, rate=0.03), scenes=40)
    assert trained.history[-1].held_out["loss"] < 0.7 * trained.history[0].held_out["loss"]
    assert trained.miou == trained.history[-1].held_out["miou"]
    assert trained.history[-1].train["pixel_accuracy"] > 0.5
    assert trained.classes == ("background", *GARMENTS)
    path = trained.save(place / "w.safetensors")
    loaded = load_model(model, weights=path)
    assert loaded.classes == trained.classes
    assert loaded.preprocess == trained.network.preprocess
    assert loaded.preprocess.size == loaded.preprocess.resize == (32, 32)
    inputs = torch.rand(1, 3, 32, 32)
    ours, theirs = (network.module(inputs) for network in (trained.network, loaded))
    if isinstance(ours, dict):
        ours, theirs = ours["out"], theirs["out"]
    assert torch.equal(ours, theirs)


def test_a_folder_with_fashion_mnist_is_for_scenes(place: Path) -> None:
    one, other = (segmented(data, 2, 7) for data in ("scenes:fashion", place / "fashion"))
    for ours, theirs in zip(*(data.prepared(SMALL) for data in (one, other)), strict=True):
        assert ours.fingerprint() == theirs.fingerprint()
        assert torch.equal(ours.fetch([1]).inputs, theirs.fetch([1]).inputs)


@pytest.mark.parametrize("calls", [2, 5, 8])
def test_a_run_that_was_interrupted_ends_the_same(place: Path, monkeypatch: pytest.MonkeyPatch, calls: int) -> None:
    alone = run(shift=0.1)
    draw, left = Scenes.draw, calls

    def failing(self: Scenes, numbers: Sequence[int], dressed: bool = True) -> Drawn:
        nonlocal left
        left -= 1
        if left < 0:
            raise KeyboardInterrupt
        return draw(self, numbers, dressed)

    with monkeypatch.context() as patch:
        patch.setattr(Scenes, "draw", failing)
        with pytest.raises(KeyboardInterrupt):
            run(shift=0.1, checkpoint=place / "kept", checkpoint_seconds=0)
    resumed = run(shift=0.1, checkpoint=place / "kept", checkpoint_seconds=0)
    assert resumed.resumed > 0
    assert resumed.history == alone.history
    assert resumed.save(place / "b.safetensors").read_bytes() == alone.save(place / "a.safetensors").read_bytes()


def test_a_checkpoint_of_other_scenes_is_refused(place: Path) -> None:
    run(checkpoint=place / "kept")
    with pytest.raises(UnconvError, match="count 20, now 21"):
        run(checkpoint=place / "kept", scenes=21)


def test_masks_from_a_folder_train(place: Path) -> None:
    folder = write_masks(place / "data", count=10)
    trained = segment("net.py:three", folder, Settings(epochs=8, batch_size=3, rate=0.03), size=(12, 16))
    assert trained.miou > 0.6
    assert trained.classes == ("class 0", "class 1", "class 2")
    assert trained.about["pictures"] == 9
    weighted = segment("net.py:three", folder, QUICK, size=(12, 16), class_weights="balanced")
    assert torch.allclose(torch.tensor(weighted.about["class_weights"]), balanced(segmented(folder).pixels()))


def test_scenes_are_those_of_the_seed_and_measured_on_the_same(place: Path) -> None:
    (train, held_out), (other, same) = (
        FashionScenes(find_fashion(place / "fashion"), seed, 9).prepared(SMALL) for seed in (0, 1)
    )
    assert not torch.equal(train.fetch([3]).inputs, other.fetch([3]).inputs)
    assert torch.equal(held_out.fetch([3]).inputs, same.fetch([3]).inputs)
    assert held_out.scenes.split == "test"


@pytest.mark.usefixtures("place")
def test_scores_of_a_torchvision_network_are_its_out() -> None:
    trained = run("torchvision:lraspp_mobilenet_v3_large", Settings(epochs=1, batch_size=3), scenes=3, size=32)
    assert 0 <= trained.miou <= 1
    assert trained.network.preprocess.input_size == (3, 32, 32)


@pytest.mark.usefixtures("place")
def test_grey_networks_see_grey_scenes() -> None:
    trained = run("net.py:grey", mean=0.5, std=0.25)
    assert trained.network.input_size == (1, 32, 32)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"scenes": 0}, "train: 0 scenes"),
        ({"shift": 1.0}, "shift 1.0"),
        ({"class_weights": "even"}, "class weights 'even': give 'balanced'"),
        ({"class_weights": [1.0, 2.0]}, "2 numbers for 11 classes"),
        ({"class_weights": [0.0] * 11}, "none below 0"),
        ({"class_weights": [-1.0] * 11}, "none below 0"),
        ({"class_weights": [float("nan")] * 11}, "none below 0"),
        ({"jaccard": -1.0}, "jaccard -1.0; give 0 or more"),
        ({"jaccard": float("nan")}, "jaccard nan; give 0 or more"),
        ({"size": 8}, "size 8x8; both sides"),
        ({"model": "net.py:small"}, r"\(7, 11, 16, 16\) .* needed: end it by a layer that brings scores to the size"),
        ({"model": "net.py:three"}, r"\(7, 3, 32, 32\) .* needed: give the network as many outputs"),
        ({"model": "net.py:whole"}, "unconv train classify"),
        ({"model": "net.py:other"}, "a dict with logits"),
    ],
)
@pytest.mark.usefixtures("place")
def test_what_does_not_fit_is_one_line(options: dict[str, Any], told: str) -> None:
    with pytest.raises((UnconvError, ImageError), match=told) as caught:
        run(**options)
    assert "\n" not in str(caught.value)


def test_weights_to_begin_with(place: Path) -> None:
    first = run(settings=Settings(epochs=1, batch_size=8))
    path = first.save(place / "first.safetensors")
    second = run(settings=Settings(epochs=1, batch_size=8, rate=1e-9), start=path)
    assert any("begins with" in note for note in second.notes)
    for name, value in first.network.module.state_dict().items():
        if "running" not in name and "num_batches" not in name:
            assert torch.allclose(second.network.module.state_dict()[name], value, atol=1e-6)
    write_masks(place / "data")
    with pytest.raises(ModelError, match=r"carry over: score.weight is \(11, 8, 1, 1\), the network's \(3, 8, 1, 1\)"):
        segment("net.py:three", place / "data", size=16, start=path)


def test_balanced_weights_are_scikit_learn_s() -> None:
    labels = [0] * 50 + [1] * 30 + [2] * 5
    theirs = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    assert balanced([50, 30, 5]).tolist() == pytest.approx(theirs.tolist())


def test_stages_begin_where_the_one_before_ended(place: Path) -> None:
    once = Settings(epochs=1, batch_size=4)
    before = run("fcn32s:compact", once, scenes=8).save(place / "stage.safetensors")
    for stride in (16, 8):
        trained = run(f"fcn{stride}s:compact", once, scenes=8, start=before)
        (note,) = [note for note in trained.notes if "begins with" in note]
        assert "stage.safetensors; " in note
        assert "begin anew: " in note
        assert "backbone" not in note
        before = trained.save(place / "stage.safetensors")
    loaded = load_model("fcn8s:compact", weights=before)
    assert loaded.classes == trained.classes
    inputs = torch.rand(1, 3, 40, 56)
    assert torch.equal(loaded.module(inputs), trained.network.module(inputs))
    (note,) = [note for note in run("unet-small", once, scenes=8, start=before).notes if "begins with" in note]
    assert "; 13 layers begin anew: up.0.layer, " in note
    with pytest.raises(ModelError, match=r"carry over: .* tensors are not there"):
        run("net.py:tiny", once, scenes=8, start=before)
