"""Outputs as maps: one number for each image, output and place, from whatever a model returns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from unconv.describe import counted
from unconv.errors import ModelError
from unconv.network.run.outputs import MAIN, describe_output, main_output


def as_maps(output: Any, batch: int, image: Sequence[int], operation: str) -> Float[Tensor, "batch output place"]:
    """The outputs of some images, at each place of a map; a single place where they are no maps.

    Raises ModelError for what has no numbers for each image, for whole numbers, and where they are not finite.

    >>> as_maps({"out": torch.zeros(2, 5, 8, 8)}, 2, (3, 8, 8), "see").shape
    torch.Size([2, 5, 64])
    >>> as_maps(torch.zeros(2), 2, (), "see").shape
    torch.Size([2, 1, 1])
    """
    tensor = main_output(output).tensor
    if tensor is None:
        raise ModelError(
            f"{operation}: the model returns {describe_output(output)}, no tensor (batch, output); give it a model "
            f"that returns one, alone or called {', '.join(MAIN[:3])}"
        )
    if tensor.is_quantized:
        tensor = tensor.dequantize()
    if not tensor.is_floating_point():
        raise ModelError(
            f"{operation}: the model returns {str(tensor.dtype).removeprefix('torch.')} numbers, labels perhaps; give "
            "it one that returns the scores that they are chosen by"
        )
    if batch == 1 and tensor.ndim < 2 and tensor.shape[:1] != (1,):
        # Squeezed: the batch of one has gone with the other axes of one.
        tensor = tensor[None]
    if not tensor.ndim or len(tensor) != batch or tensor.numel() == 0:
        raise ModelError(
            f"{operation}: the model returns {describe_output(tensor)} for {counted(batch, 'image')}, not "
            "(batch, output) or maps (batch, output, height, width); give it a classifier"
        )
    if tensor.ndim == 1 or (tensor.ndim == 3 and tuple(tensor.shape[1:]) == tuple(image[1:])):
        tensor = tensor[:, None]
    if tensor.ndim == 3:
        raise ModelError(
            f"{operation}: the model returns {describe_output(tensor)}; which axis has the outputs is not known; "
            "return (batch, output) or maps (batch, output, height, width)"
        )
    if not bool(tensor.isfinite().all()):
        raise ModelError(f"{operation}: the scores contain NaN or infinite values; check the weights and the images")
    maps: Tensor = tensor.flatten(2) if tensor.ndim > 2 else tensor[..., None]
    return maps.float() if maps.dtype in (torch.float16, torch.bfloat16) else maps
