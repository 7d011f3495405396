from collections.abc import Callable
from typing import Any

import numpy as np
from torch import Tensor

_Array = np.ndarray[Any, Any]

def instructions() -> str: ...
def solve(
    image: _Array,
    dictionary: _Array,
    weight: _Array | None,
    boundary: int,
    nonnegative: bool,
    penalty_kind: str,
    penalty_values: _Array | None,
    inverse: tuple[float, float, float],
    function: Callable[..., None] | None,
    start_indices: _Array | None,
    start_values: _Array | None,
    tol: float,
    max_steps: int,
    threads: int,
    cancel: _Array | None,
) -> dict[str, Any]: ...
def add_statistics(
    indices: _Array,
    values: _Array,
    canvas: _Array,
    circular: bool,
    scale: float,
    threads: int,
    gram: _Array,
    correlation: _Array,
) -> None: ...
def pixel_loss(
    scores: Tensor,
    targets: Tensor,
    weights: Tensor | None,
    jaccard: float,
    threads: int,
    losses: Tensor,
    gradient: Tensor | None,
) -> None: ...
def confusion(scores: Tensor, targets: Tensor, threads: int, tables: Tensor) -> None: ...
