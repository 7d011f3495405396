"""What is packed comes back equal to the last bit, through JSON and safetensors."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as arrays
from safetensors.torch import load, save

from unconv.jobs import JobError
from unconv.jobs.values import pack, unpack


@dataclass(frozen=True, eq=False)
class Statistics:
    sums: torch.Tensor
    count: int


class Pair(NamedTuple):
    left: int
    right: list[float]


def through_disk(value: object) -> object:
    tensors: dict[str, torch.Tensor] = {}
    packed = json.loads(json.dumps(pack(value, tensors, (Statistics, Pair))))
    return unpack(packed, load(save(tensors)), (Statistics, Pair))


DTYPES = st.sampled_from(["?", "u1", "i2", "<i4", ">i4", "i8", "u2", "u4", "u8", "f2", "f4", ">f8", "c8", "c16"]).map(
    np.dtype
)

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=4) | st.integers() | st.tuples(st.integers(), st.text()), inner, max_size=3)
    ),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None)
@given(plain)
def test_plain_values_come_back(value: object) -> None:
    assert repr(through_disk(value)) == repr(value)


@settings(max_examples=60, deadline=None)
@given(
    arrays.arrays(
        DTYPES,
        arrays.array_shapes(min_dims=0, min_side=0, max_dims=4, max_side=4),
    ),
    st.data(),
)
def test_arrays_come_back(array: np.ndarray, data: st.DataObject) -> None:
    array = array.transpose(data.draw(st.permutations(range(array.ndim))))
    if array.ndim and data.draw(st.booleans()):
        array = array[::-1]
    array.flags.writeable = False
    back = through_disk({"a": array})["a"]
    assert type(back) is np.ndarray
    assert back.dtype == array.dtype.newbyteorder("=")
    assert back.tobytes() == array.astype(array.dtype.newbyteorder("=")).tobytes()
    assert back.shape == array.shape
    for scalar in (np.float64(0.1), np.float32("nan"), np.int16(3), np.bool_(True)):
        assert repr(through_disk(scalar)) == repr(scalar)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.int64, torch.bool, torch.cfloat])
def test_tensors_come_back_with_their_memory_order(dtype: torch.dtype) -> None:
    base = torch.randn(2, 3, 4, 5).to(dtype)
    for tensor in (base, base.to(memory_format=torch.channels_last), base.permute(3, 1, 0, 2), base[0, 0, 0, 0]):
        back = through_disk([tensor])[0]
        assert back.dtype == dtype
        assert back.stride() == tensor.stride()
        assert torch.equal(back, tensor)
    for tensor in (base[:, :, ::2], base[:, :1].expand(2, 7, 4, 5), base[:0]):
        assert torch.equal(through_disk([tensor])[0], tensor)


def test_lazily_conjugated_and_negated_tensors_come_back() -> None:
    tensor = torch.randn(3, dtype=torch.cfloat)
    assert torch.equal(through_disk(tensor.conj()), tensor.conj().resolve_conj())
    assert torch.equal(through_disk(tensor.conj().imag), tensor.conj().imag.resolve_neg())


def test_tensors_that_share_memory_come_back_apart() -> None:
    tensor = torch.randn(4)
    first, second = through_disk({"a": tensor, "b": [tensor[1:]]}).values()
    assert torch.equal(first, tensor)
    assert torch.equal(second[0], tensor[1:])


def test_gradients_are_wanted_as_before() -> None:
    assert through_disk(torch.ones(2, requires_grad=True)).requires_grad
    assert not through_disk(torch.ones(2)).requires_grad


@pytest.mark.parametrize("coalesced", [True, False])
def test_sparse_codes_come_back(coalesced: bool) -> None:
    codes = torch.sparse_coo_tensor([[0, 2, 0], [1, 0, 1]], [1.0, 2.0, 3.0], (3, 4), check_invariants=True)
    codes = codes.coalesce() if coalesced else codes
    back = through_disk((codes,))[0]
    assert back.is_coalesced() is coalesced
    assert back.shape == codes.shape
    assert torch.equal(back.to_dense(), codes.to_dense())
    assert torch.equal(back._indices(), codes._indices())


def test_records_come_back_as_what_they_were() -> None:
    back = through_disk({"s": Statistics(torch.ones(2), 3), "p": Pair(1, [0.5])})
    assert type(back["s"]) is Statistics
    assert torch.equal(back["s"].sums, torch.ones(2))
    assert back["p"] == Pair(1, [0.5])
    assert type(back["p"]) is Pair


@pytest.mark.parametrize("bits", ["PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64"])
def test_numpy_generators_go_on(bits: str) -> None:
    generator = np.random.Generator(getattr(np.random, bits)(7))
    generator.random(5)
    generator.spawn(1)
    back = through_disk(generator)
    assert np.array_equal(back.random(9), generator.random(9))
    assert back.spawn(1)[0].random() == generator.spawn(1)[0].random()


def test_other_generators_go_on() -> None:
    for make, draw in (
        (lambda: np.random.RandomState(3), lambda g: list(g.standard_normal(5))),
        (lambda: random.Random(3), lambda g: [g.gauss(0, 1) for _ in range(5)]),
        (lambda: torch.Generator().manual_seed(3), lambda g: torch.randn(5, generator=g).tolist()),
    ):
        generator = make()
        draw(generator)
        assert draw(through_disk(generator)) == draw(generator)


@pytest.mark.parametrize(
    "value",
    [{1, 2}, b"x", object(), torch.nn.Parameter(torch.ones(1)), np.array([None]), np.array(["a"]), 1j, len],
    ids=lambda value: type(value).__name__,
)
def test_anything_else_is_refused_by_name(value: object) -> None:
    with pytest.raises(JobError, match=r"^checkpoint: state\.b\.0 is a .*; give ") as refusal:
        through_disk({"b": [value]})
    assert "\n" not in str(refusal.value)


def test_unknown_records_are_refused_both_ways() -> None:
    with pytest.raises(JobError, match="name its dataclass"):
        pack(Pair(1, []), {})
    with pytest.raises(JobError, match="holds a Pair"):
        unpack(pack(Pair(1, []), {}, (Pair,)), {})
