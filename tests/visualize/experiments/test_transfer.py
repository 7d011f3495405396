"""The classifier equals scikit-learn's; every image is held out once; deeper features serve where pixels do not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from unconv.errors import UnconvError
from unconv.visualize.experiments.classifier import fit_classifier
from unconv.visualize.experiments.transfer import _folds, pooled_features, transfer


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 12, 3), nn.ReLU())


def stripes(count: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Stripes across or down, at any phase: no pixel tells them apart."""
    random = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 2
    phase = torch.rand(count, generator=random)[:, None, None] * 4
    wave = torch.sin((torch.arange(24.0) + phase) * torch.pi / 2)
    images = torch.where(labels[:, None, None, None] == 0, wave[..., None], wave[..., None].transpose(2, 3))
    return images.expand(-1, 3, 24, 24) + 0.1 * torch.randn(count, 3, 24, 24, generator=random), labels


@pytest.mark.parametrize("penalty", [0.1, 1.0, 10.0])
@pytest.mark.parametrize("classes", [2, 4])
def test_classifier_equals_scikit_learn(penalty: float, classes: int) -> None:
    random = np.random.default_rng(0)
    features, labels = random.normal(3, 2, (80, 6)), random.integers(0, classes, 80)
    features[:, 0] += labels
    ours = fit_classifier(torch.from_numpy(features), torch.from_numpy(labels), classes, penalty)
    standard = StandardScaler().fit_transform(features)
    # With two classes scikit-learn fits one set of weights, the difference of the two; the penalty on it is half.
    share = 1.0 if classes > 2 else 2.0
    theirs = LogisticRegression(C=share / penalty, tol=1e-10, max_iter=10_000).fit(standard, labels)
    weight = ours.weight.numpy().T
    if classes == 2:
        weight = weight[1:] - weight[:1]
    np.testing.assert_allclose(weight, theirs.coef_, atol=1e-4)
    np.testing.assert_array_equal(ours.predict(torch.from_numpy(features)).numpy(), theirs.predict(standard))


def test_accuracy_equals_scikit_learn_on_the_same_folds() -> None:
    images, labels = stripes(40)
    model, layer = network(), "4"
    found = transfer(model, images, labels, [layer], folds=4, seed=3)
    features = pooled_features(model, images, [layer], 2, 16)[layer].double().numpy()
    held = _folds(labels, 4, 3).numpy()
    for fold in range(4):
        scaler = StandardScaler().fit(features[held != fold])
        theirs = LogisticRegression(C=2.0, tol=1e-10, max_iter=10_000)
        theirs.fit(scaler.transform(features[held != fold]), labels[held != fold])
        score = theirs.score(scaler.transform(features[held == fold]), labels[held == fold])
        assert float(found.accuracy[1, fold]) == pytest.approx(score)


def test_every_image_is_held_out_once_and_classes_are_dealt_evenly() -> None:
    labels = torch.tensor([0] * 11 + [1] * 7 + [2] * 9)
    held = _folds(labels, 3, 0)
    assert held.bincount().tolist() == [9, 9, 9]
    for label in range(3):
        counts = held[labels == label].bincount(minlength=3)
        assert int(counts.max() - counts.min()) <= 1
    theirs = [len(out) for _, out in StratifiedKFold(3).split(labels, labels)]
    assert sorted(theirs) == sorted(held.bincount().tolist())


def test_features_serve_where_averaged_pixels_do_not() -> None:
    images, labels = stripes(60)
    found = transfer(network(), images, labels, ["1", "4"], grid=1)
    pixels, first, second = found.accuracy.mean(1).tolist()
    assert pixels < 0.75
    assert min(first, second) > 0.9
    assert found.layers == ("pixels", "1", "4")
    assert found.features == (3, 8, 12)
    right = (found.predicted == labels).float().mean(1)
    torch.testing.assert_close(right, found.accuracy.mean(1))


def test_pooled_features_equal_torch_and_do_not_depend_on_batches() -> None:
    images, _ = stripes(7)
    model = nn.Sequential(*network(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 3)).eval()
    one, other = (pooled_features(model, images, ["1", "4", "7"], 3, size) for size in (2, 7))
    with torch.no_grad():
        expected = nn.functional.adaptive_avg_pool2d(model[:5](images), 3).flatten(1)
    torch.testing.assert_close(one["4"], expected)
    assert one["7"].shape == (7, 3)
    for name in one:
        torch.testing.assert_close(one[name], other[name])


def test_same_seed_same_result_and_no_trace_in_the_generator() -> None:
    images, labels = stripes(20)
    state = torch.random.get_rng_state()
    first, second = (transfer(network(), images, labels, ["1"], seed=5) for _ in range(2))
    assert torch.equal(first.predicted, second.predicted)
    torch.manual_seed(0)
    network()
    assert state.shape == torch.random.get_rng_state().shape


@pytest.mark.parametrize(
    ("labels", "options", "told"),
    [
        ([0, 1], {}, "for 20 images"),
        ([0] * 20, {}, "1 class"),
        (torch.tensor([0.0, 1.0] * 10), {}, "integer from 0"),
        ([-1, 1] * 10, {}, "integer from 0"),
        ([0] * 18 + [1] * 2, {}, "class 1 has 2 images for 5 folds"),
        ([0, 1] * 10, {"folds": 1}, "folds 1"),
        ([0, 1] * 10, {"grid": 0}, "grid 0"),
        ([0, 1] * 10, {"l2_penalty": 0.0}, "penalty 0.0"),
        ([0, 1] * 10, {"layers": ["9"]}, "no layer of that name"),
        ([0, 1] * 10, {"layers": ["pixels"]}, "always there"),
    ],
)
def test_bad_input_is_one_line(labels: Any, options: dict[str, Any], told: str) -> None:
    with pytest.raises(UnconvError, match=told) as caught:
        transfer(network(), stripes(20)[0], labels, **options)
    assert "\n" not in str(caught.value)


def test_the_name_of_the_penalty_of_before_still_works() -> None:
    images, labels = stripes(20)
    new = transfer(network(), images, labels, ["1"], l2_penalty=3.0)
    with pytest.warns(DeprecationWarning, match="penalty is called l2_penalty now"):
        old = transfer(network(), images, labels, ["1"], penalty=3.0)
    assert torch.equal(old.predicted, new.predicted)
