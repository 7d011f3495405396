"""Answers for batches that cannot be put together: samples of a data set that are of several shapes."""

from __future__ import annotations

import re
from collections.abc import Sequence

from torch.utils.data._utils.collate import collate_tensor_fn

from unconv.network.audit.finding import by_size
from unconv.network.shapes.failing_place import calls_of
from unconv.network.shapes.shape_error import ShapeAnswer

_UNEQUAL = re.compile(r"each tensor to be equal size, but got \[(.*?)\] at entry 0 and \[(.*?)\] at entry (\d+)")


def answer_batch(error: Exception) -> ShapeAnswer | None:
    """What mends samples of several shapes, where a DataLoader puts them together; None for all else.

    >>> import torch
    >>> from torch.utils.data import default_collate
    >>> try:
    ...     default_collate([torch.zeros(3, 8, 8), torch.zeros(1, 8, 8)])
    ... except RuntimeError as error:
    ...     answer_batch(error).what
    'sample 1 of a batch is 1×8×8 and the first 3×8×8: they cannot be stacked'
    """
    # Of other processes there is the text of what was on the way.
    if not (calls_of(error.__traceback__, collate_tensor_fn) or "collate" in str(error)):
        return None
    unequal = _UNEQUAL.search(str(error))
    if unequal is None:
        what = "the samples of a batch are of several shapes: a worker of the DataLoader cannot stack them"
        fix = "samples of one shape in the data set, or a collate_fn of your own; num_workers=0 tells which they are"
        return ShapeAnswer(what, (), ("the data",), fix, by_input=False)
    one, two = ([int(size) for size in text.split(",") if size.strip()] for text in unequal.groups()[:2])
    sizes = [by_size(size) or "one number" for size in (one, two)]
    what = f"sample {unequal[3]} of a batch is {sizes[1]} and the first {sizes[0]}: they cannot be stacked"
    return ShapeAnswer(what, (), ("the data",), _alike(one, two), by_input=False)


def _alike(one: Sequence[int], two: Sequence[int]) -> str:
    """What makes two samples one shape."""
    if len(one) == len(two) == 3 and one[0] == two[0]:
        return (
            "transforms.Resize((height, width)) in the data set, with both (one number is the shorter side's), or "
            "batch_size=1"
        )
    if len(one) == len(two) == 3:
        return 'pictures of one mode, as image.convert("RGB") in the data set'
    if len(one) == len(two) and list(one[1:]) == list(two[1:]):
        return "a collate_fn with torch.nn.utils.rnn.pad_sequence(samples, batch_first=True)"
    return "samples of one shape in the data set, or a collate_fn of your own"
