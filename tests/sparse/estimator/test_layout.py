"""Layouts of arrays: the same images, whatever their axes and numbers, give the same dictionary."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st

from unconv.errors import SparseError
from unconv.sparse.estimator.layout import arrange
from unconv.sparse.estimator.learner import DictionaryLearner

IMAGES = np.random.default_rng(0).random((3, 2, 12, 10)).astype(np.float32)


def learned(images: Any, kernel_size: Any = 3, **params: Any) -> DictionaryLearner:
    return DictionaryLearner(2, kernel_size, 0.1, max_iter=2, random_state=0, **params).fit(images)


@settings(max_examples=50, deadline=None)
@given(axes=st.integers(1, 2), place=st.integers(1, 3), negative=st.booleans())
def test_channels_may_be_anywhere(axes: int, place: int, negative: bool) -> None:
    images = IMAGES if axes == 2 else IMAGES[:, :, 0]
    place = min(place, axes + 1)
    moved = np.moveaxis(images, 1, place)
    arranged = arrange(moved, place - moved.ndim if negative else place)
    np.testing.assert_array_equal(arranged.images, images)
    np.testing.assert_array_equal(arranged.give_back(arranged.images), moved)
    assert arranged.size() == images.shape[2:]


def test_layouts_give_the_same_dictionary_and_codes() -> None:
    first = learned(IMAGES)
    last = learned(np.moveaxis(IMAGES, 1, -1), channel_axis=-1)
    assert torch.equal(first.dictionary_, last.dictionary_)
    assert torch.equal(first.transform(IMAGES, "dense"), last.transform(np.moveaxis(IMAGES, 1, -1), "dense"))
    assert last.reconstruct(np.moveaxis(IMAGES, 1, -1)).shape == (3, 12, 10, 2)
    each = learned([np.moveaxis(image, 0, -1) for image in IMAGES], channel_axis=-1)
    assert torch.equal(first.dictionary_, each.dictionary_)


def test_arrays_without_channels_are_pictures_or_signals() -> None:
    pictures = learned(IMAGES[:, :1])
    plain = IMAGES[:, 0]
    for other in (learned(plain, (3, 3)), learned(plain, channel_axis=None), learned(list(plain), (3, 3))):
        assert torch.equal(pictures.dictionary_, other.dictionary_)
    back = learned(plain, channel_axis=None).inverse_transform(pictures.transform(IMAGES[:, :1], "sparse"))
    assert back.shape == (3, 12, 10)
    signals = learned(IMAGES[:, :1, 0])
    for other in (learned(IMAGES[:, 0, 0]), learned(IMAGES[:, 0, 0].tolist()), learned(list(IMAGES[:, 0, 0]))):
        assert torch.equal(signals.dictionary_, other.dictionary_)


def test_what_three_axes_were_taken_for_is_said() -> None:
    with pytest.warns(UserWarning, match="taken for signals of 12 channels; channel_axis=None"):
        assert learned(IMAGES[:, 0]).dictionary_.shape == (2, 12, 3)
    assert learned(IMAGES[:, 0], channel_axis=1).dictionary_.shape == (2, 12, 3)


@pytest.mark.parametrize(
    ("kind", "number"),
    [(np.int64, np.float64), (np.int32, np.float64), (object, np.float64), (np.int16, np.float32), (bool, np.float32)],
)
def test_integers_are_numbers(kind: type, number: type) -> None:
    whole = (IMAGES * 3).round().astype(kind)
    assert torch.equal(learned(whole).dictionary_, learned(whole.astype(number)).dictionary_)
    if kind is not object:
        assert torch.equal(learned(list(whole)).dictionary_, learned(whole).dictionary_)


def test_masks_are_laid_out_like_the_images() -> None:
    known = np.random.default_rng(1).random(IMAGES.shape) < 0.8
    spoilt = np.where(known, IMAGES, np.nan)
    learner = DictionaryLearner(2, 3, 0.1, max_iter=2, random_state=0)
    first = learner.fit(spoilt, mask=known).dictionary_
    spoilt, known = np.moveaxis(spoilt, 1, -1), np.moveaxis(known, 1, -1)
    last = learner.set_params(channel_axis=-1).fit(spoilt, mask=known)
    torch.testing.assert_close(first, last.dictionary_)
    torch.testing.assert_close(first, learner.fit(list(spoilt), mask=list(known)).dictionary_)
    with pytest.raises(SparseError, match="2 entries in mask for 3 images"):
        learner.fit(list(spoilt), mask=list(known)[:2])


@pytest.mark.parametrize(
    ("images", "params", "message"),
    [
        (np.ones((3, 0)), {}, r"0 feature\(s\)"),
        (np.ones(5), {}, "Reshape your data"),
        (np.ones((3, 4)) * 1j, {}, "Complex data not supported"),
        (np.ones((3, 4)), {"channel_axis": 1}, "channel_axis=1"),
        (np.ones((3, 4, 5, 6)), {"channel_axis": None}, "channel_axis=None"),
        (np.ones((2, 3, 4, 5, 6)), {}, "images of shape"),
        ([np.ones((2, 3, 4)), np.ones((2, 3))], {"channel_axis": 3}, "image 1 has shape"),
    ],
)
def test_other_arrays_are_refused(images: Any, params: dict[str, Any], message: str) -> None:
    with pytest.raises(SparseError, match=message) as told:
        DictionaryLearner(2, 3, **params).fit(images)
    assert "\n" not in str(told.value)


def test_rows_of_another_length_are_refused_and_signals_are_not() -> None:
    rows = IMAGES[:, 0, 0]
    learner = learned(rows)
    assert learner.n_features_in_ == 10
    with pytest.raises(SparseError, match="X has 9 features, but DictionaryLearner is expecting 10 features as input"):
        learner.transform(rows[:, :9])
    assert learner.transform(rows[:, None, :9], "dense").shape == (3, 2, 11)
    assert not hasattr(learner.fit(list(rows)), "n_features_in_")


def test_objects_that_are_no_numbers_are_a_type_error_too() -> None:
    rows = IMAGES[:, 0, 0].astype(object)
    rows[0, 0] = {}
    with pytest.raises(TypeError) as told:
        learned(rows)
    assert isinstance(told.value, SparseError)


def test_pictures_of_numpy_go_through_pipelines_as_they_are() -> None:
    from sklearn.datasets import load_digits
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_score
    from sklearn.pipeline import make_pipeline

    digits, labels = load_digits(return_X_y=True)
    pictures = digits[:100].reshape(-1, 8, 8) / 16
    learner = DictionaryLearner(4, (4, 4), penalty=0.3, low_pass=0, max_iter=2, random_state=0)
    chain = make_pipeline(learner, LogisticRegression())
    assert cross_val_score(chain, pictures, labels[:100], cv=2).shape == (2,)
    features = learner.fit(pictures).transform(pictures)
    assert isinstance(features, np.ndarray)
    assert features.shape == (100, len(learner.get_feature_names_out()))
    # What is of torch comes back as torch's.
    assert learner.transform(torch.from_numpy(pictures)[:, None]).is_sparse
    assert learner.transform([torch.from_numpy(one)[None] for one in pictures[:2]])[0].is_sparse
