"""``uc.working_sizes``: the input sizes that a model takes, however it is held."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from unconv.arguments import tell_wrong_arguments
from unconv.models.load.open_model import AnyModel, open_model
from unconv.models.structure.trace import held_and_size
from unconv.network.find_working_sizes import working_sizes as find_working_sizes
from unconv.network.run.input_axes import Axes, read_axes, usual_axes
from unconv.network.run.input_sizes import InputSize, as_input_sizes, told_dtypes
from unconv.network.working_sizes import WorkingSizes


@tell_wrong_arguments
def working_sizes(
    model: AnyModel,
    input_size: InputSize = None,
    *,
    dtype: torch.dtype | Sequence[torch.dtype] | None = None,
    seconds: float = 10.0,
    axes: Axes = None,
) -> WorkingSizes:
    """The input sizes that a model takes, axis by axis: multiples with a remainder, and code that makes any size run.

    The model runs on shapes alone, as for :func:`unconv.trace`, once for each size that is tried. Each axis is changed
    with the others held; axes, and inputs, that only change together are told together.

    Args:
        model: a module, a MODEL string (built with random weights), or a loaded model.
        input_size: as for :func:`unconv.trace`; sizes that work, or near those.
        dtype: of the inputs, as in :func:`unconv.trace`.
        seconds: after which no further size is tried; the result says if that came about.
        axes: what each axis of an input is, as for :func:`unconv.trace`; sizes are told by these names, and the code
            pads and crops along them.

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
    >>> working_sizes(nn.Sequential(nn.Unflatten(1, (1, -1)), nn.Conv1d(1, 8, 10, 5)), (16000,), axes="t").told
    't n from 10 on'
    """
    opened = open_model(model, "working sizes", any_weights=True)
    told = read_axes(axes, "working sizes")
    module, size = held_and_size(opened, input_size, None, None, "working sizes", axes)
    sizes = as_input_sizes(size, module, "working sizes", lengths=[len(one.names) for one in told])
    kinds = told_dtypes(input_size, module) if dtype is None else dtype
    order = told or tuple(map(usual_axes, sizes))
    return find_working_sizes(module, sizes, kinds, axes=order, seconds=seconds)
