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


@dataclass(frozen=True)
class Two:
    left: int
    right: list[float]


def through_disk(value: object) -> object:
    tensors: dict[str, torch.Tensor] = {}
    packed = json.loads(json.dumps(pack(value, tensors, (Statistics, Two))))
    return unpack(packed, load(save(tensors)), (Statistics, Two))


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


def test_records_come_back_as_what_they_were() -> None:
    back = through_disk({"s": Statistics(torch.ones(2), 3), "p": Two(1, [0.5])})
    assert type(back["s"]) is Statistics
    assert torch.equal(back["s"].sums, torch.ones(2))
    assert back["p"] == Two(1, [0.5])
    assert type(back["p"]) is Two


def test_generators_go_on() -> None:
    generator = torch.Generator().manual_seed(3)
    torch.randn(5, generator=generator)
    back = through_disk(generator)
    assert torch.equal(torch.randn(5, generator=back), torch.randn(5, generator=generator))


@pytest.mark.parametrize(
    "value",
    [
        {1, 2},
        b"x",
        object(),
        torch.nn.Parameter(torch.ones(1)),
        torch.eye(2).to_sparse(),
        np.ones(2),
        np.float32(1),
        random.Random(1),
        Pair(1, []),
        1j,
        len,
    ],
    ids=lambda value: type(value).__name__,
)
def test_anything_else_is_refused_by_name(value: object) -> None:
    with pytest.raises(JobError, match=r"^checkpoint: state\.b\.0 is a .*; give ") as refusal:
        through_disk({"b": [value]})
    assert "\n" not in str(refusal.value)


def test_unknown_records_are_refused_both_ways() -> None:
    with pytest.raises(JobError, match="name its dataclass"):
        pack(Two(1, []), {})
    with pytest.raises(JobError, match="holds a Two"):
        unpack(pack(Two(1, []), {}, (Two,)), {})
