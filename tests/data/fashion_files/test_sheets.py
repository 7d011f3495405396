"""Sheets of small pictures: what is read is what was packed."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, strategies as st
from PIL import Image

from unconv.data.fashion_files.sheets import read_sheet, write_sheet
from unconv.errors import ImageError


@given(count=st.integers(1, 230), side=st.integers(1, 9))
def test_a_sheet_comes_back(tmp_path_factory: pytest.TempPathFactory, count: int, side: int) -> None:
    path = tmp_path_factory.mktemp("sheet") / "x.png"
    torch.manual_seed(count)
    images = torch.randint(0, 256, (count, side, side), dtype=torch.uint8)
    labels = torch.randint(0, 10, (count,), dtype=torch.uint8)
    write_sheet(path, images, labels)
    found = read_sheet(path, side)
    assert torch.equal(found[0], images)
    assert torch.equal(found[1], labels)


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_another_picture_is_no_sheet(tmp_path_factory: pytest.TempPathFactory, mode: str) -> None:
    path = tmp_path_factory.mktemp("sheet") / "x.png"
    Image.new(mode, (40, 20)).save(path)
    with pytest.raises(ImageError, match="0 labels are no sheet of 4x4 cells; install unconv again"):
        read_sheet(path, 4)
