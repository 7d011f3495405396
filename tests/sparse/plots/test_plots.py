"""Pictures of dictionaries, codes and convergence: figures that stand by themselves."""

from __future__ import annotations

import pytest
import torch

from unconv.errors import SparseError
from unconv.sparse.code.encode import encode
from unconv.sparse.code.encoding import Encoding
from unconv.sparse.plots import plot_codes, plot_convergence, plot_dictionary


@pytest.fixture(scope="module")
def encoding() -> Encoding:
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(2, 3, 20, 24, generator=generator)
    return encode(images, torch.randn(7, 3, 5, 4, generator=generator), "0.2max")


def test_pictures_are_written_without_a_display(encoding: Encoding, tmp_path) -> None:
    figures = {
        "dictionary": plot_dictionary(encoding.dictionary, use=encoding.kernel_use),
        "codes": plot_codes(encoding, index=1),
        "convergence": plot_convergence(encoding),
    }
    for name, figure in figures.items():
        figure.savefig(tmp_path / f"{name}.png")
        assert (tmp_path / f"{name}.png").stat().st_size > 1000


def test_signals_have_pictures(tmp_path) -> None:
    encoding = encode(torch.rand(1, 1, 60), torch.randn(3, 1, 9), "0.2max")
    plot_codes(encoding).savefig(tmp_path / "codes.png")
    plot_dictionary(encoding.dictionary).savefig(tmp_path / "dictionary.png")


def test_an_image_that_is_not_there_is_refused(encoding: Encoding) -> None:
    with pytest.raises(SparseError, match="image 2 of 2"):
        plot_codes(encoding, index=2)
