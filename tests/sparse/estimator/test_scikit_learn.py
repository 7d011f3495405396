"""The contract of scikit-learn: its own checks, its tools around the learner, and life without it."""

from __future__ import annotations

import inspect
import pickle
import subprocess
import sys
import warnings
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import RidgeClassifier
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator

from unconv.errors import SparseError
from unconv.sparse.estimator.learner import DictionaryLearner

# Checks of scikit-learn's that may fail, each with the reason.
EXPECTED_FAILURES = {
    "check_array_api_input": "with SCIPY_ARRAY_API set it wants the images of pooled features, which stand for none"
}
SMALL: dict[str, Any] = {"n_kernels": 3, "kernel_size": 3, "penalty": 0.1, "max_iter": 2}


def checks() -> list[Any]:
    """What ``check_estimator`` runs."""
    with warnings.catch_warnings():
        # The one warning that a check has for it: scikit-learn is no dependency, so its BaseEstimator is no base.
        warnings.filterwarnings("ignore", message="Estimator DictionaryLearner does not inherit")
        found = [check for _, check in estimator_checks_generator(DictionaryLearner(**SMALL), legacy=True)]
    return [check for check in found if name_of(check) not in EXPECTED_FAILURES]


def name_of(check: Any) -> str:
    return str(getattr(check, "func", check).__name__)


@pytest.mark.filterwarnings("default::DeprecationWarning")
@pytest.mark.parametrize("check", checks(), ids=name_of)
def test_checks_of_scikit_learn_pass(check: Any) -> None:
    check(DictionaryLearner(**SMALL))


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    rows, classes = load_digits(return_X_y=True)
    return rows[:240] / 16, classes[:240]


@pytest.fixture(scope="module")
def fitted(digits: tuple[np.ndarray, np.ndarray]) -> DictionaryLearner:
    return DictionaryLearner(4, 9, 0.1, max_iter=3, random_state=0).fit(digits[0])


def test_rows_are_pooled_for_what_comes_after(digits: tuple[np.ndarray, np.ndarray]) -> None:
    rows, classes = digits
    learn = DictionaryLearner(6, 9, 0.1, max_iter=3, random_state=0, pools=8)
    chain = make_pipeline(learn, StandardScaler(), RidgeClassifier())
    assert cross_val_score(chain, rows, classes, cv=2).mean() > 0.5


def test_pictures_go_through_a_pipeline_and_a_grid() -> None:
    digits = load_digits()
    images, classes = digits.images[:120] / 16, digits.target[:120]
    learner = DictionaryLearner(4, (3, 3), 0.1, max_iter=1, random_state=0)
    chain = Pipeline([("learn", learner), ("say", RidgeClassifier())])
    search = GridSearchCV(chain, {"learn__output": ["pooled"], "learn__pools": [1, 4]}, cv=2).fit(images, classes)
    assert search.best_params_["learn__pools"] == 4
    assert search.best_score_ > 0.7
    assert cross_val_score(chain.set_params(learn__output="csr"), images, classes, cv=2).mean() > 0.7


def test_grid_search_scores_the_learner_itself(digits: tuple[np.ndarray, np.ndarray]) -> None:
    search = GridSearchCV(DictionaryLearner(2, 9, 0.1, max_iter=3, random_state=0), {"n_kernels": [1, 8]}, cv=2)
    assert search.fit(digits[0][:60]).best_params_ == {"n_kernels": 8}


def test_score_is_the_part_of_the_energy_that_codes_save(digits: tuple[np.ndarray, np.ndarray]) -> None:
    rows = digits[0]
    learner = DictionaryLearner(4, 9, 0.1, max_iter=3, random_state=0).fit(rows[:100])
    unseen = rows[100:140]
    saved = 1 - float(learner.encode(unseen).objective.sum()) / (0.5 * np.square(unseen).sum())
    assert learner.score(unseen) == pytest.approx(saved, rel=1e-5)
    assert 0 < learner.score(unseen) < 1
    assert learner.score(np.zeros((2, 64))) == 0
    dear = clone(learner).set_params(penalty=1e3).fit(rows[:100])
    assert dear.score(unseen) == 0
    longer = clone(learner).set_params(max_iter=12).fit(rows[:100])
    assert longer.score(unseen) > learner.score(unseen)


def test_features_of_two_learners_stand_side_by_side(digits: tuple[np.ndarray, np.ndarray]) -> None:
    rows = digits[0][:40]
    fine = DictionaryLearner(3, 5, 0.1, max_iter=2, random_state=0)
    both = FeatureUnion([("fine", fine), ("coarse", clone(fine).set_params(n_kernels=2, pools=2))])
    assert both.fit_transform(rows).shape == (40, 3 + 4)
    names = list(both.get_feature_names_out())
    assert names == [
        *(f"fine__kernel{k}" for k in range(3)),
        *(f"coarse__kernel{k}_{c}" for k in range(2) for c in (0, 1)),
    ]


def test_data_frames_go_in_and_come_out(digits: tuple[np.ndarray, np.ndarray]) -> None:
    pandas = pytest.importorskip("pandas")
    rows = pandas.DataFrame(digits[0][:20], columns=[f"t{n}" for n in range(64)], index=range(100, 120))
    learner = DictionaryLearner(2, 9, 0.1, max_iter=2, random_state=0, pools=2).set_output(transform="pandas")
    features = learner.fit_transform(rows)
    assert list(features.columns) == ["kernel0_0", "kernel0_1", "kernel1_0", "kernel1_1"]
    assert list(features.index) == list(rows.index)
    assert list(learner.feature_names_in_) == list(rows.columns)
    np.testing.assert_array_equal(features, clone(learner).set_output(transform="default").fit(rows).transform(rows))
    assert make_pipeline(MinMaxScaler(), clone(learner)).set_output(transform="pandas").fit_transform(rows).shape == (
        20,
        4,
    )
    with pytest.raises(SparseError, match="feature names should match"):
        learner.transform(rows[rows.columns[::-1]])
    with pytest.raises(SparseError, match="pandas holds no 'csr' codes"):
        learner.transform(rows, "csr")


def test_unknown_containers_are_refused() -> None:
    with pytest.raises(SparseError, match="transform 'numpy' is not known"):
        DictionaryLearner().set_output(transform="numpy")  # type: ignore[arg-type]
    learner = DictionaryLearner()
    assert learner.set_output() is learner


def test_every_output_holds_the_same_codes(fitted: DictionaryLearner, digits: tuple[np.ndarray, np.ndarray]) -> None:
    rows = digits[0][:7]
    dense = fitted.transform(rows, "dense")
    assert dense.shape == (7, 4, 72)
    assert torch.equal(fitted.transform(rows, "sparse").to_dense(), dense)
    matrix = fitted.transform(rows, "csr")
    np.testing.assert_array_equal(matrix.toarray(), dense.flatten(1).numpy())
    np.testing.assert_allclose(fitted.transform(rows), dense.abs().mean(2).numpy())
    thirds = clone(fitted).set_params(pools=3, output="pooled").fit(digits[0])
    np.testing.assert_allclose(
        thirds.transform(rows), dense.abs().unflatten(2, (3, 24)).mean(3).flatten(1).numpy(), atol=1e-12
    )
    backs = [
        fitted.inverse_transform(codes) for codes in (dense, dense.numpy(), fitted.transform(rows, "sparse"), matrix)
    ]
    for back in backs:
        np.testing.assert_allclose(np.asarray(back), np.asarray(backs[0]))
    assert backs[0].shape == (7, 64)
    assert list(clone(fitted).set_params(output="csr").fit(digits[0]).get_feature_names_out()[[0, 71, 72]]) == [
        "kernel0_0",
        "kernel0_71",
        "kernel1_0",
    ]
    with pytest.raises(SparseError, match="pooled ones stand for no image"):
        fitted.inverse_transform(fitted.transform(rows))


def test_pools_of_pictures_are_means_over_cells() -> None:
    images = torch.rand(3, 1, 9, 11, generator=torch.Generator().manual_seed(0))
    learner = DictionaryLearner(2, 4, 0.05, max_iter=2, random_state=0, pools=(2, 3)).fit(images)
    dense, pooled = learner.transform(images, "dense").abs(), learner.transform(images, "pooled")
    down, across = torch.arange(12) * 2 // 12, torch.arange(14) * 3 // 14
    for cell, (row, column) in enumerate((r, c) for r in range(2) for c in range(3)):
        part = dense[:, :, down == row][:, :, :, across == column].mean((2, 3))
        np.testing.assert_allclose(pooled.reshape(3, 2, 6)[:, :, cell], part.numpy(), rtol=1e-5)
    several = learner.transform([images[0], images[1, :, :6]], "pooled")
    np.testing.assert_allclose(several[0], pooled[0], rtol=1e-5)
    assert several.shape == (2, 12)
    with pytest.raises(SparseError, match="no common columns"):
        learner.transform(list(images), "csr")


def test_what_was_not_fitted_says_so_in_both_languages() -> None:
    for ask in ("transform", "score", "encode", "denoise", "reconstruct"):
        with pytest.raises(NotFittedError, match="call fit first") as told:
            getattr(DictionaryLearner(), ask)(np.ones((2, 9)))
        assert isinstance(told.value, SparseError)
        assert type(pickle.loads(pickle.dumps(told.value))) is type(told.value)


def test_everything_works_without_scikit_learn() -> None:
    script = """
import sys
for name in ("sklearn", "scipy", "pandas"):
    sys.modules[name] = None
import numpy as np, unconv as uc
learner = uc.DictionaryLearner(2, 3, max_iter=2, random_state=0)
try:
    learner.transform(np.ones((2, 9)))
except uc.UnconvError as error:
    print(error)
features = learner.fit_transform(np.random.default_rng(0).random((6, 20)))
print(features.shape, learner.get_feature_names_out(), "<table>" in learner._repr_html_())
try:
    learner.transform(np.ones((2, 20)), "csr")
except uc.UnconvError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=True)
    first, second, third = done.stdout.splitlines()
    assert first == "DictionaryLearner: nothing is learned yet; call fit first"
    assert second == "(6, 2) ['kernel0' 'kernel1'] True"
    assert "pip install" in third


def test_a_constructor_that_tells_wrong_names_keeps_its_parameters() -> None:
    learner = DictionaryLearner(5, 7, penalty="0.2max", n_jobs=2, init=np.ones((5, 1, 7, 7)))
    again = clone(learner)
    assert {name: repr(value) for name, value in again.get_params().items()} == {
        name: repr(value) for name, value in learner.get_params().items()
    }
    assert set(inspect.signature(DictionaryLearner).parameters) == set(learner.get_params())
    with pytest.raises(TypeError, match="DictionaryLearner: got an unexpected keyword argument 'n_components'"):
        DictionaryLearner(n_components=8)  # type: ignore[call-arg]


def test_notebooks_show_the_diagram_of_scikit_learn(fitted: DictionaryLearner) -> None:
    page = fitted._repr_html_()
    assert "sk-top-container" in page
    assert "Fitted" in page
    chain = make_pipeline(StandardScaler(), DictionaryLearner(5))
    assert "DictionaryLearner" in chain._repr_html_()
    assert repr(DictionaryLearner(3, penalty=0.2)) == "DictionaryLearner(n_kernels=3, penalty=0.2)"


def test_the_old_name_of_max_iter_works_with_a_warning(digits: tuple[np.ndarray, np.ndarray]) -> None:
    rows = digits[0][:10]
    learner = DictionaryLearner(2, 5, 0.1, random_state=0, max_rounds=1, tol=0.0)
    with pytest.warns(DeprecationWarning, match="max_rounds is max_iter now"):
        assert learner.fit(rows).n_iter_ == 1
    assert learner.max_iter == 50


def test_learners_pickled_before_there_was_a_low_pass_work(digits: tuple[np.ndarray, np.ndarray]) -> None:
    rows = digits[0][:10]
    learner = DictionaryLearner(2, 5, 0.1, random_state=0, max_iter=2).fit(rows)
    new = {
        "max_iter",
        "low_pass",
        "channel_axis",
        "output",
        "pools",
        "max_rounds",
        "low_pass_",
        "_layout",
        "n_features_in_",
    }
    past = {name: value for name, value in vars(learner).items() if name not in new} | {"max_rounds": 2}
    again = DictionaryLearner.__new__(DictionaryLearner)
    again.__setstate__(past)
    np.testing.assert_array_equal(again.transform(rows), learner.transform(rows))
    assert again.max_iter == again.fit(rows).n_iter_ == 2
    assert "max_rounds" not in repr(again)


def test_features_go_into_polars(monkeypatch: pytest.MonkeyPatch, digits: tuple[np.ndarray, np.ndarray]) -> None:
    class Polars(ModuleType):
        @staticmethod
        def DataFrame(data: np.ndarray, schema: list[str], orient: str) -> tuple[tuple[int, ...], list[str], str]:
            return data.shape, schema, orient

    monkeypatch.setitem(sys.modules, "polars", Polars("polars"))
    learner = DictionaryLearner(2, 5, 0.1, random_state=0, max_iter=1).set_output(transform="polars")
    assert learner.fit_transform(digits[0][:4]) == ((4, 2), ["kernel0", "kernel1"], "row")


@pytest.mark.parametrize(
    ("method", "given", "message"),
    [
        ("inverse_transform", 3, r"codes of shape \(\)"),
        ("inverse_transform", [3], r"codes of shape \(\)"),
        ("inverse_transform", "text", "codes is a str"),
        ("score", 7, "images of shape"),
        ("transform", None, "NoneType holds no images"),
        ("get_feature_names_out", 3, "input_features should have length equal to 64"),
        ("denoise", None, "NoneType"),
    ],
)
def test_wrong_kinds_of_things_are_refused(fitted: DictionaryLearner, method: str, given: object, message: str) -> None:
    with pytest.raises(SparseError, match=message) as told:
        getattr(fitted, method)(given)
    assert "\n" not in str(told.value)
