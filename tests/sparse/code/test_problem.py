"""What users hand in: taken as it is meant, or refused in one line."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from unconv.errors import SparseError
from unconv.sparse.code.problem import Problem, problems_from

RNG = np.random.default_rng(0)
IMAGES = RNG.standard_normal((2, 2, 7, 6)).astype("f4")
DICTIONARY = RNG.standard_normal((3, 2, 3, 2)).astype("f4")


def one(**changed: Any) -> Problem:
    arguments = {"images": IMAGES[:1], "dictionary": DICTIONARY, "penalty": 0.1} | changed
    [problem] = problems_from(**arguments)
    return problem


def test_arrays_that_fit_are_not_copied() -> None:
    problem = one()
    assert problem.image.data_ptr() == IMAGES.ctypes.data
    assert problem.dictionary.data_ptr() == DICTIONARY.ctypes.data
    assert (problem.weight, problem.start) == (None, None)
    assert (problem.n_kernels, problem.code_size, problem.image_size) == (3, (9, 7), (7, 6))


@pytest.mark.parametrize(
    "spell",
    [
        lambda a: np.lib.stride_tricks.as_strided(a, a.shape, a.strides, writeable=False),
        lambda a: np.asfortranarray(a),
        lambda a: a[:, :, ::-1, ::-1].copy()[:, :, ::-1, ::-1],
        lambda a: a.astype(">f4"),
        lambda a: torch.from_numpy(a).transpose(2, 3).contiguous().transpose(2, 3),
        lambda a: torch.from_numpy(a).requires_grad_(),
        lambda a: a.tolist(),
    ],
    ids=["read-only", "fortran", "negative strides", "big endian", "transposed", "with gradient", "nested lists"],
)
def test_any_layout_is_the_same_problem(spell: Any) -> None:
    problem = one(images=spell(IMAGES[:1]), dictionary=spell(DICTIONARY))
    assert problem.image.is_contiguous()
    assert problem.dictionary.is_contiguous()
    assert not problem.image.requires_grad
    torch.testing.assert_close(problem.image, torch.from_numpy(IMAGES[0]))
    torch.testing.assert_close(problem.dictionary, torch.from_numpy(DICTIONARY))


@pytest.mark.parametrize(
    ("image", "dictionary", "expected"),
    [
        ("f4", "f4", torch.float32),
        ("f2", "f2", torch.float32),
        ("f8", "f4", torch.float64),
        ("f4", "f8", torch.float64),
        ("u1", "f4", torch.float32),
        ("u1", "f8", torch.float64),
    ],
)
def test_the_larger_type_wins_and_half_precision_is_float32(image: str, dictionary: str, expected: torch.dtype) -> None:
    problem = one(images=IMAGES[:1].clip(0).astype(image), dictionary=DICTIONARY.astype(dictionary))
    values = problem.penalty.values(None, slice(0, 1))
    assert {problem.image.dtype, problem.dictionary.dtype, values.dtype} == {expected}


def test_bfloat16_is_float32_and_eight_bits_are_255_parts() -> None:
    assert one(images=torch.from_numpy(IMAGES[:1]).bfloat16()).image.dtype == torch.float32
    assert float(one(images=np.full((1, 2, 7, 6), 51, np.uint8)).image.max()) == pytest.approx(0.2)


@pytest.mark.parametrize("shape", [(1, 2, 7, 6), (1, 1, 7, 6), (2, 7, 6), (1, 7, 6), (7, 6), (7, 1), (6,)])
@pytest.mark.parametrize("kind", ["?", "f4", "f8", "i8"])
def test_masks_broadcast_and_hide(shape: tuple[int, ...], kind: str) -> None:
    mask = (RNG.uniform(size=shape) > 0.5).astype(kind)
    mask.flat[0] = 0
    hidden = np.broadcast_to(mask == 0, (1, 2, 7, 6))
    images = np.where(hidden, np.nan, IMAGES[:1])
    problem = one(images=images.astype("f4"), mask=mask)
    assert problem.weight is not None
    assert problem.weight.dtype == torch.float32
    assert problem.weight.shape in ((1, 7, 6), (2, 7, 6))
    np.testing.assert_array_equal(problem.image, np.where(hidden, 0, IMAGES[:1])[0])
    np.testing.assert_array_equal(np.broadcast_to(problem.weight, (2, 7, 6)), ~hidden[0])
    assert np.isnan(images).any()


def test_masks_of_each_image() -> None:
    masks = [np.zeros((7, 6)), None]
    for given in (masks, np.stack([np.zeros((2, 7, 6)), np.ones((2, 7, 6))])):
        first, second = problems_from(list(IMAGES), DICTIONARY, 0.1, given)
        assert first.weight is not None
        assert (float(first.weight.max()), second.weight) == (0, None)


def test_starts_lose_zeros_and_what_must_not_be_negative() -> None:
    start = np.zeros((1, 3, 9, 7))
    start[0, 2, 1, 3], start[0, 0, 4, 4] = -1, 2
    problem = one(start=start)
    assert problem.start is not None
    assert problem.start[0].tolist() == [[0, 2], [4, 1], [4, 3]]
    assert problem.start[1].tolist() == [2, -1]
    positive = one(start=torch.from_numpy(start).to_sparse(), nonnegative=True)
    assert positive.start is not None
    assert positive.start[1].tolist() == [2]


def changed(place: tuple[int, ...], value: float, base: np.ndarray[Any, Any] = IMAGES[:1]) -> np.ndarray[Any, Any]:
    copy = base.copy()
    copy[place] = value
    return copy


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"images": IMAGES[0]},
            r"images of shape \(2, 7, 6\) with a dictionary of 2 kernel axes; give .*images\[None\]",
        ),
        ({"images": IMAGES[0, 0]}, r"images of shape \(7, 6\)"),
        ({"images": list(IMAGES[:, 0])}, r"image 0 has shape \(7, 6\) and the dictionary 2 kernel axes"),
        ({"images": IMAGES[:1, :1]}, "image 0 has 1 channels, the dictionary 2"),
        ({"images": IMAGES[:1, :, :0]}, r"image 0 of shape \(2, 0, 6\) is empty"),
        ({"images": IMAGES[:1].astype(int)}, "image 0 is int64; use uint8, float32 or float64"),
        ({"images": IMAGES[:1] > 0}, "image 0 is bool"),
        ({"images": IMAGES[:1] * 1j}, "image 0 is complex64"),
        pytest.param(
            {"images": IMAGES[:1].astype(np.longdouble)},
            "images is float128; use float64",
            marks=pytest.mark.skipif(np.dtype(np.longdouble).name != "float128", reason="no such type here"),
        ),
        ({"images": torch.from_numpy(IMAGES[:1]).to_sparse()}, "layout torch.sparse_coo; use .to_dense"),
        ({"images": "cat.jpg"}, "images is a str"),
        ({"images": None}, "images is a NoneType"),
        ({"images": [[1.0], [1.0, 2.0], "x"]}, "image 2 is a str"),
        ({"images": [[[1.0], [1.0, 2.0]]]}, "image 0 is not an array of numbers"),
        ({"images": changed((0, 1, 2, 3), np.nan)}, r"image 0 has 1 value NaN or infinite, the first at \(1, 2, 3\)"),
        ({"images": changed((0, 1, slice(2, 4), 3), -np.inf)}, "image 0 has 2 values NaN or infinite"),
        ({"images": changed((0, 1, 2, 3), np.inf), "mask": np.ones((7, 6))}, "image 0 has 1 value NaN"),
        ({"dictionary": DICTIONARY[0, 0]}, r"dictionary of shape \(3, 2\) has 0 kernel axes"),
        ({"dictionary": np.ones((1, 1, 1, 1, 1, 1))}, "has 4 kernel axes"),
        ({"dictionary": DICTIONARY[:0]}, r"dictionary of shape \(0, 2, 3, 2\) is empty"),
        ({"dictionary": DICTIONARY.astype(int)}, "dictionary is int64; use float32 or float64"),
        ({"dictionary": changed((0, 1, 2, 1), np.nan, DICTIONARY)}, "dictionary has 1 value NaN or infinite"),
        ({"dictionary": np.ones((1, 2, 9, 9)), "boundary": "valid"}, "kernel 9x9 is larger than the image 7x6"),
        ({"dictionary": np.ones((1, 2, 9, 9)), "boundary": "circular"}, "kernel 9x9 is larger than the image 7x6"),
        ({"boundary": "same"}, "boundary 'same' is not known"),
        ({"boundary": None}, "boundary None is not known"),
        ({"nonnegative": "yes"}, "nonnegative 'yes' is not True or False"),
        ({"mask": np.ones((6, 7))}, r"mask of shape \(1, 6, 7\) does not broadcast to image 0"),
        ({"mask": np.ones((3, 7, 6))}, r"mask of shape \(3, 7, 6\) does not broadcast"),
        ({"mask": -np.ones((7, 6))}, "mask of image 0 has negative values, down to -1.0"),
        ({"mask": np.full((7, 6), np.nan)}, "mask of image 0 has 42 values NaN"),
        ({"mask": np.ones((7, 6)) * 1j}, "mask of image 0 is complex"),
        ({"mask": [np.ones((7, 6))] * 2}, "2 entries in mask for 1 images"),
        ({"mask": np.ones((3, 1, 7, 6))}, r"mask of shape \(3, 1, 7, 6\) for 1 images"),
        ({"start": np.ones((1, 3, 7, 6))}, r"start of image 0 has shape \(3, 7, 6\); its codes have \(3, 9, 7\)"),
        ({"start": np.full((1, 3, 9, 7), np.nan)}, "start of image 0 has 189 values NaN"),
        ({"start": np.full((1, 3, 9, 7), 1j)}, "start of image 0 is complex"),
        ({"penalty": [0.1, 0.2]}, r"penalty of shape \(2,\) for 3 kernels"),
        ({"penalty": np.ones((3, 1, 1, 1))}, r"penalty of shape \(3, 1, 1, 1\) for 1 images"),
        ({"penalty": ["0.1max", "0.2max"]}, "2 entries in penalty for 1 images"),
        ({"penalty": 1e-60}, "penalty 1e-60 is not positive and finite"),
        ({"penalty": 1e60}, "penalty 1e.60 is not positive and finite"),
    ],
)
def test_every_bad_input_is_one_line(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(SparseError, match=message) as caught:
        one(**arguments)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("encode: ")


def test_kernels_may_overhang_on_every_side() -> None:
    assert one(dictionary=np.ones((1, 2, 20, 9))).code_size == (26, 14)
