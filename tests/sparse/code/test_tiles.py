"""Images solved tile by tile: the optimum and the gap of the whole, whatever the tiles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.sparse.oracles import BOUNDARIES
from unconv.errors import SparseError
from unconv.sparse.code.boundary import code_size
from unconv.sparse.code.encode import encode
from unconv.sparse.code.penalty import InverseCorrelation


def task(axes: int, channels: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(axes)
    size, kernel = ((90,), (7,)) if axes == 1 else ((40, 33), (5, 4))
    image = torch.randn(1, channels, *size, generator=generator, dtype=torch.float64)
    kernels = torch.randn(4, channels, *kernel, generator=generator, dtype=torch.float64)
    return image, kernels / kernels.flatten(1).norm(dim=1).reshape(-1, *(1,) * (axes + 1))


def penalty_of(kind: str, image: torch.Tensor, kernels: torch.Tensor, boundary: str) -> Any:
    if kind == "position":
        size = code_size(image.shape[2:], kernels.shape[2:], boundary)  # type: ignore[arg-type]
        return torch.rand(len(kernels), *size, generator=torch.Generator().manual_seed(0), dtype=torch.float64) + 0.5
    return {"number": 1.0, "correlation": InverseCorrelation(1.0, 1.0, 1e-3)}[kind]


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("axes", [1, 2])
@pytest.mark.parametrize("kind", ["number", "position", "correlation"])
@pytest.mark.parametrize("masked", [False, True])
def test_tiles_come_to_the_optimum_of_the_whole(boundary: str, axes: int, kind: str, masked: bool) -> None:
    image, kernels = task(axes)
    mask = torch.rand(1, 1, *image.shape[2:], generator=torch.Generator().manual_seed(1)) > 0.3 if masked else None
    if mask is not None:
        image = torch.where(mask, image, torch.nan)
    penalty = penalty_of(kind, image.nan_to_num(), kernels, boundary)
    options: dict[str, Any] = {"mask": mask, "boundary": boundary}
    whole = encode(image, kernels, penalty, tol=1e-7, **options)
    tiled = encode(image.numpy(), kernels, penalty, tol=1e-5, tile=16, **options)
    assert bool(tiled.converged)
    assert float(whole.objective) * (1 - 1e-7) <= float(tiled.objective) <= float(whole.objective) * (1 + 1.01e-5)
    torch.testing.assert_close(
        tiled.reconstruct().nan_to_num(),
        whole.reconstruct().nan_to_num(),
        rtol=0,
        atol=0.02,  # type: ignore[union-attr]
    )


@pytest.mark.parametrize("tile", [7, 20, 1000])
def test_the_size_of_the_tiles_does_not_matter(tile: int) -> None:
    image, kernels = task(2)
    objectives = [float(encode(image, kernels, 0.8, tol=1e-6, tile=each).objective) for each in (tile, 13)]
    assert objectives[0] == pytest.approx(objectives[1], rel=2e-6)


def test_an_image_on_disk_is_only_sliced(tmp_path: Path) -> None:
    image, kernels = task(2)
    np.save(tmp_path / "image.npy", image[0].numpy())

    class Sliced:
        """What a data set in a file offers, and the largest piece that was read."""

        largest = 0

        def __init__(self) -> None:
            self.array = np.load(tmp_path / "image.npy", mmap_mode="r")
            self.shape = self.array.shape

        def __getitem__(self, where: Any) -> np.ndarray[Any, Any]:
            found = self.array[where]
            Sliced.largest = max(Sliced.largest, found.shape[1])
            return found

        def __array__(self, *_: Any, **__: Any) -> np.ndarray[Any, Any]:
            raise AssertionError("read whole")

    tiled = encode([Sliced()], kernels, 0.8, tile=12)
    assert Sliced.largest <= 18 + 4
    assert float(tiled.gap) <= 1e-3
    assert float(tiled.objective) == pytest.approx(float(encode(image, kernels, 0.8).objective), rel=2e-3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tile": 3}, "at least the kernel size"),
        ({"tile": 2.5}, "no integer"),
        ({"solver": "torch"}, "do not go together"),
        ({"penalty": "0.1max"}, "needs the whole image"),
        ({"mask": np.ones((1, 1, 3, 3))}, "mask of shape"),
    ],
)
def test_what_cannot_be_is_one_line(change: dict[str, Any], message: str) -> None:
    image, kernels = task(2)
    with pytest.raises(SparseError, match=message):
        encode(image, kernels, **{"penalty": 0.8, "tile": 16, **change})
