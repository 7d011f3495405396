"""What upsampling layers with a scale factor have in common."""

from __future__ import annotations

import warnings

from torch import nn


class WithFactor(nn.Module):
    """A layer whose output has ``scale_factor`` times the input's size, one number for each axis."""

    scale_factor: tuple[int, ...]

    @property
    def factor(self) -> tuple[int, ...]:
        """The scale factor, under the name that it had."""
        warnings.warn(f"{type(self).__name__}.factor is scale_factor now", DeprecationWarning, stacklevel=2)
        return self.scale_factor
