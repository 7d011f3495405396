"""``uc.audit``: the layers of a model however it is held, and what is likely to be wrong with them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from unconv.arguments import tell_wrong_arguments
from unconv.models.load.open_model import AnyModel, open_model
from unconv.models.structure.trace import held_and_size
from unconv.network.audit.audit import Audit, audit as audit_module
from unconv.network.run.held_inputs import Inputs, Keywords
from unconv.network.run.input_axes import Axes
from unconv.network.run.input_sizes import InputSize


@tell_wrong_arguments
def audit(
    model: AnyModel,
    input_size: InputSize = None,
    *,
    dtype: torch.dtype | Sequence[torch.dtype] | None = None,
    measure: bool = True,
    images: Tensor | Sequence[Tensor] | None = None,
    inputs: Inputs = None,
    kwargs: Keywords = None,
    axes: Axes = None,
) -> Audit:
    """A model's layers with sizes, receptive fields, parameters and MACs, and what is likely to be wrong.

    Nothing is computed but sizes; and, where there are transposed convolutions or pixel shuffles, what their weights
    make of a constant, and which form is the fastest.

    Args:
        model: a module, a MODEL string (built with random weights, as ``unconv audit`` does), or a loaded model.
        input_size: as for :func:`unconv.trace`; that of the images, if these are given, unless told.
        dtype: of the inputs, as in :func:`unconv.trace`.
        measure: try forms of transposed convolutions against each other; False for findings that do not depend on the
            machine.
        images: what the model is for, (batch, channels, *axes), one tensor for each input: checkerboard patterns are
            then judged by what these bring to each upsampling layer.
        inputs: what the model takes behind the image, one or several, ``...`` marking where else the image goes.
        Without
            an input size they are all that it takes, the image among them: tensors, dicts, numbers; see
            :func:`~unconv.network.run.held_inputs.hold_for_trace`.
        kwargs: arguments by keyword, likewise.
        axes: what each axis of an input is, as for :func:`unconv.trace`.

    Raises :class:`~unconv.errors.ModelError` for what is no model or no size, where the model does not take such an
    input, or its path depends on values; tensors of different sizes that are joined are no error but a finding.

    >>> from torch import nn
    >>> model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ConvTranspose2d(8, 3, 3, stride=2))
    >>> found = audit(model, 32, measure=False)
    >>> found.macs, [(finding.severity, finding.layer, finding.rule) for finding in found.findings]
    (442368, [('warning', '1', 'uneven-overlap'), ('hint', '1', 'misses-multiple')])
    >>> audit("lenet5", measure=False).graph.input_sizes
    ((1, 32, 32),)
    """
    opened = open_model(model, "audit", any_weights=True)
    told = images if input_size is None and images is not None else input_size
    module, size = held_and_size(opened, told, inputs, kwargs, "audit", axes)
    return audit_module(module, size, dtype=dtype, measure=measure, images=images, axes=axes)
