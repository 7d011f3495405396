"""Networks that end in fully connected layers: they tell classes apart at one size of picture only."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from unconv.errors import ModelError


def fixed_maps(
    name: str,
    features: nn.Module,
    x: Float[Tensor, "batch channels height width"],
    input_size: tuple[int, int],
    maps_size: tuple[int, int],
) -> Float[Tensor, "batch maps rows columns"]:
    """The feature maps of a picture, once it is sure that the layers after them can take them.

    Asked after the maps are there: a layer before the fully connected ones may be looked at in a window of the picture.

    Args:
        name: of the network, for the message.
        features: the layers before the fully connected ones.
        x: pictures.
        input_size: (height, width) that the network is meant for.
        maps_size: (height, width) of the maps of such pictures.

    Raises ModelError for pictures of another size.

    >>> import torch
    >>> fixed_maps("small", nn.Conv2d(1, 4, 5), torch.zeros(2, 1, 9, 9), (8, 8), (4, 4))
    Traceback (most recent call last):
    unconv.errors.ModelError: small: input 9x9; it tells classes apart at 8x8 only
    """
    height, width = x.shape[-2:]
    told = f"{name}: input {height}x{width}; it tells classes apart at {input_size[0]}x{input_size[1]} only"
    try:
        maps: Tensor = features(x)
    except RuntimeError as error:
        # What torch says of a window that is larger than its input.
        if "size" in str(error) and (height < input_size[0] or width < input_size[1]):
            raise ModelError(told) from error
        raise
    if tuple(maps.shape[-2:]) != maps_size:
        raise ModelError(told)
    return maps
