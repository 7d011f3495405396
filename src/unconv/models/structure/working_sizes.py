"""``uc.working_sizes``: the input sizes that a model takes, however it is held."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from unconv.arguments import tell_wrong_arguments
from unconv.models.load.open_model import AnyModel, open_model
from unconv.models.structure.trace import size_for
from unconv.network.find_working_sizes import working_sizes as find_working_sizes
from unconv.network.run.input_sizes import InputSize, as_input_sizes, told_dtypes
from unconv.network.working_sizes import WorkingSizes


@tell_wrong_arguments
def working_sizes(
    model: AnyModel,
    input_size: InputSize = None,
    *,
    dtype: torch.dtype | Sequence[torch.dtype] | None = None,
    seconds: float = 10.0,
) -> WorkingSizes:
    """The input sizes that a model takes, axis by axis: multiples with a remainder, and code that makes any size run.

    The model runs on shapes alone, as for :func:`unconv.trace`, once for each size that is tried. Each axis is changed
    with the others held; axes, and inputs, that only change together are told together.

    Args:
        model: a module, a MODEL string (built with random weights), or a loaded model.
        input_size: as for :func:`unconv.trace`; sizes that work, or near those.
        dtype: of the inputs, as in :func:`unconv.trace`.
        seconds: after which no further size is tried; the result says if that came about.

    Raises :class:`~unconv.errors.ModelError` for what is no model or no size, and where no size nearby works.

    >>> from torch import nn
    >>> found = working_sizes(nn.Sequential(nn.PixelUnshuffle((2)), nn.Conv2d(12, 3, 3)), (3, 31, 48))
    >>> found
    Working sizes, around 3×32×48
      rows     2n from 6 on
      columns  2n from 6 on
      tried    16 sizes, all of a period
    >>> found.takes(((3, 30, 64),)), found.takes(((3, 31, 64),)), found.axes[0].multiple
    (True, False, 2)
    """
    opened = open_model(model, "working sizes", any_weights=True)
    sizes = as_input_sizes(size_for(opened, input_size), opened.module, "working sizes")
    kinds = told_dtypes(input_size, opened.module) if dtype is None else dtype
    return find_working_sizes(opened.module, sizes, kinds, seconds=seconds)
