"""The rotation of colours and the cutting up into planes."""

from __future__ import annotations

import pytest
import torch

from unconv.errors import SparseError
from unconv.sparse.restore.colour import OPPONENT, from_opponent, planes_for, take_opacity, to_opponent


def test_rotation_is_orthonormal_and_grey_has_lightness_alone() -> None:
    matrix = torch.tensor(OPPONENT, dtype=torch.float64)
    torch.testing.assert_close(matrix @ matrix.T, torch.eye(3, dtype=torch.float64))
    image = torch.rand(3, 5, 7, dtype=torch.float64)
    torch.testing.assert_close(from_opponent(to_opponent(image)), image)
    grey = to_opponent(torch.rand(1, 5, 7, dtype=torch.float64).expand(3, 5, 7))
    assert float(grey[1:].abs().max()) < 1e-12


def test_photographs_lose_most_of_their_correlation() -> None:
    from skimage import data

    image = torch.from_numpy(data.coffee().copy()).double().permute(2, 0, 1).flatten(1)

    def correlation(planes: torch.Tensor) -> float:
        return float((torch.corrcoef(planes) - torch.eye(3)).abs().max())

    assert correlation(to_opponent(image)) < 0.6 < 0.9 < correlation(image)


@pytest.mark.parametrize(
    ("channels", "kernels", "stack"),
    [(1, 1, (1, 1)), (3, 1, (3, 1)), (3, 3, (1, 3)), (2, 1, (2, 1)), (5, 5, (1, 5))],
)
@pytest.mark.parametrize("size", [(9,), (6, 7)])
@pytest.mark.parametrize("rotate", [True, False])
def test_planes_are_joined_again(
    channels: int, kernels: int, stack: tuple[int, ...], size: tuple[int, ...], rotate: bool
) -> None:
    image = torch.rand(channels, *size)
    planes = planes_for(image, kernels, "denoise", rotate=rotate)
    assert planes.stack.shape == (*stack, *size)
    torch.testing.assert_close(planes.join(planes.stack), image)


def test_other_channels_are_refused_and_opacity_is_no_colour() -> None:
    with pytest.raises(SparseError, match="image of 3 channels, dictionary of 2"):
        planes_for(torch.rand(3, 4, 4), 2, "denoise")
    for channels, colours in ((1, 1), (2, 1), (3, 3), (4, 3), (5, 5)):
        colour, opacity = take_opacity(torch.rand(channels, 4, 4))
        assert colour.shape[0] == colours
        assert (opacity is not None) == (channels != colours)
    assert take_opacity(torch.rand(2, 9))[1] is None
