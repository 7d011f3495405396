"""Refusals of torch's layers, as one line of ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from unconv.errors import UnconvError, one_line
from unconv.operators.geometry.sizes import per_axis


@contextmanager
def refusing(operation: str, in_channels: int, out_channels: int) -> Iterator[None]:
    """Around the making of a layer of torch: what it refuses is an error of ours that begins with the operation.

    >>> from torch import nn
    >>> with refusing("resize-convolution", 4, 6):
    ...     _ = nn.Conv2d(4, 6, 3, groups=5)
    Traceback (most recent call last):
    unconv.errors.UnconvError: resize-convolution: in_channels must be divisible by groups
    """
    per_axis(operation, "in_channels and out_channels", (in_channels, out_channels), 2, least=0)
    try:
        yield
    except UnconvError:
        raise
    except (RuntimeError, TypeError, ValueError) as error:
        raise UnconvError(f"{operation}: {one_line(error)}") from error
