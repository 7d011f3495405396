"""Learning: it goes down, it finds what is there, it keeps scikit-learn's habits, and it needs little memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from unconv.data.images import save_image
from unconv.errors import SparseError
from unconv.jobs import Executor, JobError, Serial, Threads
from unconv.sparse.code.boundary import code_size, synthesize
from unconv.sparse.code.encode import encode
from unconv.sparse.estimator.learner import DictionaryLearner
from unconv.sparse.learn.constraints import norms


def planted(
    count: int = 4,
    size: tuple[int, ...] = (40, 40),
    kernel: tuple[int, ...] = (5, 5),
    n_kernels: int = 3,
    channels: int = 1,
    boundary: str = "circular",
    density: float = 0.02,
) -> tuple[Tensor, Tensor]:
    """Images that are sparse sums of a few kernels, and these kernels."""
    generator = torch.Generator().manual_seed(5)
    dictionary = torch.randn(n_kernels, channels, *kernel, generator=generator)
    dictionary /= norms(dictionary).reshape(-1, *(1,) * (dictionary.ndim - 1))
    codes = torch.randn(count, n_kernels, *code_size(size, kernel, boundary), generator=generator)  # type: ignore[arg-type]
    codes *= torch.rand(codes.shape, generator=generator) < density
    return torch.stack([synthesize(one, dictionary, boundary, size) for one in codes]), dictionary  # type: ignore[arg-type]


def alikeness(found: Tensor, true: Tensor) -> Tensor:
    """For each true kernel, the largest |correlation| of a found one with it, at any shift."""
    axes = tuple(range(-(true.ndim - 2), 0))
    sizes = [2 * taps for taps in found.shape[2:]]
    waves = torch.einsum(
        "jc...,kc...->jk...", torch.fft.fftn(true, sizes, axes), torch.fft.fftn(found, sizes, axes).conj()
    )
    best: Tensor = torch.fft.ifftn(waves, dim=axes).real.abs().flatten(1).amax(1)
    return best


def objectives(learner: DictionaryLearner) -> list[float]:
    return [entry.objective for entry in learner.history_]


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("boundary", ["crop", "valid", "circular"])
def test_objective_never_rises_in_batch_mode(boundary: str, masked: bool) -> None:
    images, _ = planted(2, (24, 20))
    mask = torch.rand(2, 1, 24, 20, generator=torch.Generator().manual_seed(1)) if masked else None
    learner = DictionaryLearner(
        5, 4, 0.1, boundary=boundary, init="random", max_iter=12, tol=0.0, random_state=0, low_pass=0
    ).fit(images, mask=mask)
    course = objectives(learner)
    assert len(course) == learner.n_iter_ == 12
    assert all(after <= before * (1 + 1e-6) for before, after in pairwise(course))
    assert course[-1] < 0.9 * course[0]
    # What is told is the objective of the codes: coding again with the dictionary after it is no worse.
    again = encode(images, learner.dictionary_, 0.1, mask=mask, boundary=boundary, tol=1e-4).objective.sum()
    assert float(again) <= course[-1] * 1.001


@pytest.mark.parametrize(
    ("size", "kernel", "channels"),
    [((40, 40), (5, 5), 1), ((30, 30), (4, 5), 3), ((600,), (12,), 1), ((500,), (9,), 2)],
)
def test_planted_kernels_are_found(size: tuple[int, ...], kernel: tuple[int, ...], channels: int) -> None:
    images, dictionary = planted(6, size, kernel, channels=channels)
    larger = tuple(taps + 4 for taps in kernel)  # there is room for a shift
    learner = DictionaryLearner(6, larger, 0.1, boundary="circular", max_iter=60, tol=1e-5, random_state=1).fit(images)
    assert float(alikeness(learner.dictionary_, dictionary).min()) > 0.97
    torch.testing.assert_close(norms(learner.dictionary_), torch.ones(6), atol=1e-5, rtol=0)


def test_online_learning_finds_them_too() -> None:
    images, dictionary = planted(40)
    learner = DictionaryLearner(6, 9, 0.1, boundary="circular", batch_size=4, max_iter=4, random_state=0).fit(images)
    assert learner.n_iter_ == 40
    assert float(alikeness(learner.dictionary_, dictionary).min()) > 0.97


def test_partial_fit_goes_on_where_it_stopped() -> None:
    images, dictionary = planted(40)
    learner = DictionaryLearner(6, 9, 0.1, boundary="circular", random_state=0)
    for _ in range(4):
        for start in range(0, 40, 8):
            learner.partial_fit(images[start : start + 8])
    assert learner.n_iter_ == 20
    assert float(alikeness(learner.dictionary_, dictionary).min()) > 0.97


def test_partial_fit_goes_on_from_fit() -> None:
    images, _ = planted(4)
    learner = DictionaryLearner(4, 5, 0.05, boundary="circular", random_state=0, max_iter=3).fit(images)
    before = learner.dictionary_.clone()
    learner.partial_fit(images)
    assert learner.n_iter_ == 4
    assert not torch.equal(before, learner.dictionary_)


@pytest.mark.parametrize("batch_size", [None, 2])
def test_result_depends_on_the_seed_and_not_on_the_threads(batch_size: int | None) -> None:
    images, _ = planted(5)

    def learned(seed: int, threads: int) -> Tensor:
        learner = DictionaryLearner(
            4, 5, "0.1max", random_state=seed, n_jobs=threads, batch_size=batch_size, max_iter=3
        )
        return learner.fit(images).dictionary_

    assert torch.equal(learned(0, 1), learned(0, 3))
    assert not torch.equal(learned(0, 1), learned(1, 1))


def test_random_states_of_all_kinds() -> None:
    images, _ = planted(1)
    for state in (None, torch.Generator(), np.random.default_rng(0), np.random.RandomState(0), np.int64(3)):
        assert DictionaryLearner(2, 4, "0.2max", random_state=state, max_iter=1).fit(images).n_iter_ == 1


@pytest.mark.parametrize("names", ["zero_mean", ("nonnegative",), ("unit", "zero_border", "zero_mean")])
def test_constraints_hold(names: str | tuple[str, ...]) -> None:
    images, _ = planted(2)
    learner = DictionaryLearner(4, 5, "0.1max", constraint=names, random_state=0, max_iter=5).fit(images)
    found = learner.dictionary_
    torch.testing.assert_close(norms(found), torch.ones(4))
    if "zero_mean" in names:
        assert float(found.sum((2, 3)).abs().max()) < 1e-5
    if "nonnegative" in names:
        assert float(found.min()) >= 0
    if "zero_border" in names:
        assert float(found[..., [0, -1]].abs().max()) == 0
    course = objectives(learner)
    assert all(after <= before * (1 + 1e-6) for before, after in pairwise(course))


def test_kernels_of_several_sizes_keep_to_their_sizes() -> None:
    images, _ = planted(2)
    learner = DictionaryLearner(None, [(2, 3), (3, (5, 4))], "0.1max", random_state=0, max_iter=4).fit(images)
    assert learner.dictionary_.shape == (5, 1, 5, 4)
    assert float(learner.dictionary_[:2, :, 3:].abs().max()) == 0
    assert float(learner.dictionary_[:2, :, :, 3:].abs().max()) == 0
    assert float(learner.dictionary_[2:, :, 4].abs().max()) > 0


def test_nonnegative_codes() -> None:
    images, _ = planted(2)
    codes = DictionaryLearner(3, 5, "0.1max", nonnegative=True, random_state=0, max_iter=3).fit_transform(images)
    assert isinstance(codes, Tensor)
    assert float(codes.values().min()) > 0


def test_idle_kernels_are_replaced_by_what_is_left_over() -> None:
    images, dictionary = planted(4)
    first = torch.zeros(6, 1, 5, 5)
    first[:3] = dictionary.flip(0)
    # Kernels that this penalty leaves unused: a checkerboard that the images hold nothing of.
    first[3:] = torch.tensor([(-1.0) ** (i + j) for i in range(5) for j in range(5)]).reshape(5, 5)
    first[2] = first[3]
    learner = DictionaryLearner(6, 5, 0.6, boundary="circular", init=first, max_iter=25, tol=0.0, random_state=0)
    learner.fit(images)
    assert float(alikeness(learner.dictionary_, dictionary).min()) > 0.95
    course = objectives(learner)
    assert all(after <= before * (1 + 1e-6) for before, after in pairwise(course))


def test_masked_pixels_may_be_anything() -> None:
    images, dictionary = planted(6)
    mask = torch.rand(images.shape, generator=torch.Generator().manual_seed(2)) > 0.25
    spoiled = torch.where(mask, images, torch.nan)
    learner = DictionaryLearner(6, 9, 0.1, boundary="circular", max_iter=60, tol=1e-5, random_state=1)
    learner.fit(spoiled, mask=mask)
    assert float(alikeness(learner.dictionary_, dictionary).min()) > 0.95


def test_codes_and_images_go_round() -> None:
    images, _ = planted(3, boundary="crop")
    learner = DictionaryLearner(6, 5, 0.01, random_state=0, max_iter=20, low_pass=0)
    codes = learner.fit_transform(images)
    assert isinstance(codes, Tensor)
    assert codes.is_sparse
    assert codes.shape == (3, 6, 44, 44)
    back = learner.inverse_transform(codes)
    assert isinstance(back, Tensor)
    assert float((back - images).norm() / images.norm()) < 0.1
    single = learner.transform([images[0], images[1, :, :20]])
    assert [tuple(one.shape) for one in single] == [(6, 44, 44), (6, 24, 44)]
    assert [tuple(one.shape) for one in learner.inverse_transform(single)] == [(1, 40, 40), (1, 20, 40)]


def test_scikit_learn_treats_it_as_its_own() -> None:
    from sklearn.base import clone
    from sklearn.model_selection import ParameterGrid
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import FunctionTransformer

    images, _ = planted(2)
    init = torch.randn(3, 1, 5, 5)
    learner = DictionaryLearner(3, 5, "0.1max", init=init, max_iter=2, constraint=("unit", "zero_mean"))
    twin = clone(learner)
    assert twin is not learner
    assert {name: repr(value) for name, value in twin.get_params().items()} == {
        name: repr(value) for name, value in learner.get_params().items()
    }
    assert repr(DictionaryLearner(3, penalty=0.2)) == "DictionaryLearner(n_kernels=3, penalty=0.2)"
    for params in ParameterGrid({"learn__penalty": [0.1, 0.2], "learn__n_kernels": [2]}):
        chain = Pipeline([("centre", FunctionTransformer(lambda x: x - x.mean())), ("learn", DictionaryLearner())])
        chain.set_params(learn__kernel_size=4, learn__max_iter=2, learn__random_state=0, **params)
        assert chain.fit_transform(images).shape == chain.transform(images).shape == (2, 2, 43, 43)
        assert chain.fit_transform(images.numpy()).shape == chain.transform(images.numpy()).shape == (2, 2)
    with pytest.raises(SparseError, match="no parameter 'kernels'"):
        learner.set_params(kernels=3)


def test_images_from_everywhere_give_the_same(tmp_path: Path) -> None:
    grey = (planted(3)[0] / 4 + 0.5).clamp(0, 1)
    for number, image in enumerate(grey):
        save_image(image, tmp_path / f"{number}.png")
    (tmp_path / "notes.txt").write_text("no picture")
    eight_bits = (grey * 255).round().to(torch.uint8)

    class Again:
        def __iter__(self) -> Iterator[Tensor]:
            return iter(eight_bits)

    def learn(images: object) -> DictionaryLearner:
        return DictionaryLearner(3, 5, 0.1, random_state=0, max_iter=3, mode="grey").fit(images)

    expected = learn(eight_bits).dictionary_
    for images in (eight_bits.numpy(), list(eight_bits), Again()):
        assert torch.equal(learn(images).dictionary_, expected)
    from_folder, from_paths = learn(tmp_path), learn(sorted(map(str, tmp_path.glob("*.png"))))
    torch.testing.assert_close(from_paths.dictionary_, expected, atol=1e-3, rtol=0)
    torch.testing.assert_close(from_folder.dictionary_, from_paths.dictionary_)
    assert len(from_folder.skipped_) == 1
    assert "notes.txt" in from_folder.skipped_[0]


def test_loader_of_torch_is_a_stream() -> None:
    from torch.utils.data import DataLoader, TensorDataset

    images, _ = planted(6)
    loader = DataLoader(TensorDataset(images, torch.arange(6)), batch_size=4)
    learner = DictionaryLearner(3, 5, "0.1max", random_state=0, max_iter=2, batch_size=3).fit(loader)
    assert [entry.images for entry in learner.history_] == [3, 3, 3, 3]


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc to know the memory in use")
def test_stream_of_any_length_needs_the_same_memory() -> None:
    generator = torch.Generator().manual_seed(0)
    stream = (torch.rand(1, 128, 128, generator=generator) for _ in range(300))
    used: list[int] = []

    def look(*_: object) -> None:
        used.append(int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"))

    learner = DictionaryLearner(4, 6, "0.5max", batch_size=5, random_state=0, callback=look).fit(stream)
    assert learner.n_iter_ == len(used) == 60
    # The images of the second half alone are 10 MB.
    assert max(used[30:]) - max(used[:30]) < 3e6


def test_an_iterator_is_learned_from_once() -> None:
    images, _ = planted(5)
    learner = DictionaryLearner(3, 5, "0.1max", random_state=0, batch_size=2, max_iter=9).fit(iter(images))
    assert [entry.images for entry in learner.history_] == [2, 2, 1]


def test_rounds_are_told_as_they_end() -> None:
    images, _ = planted(2)
    told: list[tuple[int, float]] = []
    learner = DictionaryLearner(
        3,
        5,
        "0.1max",
        random_state=0,
        max_iter=3,
        tol=0.0,
        callback=lambda entry, dictionary: told.append((entry.number, float(dictionary.sum()))),
    ).fit(images)
    assert [number for number, _ in told] == [1, 2, 3]
    assert told[-1][1] == float(learner.dictionary_.sum())
    seconds = [entry.seconds for entry in learner.history_]
    assert seconds == sorted(seconds)


def test_learning_ends_once_little_is_gained() -> None:
    images, _ = planted(2)
    learner = DictionaryLearner(3, 5, "0.1max", random_state=0, tol=0.05).fit(images)
    course = objectives(learner)
    assert len(course) < 50
    assert course[-2] - course[-1] <= 0.05 * course[-1] < course[0] - course[1]


IMAGES = torch.rand(2, 1, 16, 16)
REFUSED: list[tuple[dict[str, object], object, str]] = [
    ({"n_kernels": 0}, IMAGES, "n_kernels 0 is not an integer of at least 1"),
    ({"kernel_size": (5, 5, 5)}, IMAGES, "has 3 axes, the images have 2"),
    ({"kernel_size": 2.5}, IMAGES, "kernel_size 2.5 is not an integer"),
    ({"kernel_size": [(2, 3), (3, 5)]}, IMAGES, "counts 5 kernels, n_kernels is 4"),
    ({"penalty": 0.0}, IMAGES, "penalty 0.0 is not positive"),
    ({"penalty": "a lot"}, IMAGES, "'a lot' is not understood"),
    ({"penalty": abs}, IMAGES, "changes with the dictionary"),
    ({"boundary": "same"}, IMAGES, "boundary 'same' is not known"),
    ({"boundary": "valid", "kernel_size": 17}, IMAGES, "kernel 17x17 is larger than the image 16x16"),
    ({"constraint": "small"}, IMAGES, "'small' is not known"),
    ({"constraint": 3}, IMAGES, "constraint 3 is not a name"),
    ({"init": "zeros"}, IMAGES, "init 'zeros' is not known"),
    ({"init": torch.ones(4, 1, 3, 3)}, IMAGES, r"init of shape \(4, 1, 3, 3\)"),
    ({"init": torch.zeros(4, 1, 5, 5)}, IMAGES, "kernel 0 of init is 0"),
    ({"max_iter": 0}, IMAGES, "max_iter 0"),
    ({"batch_size": True}, IMAGES, "batch_size True"),
    ({"forgetting": 0.5}, IMAGES, "without minibatches"),
    ({"forgetting": 2, "batch_size": 1}, IMAGES, "forgetting 2 is not a number from 0 to 1"),
    ({"tol": -1}, IMAGES, "tol -1"),
    ({"transform_tol": 0}, IMAGES, "transform_tol 0"),
    ({"checkpoint_seconds": -1}, IMAGES, "checkpoint_seconds -1"),
    ({"random_state": "now"}, IMAGES, "random_state 'now'"),
    ({"n_jobs": 0}, IMAGES, "n_jobs 0"),
    ({"progress": 1}, IMAGES, "progress 1 is not True or False"),
    ({"kernel_size": (5, 5)}, IMAGES[0, 0], r"images of shape \(16, 16\)"),
    ({}, IMAGES[0, 0, 0], r"images of shape \(16,\)"),
    ({"low_pass": -1}, IMAGES, "low_pass -1 is not a strength"),
    ({"output": "wide"}, IMAGES, "output 'wide' is not known"),
    ({"pools": 0}, IMAGES, "pools 0 is not a number of cells"),
    ({"channel_axis": 0}, IMAGES, "channel_axis=0"),
    ({"channel_axis": "last"}, IMAGES, "channel_axis 'last' is not a number of an axis"),
    ({}, [], "no images"),
    ({}, 7, "int holds no images"),
    ({}, iter(IMAGES), "an iterator can be gone through only once"),
    ({"batch_size": 1}, iter([]), "the stream holds no images"),
    ({}, [IMAGES[0], torch.rand(3, 16, 16)], "image 1 has 3 channels, the dictionary 1"),
    ({}, [IMAGES[0], torch.full((1, 9, 9), torch.nan)], "image 1 has 81 values NaN"),
    ({}, "/nowhere/at/all", "/nowhere/at/all"),
]


@pytest.mark.parametrize(("params", "images", "told"), REFUSED, ids=range(len(REFUSED)))
def test_what_cannot_be_is_refused_in_one_line(params: dict[str, object], images: object, told: str) -> None:
    learner = DictionaryLearner(**{"n_kernels": 4, "kernel_size": 5, "random_state": 0, **params})  # type: ignore[arg-type]
    with pytest.raises(SparseError, match=told) as caught:
        learner.fit(images)
    assert "\n" not in str(caught.value)


def test_nothing_can_be_transformed_before_something_is_learned() -> None:
    with pytest.raises(SparseError, match="call fit first"):
        DictionaryLearner().transform(IMAGES)


def test_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    def learn(images: Tensor, **params: object) -> DictionaryLearner:
        settings: dict[str, object] = {"random_state": 0, "max_iter": 2, "checkpoint": tmp_path, **params}
        return DictionaryLearner(3, 4, 0.2, **settings).fit(images)  # type: ignore[arg-type]

    first = learn(IMAGES)
    assert torch.equal(learn(IMAGES).dictionary_, first.dictionary_)
    more = learn(IMAGES, max_iter=4)
    assert torch.equal(
        more.dictionary_, DictionaryLearner(3, 4, 0.2, random_state=0, max_iter=4).fit(IMAGES).dictionary_
    )
    for images, params in ((IMAGES + 0.1, {}), (IMAGES, {"boundary": "valid"}), (IMAGES, {"random_state": 1})):
        with pytest.raises(JobError, match="made with") as caught:
            learn(images, **params)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("executor", [Serial(), Threads(3)], ids=repr)
@pytest.mark.parametrize("batch_size", [None, 5])
def test_the_result_does_not_depend_on_the_executor(executor: Executor, batch_size: int | None) -> None:
    images, _ = planted(20, (12, 12))
    options = {"n_kernels": 3, "kernel_size": 5, "random_state": 0, "max_iter": 2, "batch_size": batch_size}
    one = DictionaryLearner(**options).fit(images)
    other = DictionaryLearner(**options, executor=executor).fit(images)
    assert torch.equal(one.dictionary_, other.dictionary_)
    assert objectives(one) == objectives(other)
