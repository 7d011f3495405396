"""Idx files: what is read is what was written."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st

from unconv.data.fashion_files.idx import read_idx, write_idx


@given(sizes=st.lists(st.integers(0, 5), min_size=1, max_size=4), packed=st.booleans())
def test_idx_comes_back(tmp_path_factory: pytest.TempPathFactory, sizes: list[int], packed: bool) -> None:
    path = tmp_path_factory.mktemp("idx") / ("x.gz" if packed else "x")
    values = np.random.default_rng(sum(sizes)).integers(0, 256, sizes, dtype=np.uint8)
    write_idx(path, values)
    assert np.array_equal(read_idx(path, len(sizes)).numpy(), values)
