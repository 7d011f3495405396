"""Answers for indices out of range: rows that an embedding does not have, and classes that an output does not have."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from unconv.network.audit.finding import by_size
from unconv.network.shapes.failing_place import calls_of, modules_to
from unconv.network.shapes.shape_error import ShapeAnswer


def answer_index(error: Exception) -> ShapeAnswer | None:
    """What is wrong with numbers that are out of range, by their values where the error came up; None for all else.

    >>> import torch
    >>> try:
    ...     torch.nn.Embedding(5, 2)(torch.tensor([[1, 7]]))
    ... except IndexError as error:
    ...     answer_index(error).fix
    'nn.Embedding(8, 2)'
    """
    for call in reversed(calls_of(error.__traceback__, F.embedding, F.embedding_bag)):
        rows, words = call.get("weight"), call.get("input")
        if isinstance(rows, Tensor) and isinstance(words, Tensor):
            return _of_rows(error, rows, words)
    for call in reversed(calls_of(error.__traceback__, F.cross_entropy, F.nll_loss)):
        output, target = call.get("input"), call.get("target")
        if isinstance(output, Tensor) and isinstance(target, Tensor):
            return _of_classes(output, target, call.get("ignore_index", -100))
    return None


def _of_rows(error: Exception, rows: Tensor, words: Tensor) -> ShapeAnswer | None:
    count = rows.shape[0]
    # What the embedding of a bag swaps, it says of numbers of words alone.
    if words.is_floating_point() or words.device.type == "meta" or not words.numel():
        return None
    low, high = int(words.min()), int(words.max())
    if low >= 0 and high < count:
        return None
    path = modules_to(error.__traceback__)
    module = path[-1] if path else None
    kind = type(module).__name__ if module is not None and hasattr(module, "num_embeddings") else ""
    name = next((name for name, one in path[0].named_modules() if one is module), "") if kind else ""
    called = name or ("the embedding" if kind else "F.embedding")
    what = f"{called} has {count} rows, for numbers from 0 to {count - 1}, and gets numbers from {low} to {high}"
    if low < 0:
        fix = "numbers from 0 on: negative ones, as of a padding, have no row"
        return ShapeAnswer(what, (), (called,), fix, by_input=False)
    width = rows.shape[1]
    fix = f"nn.{kind}({high + 1}, {width})" if kind else f"a weight of {by_size((high + 1, width))}"
    steps = torch.arange(words.shape[-1], device=words.device)
    if words.shape[-1] == high + 1 and bool((words == steps).all()):
        what = f"{what}, one for each of {high + 1} positions"
        fix = f"at most {count} positions, or {fix}"
    elif high == count and low == 1:
        fix = f"x - 1 where numbers start with 1, or {fix}"
    return ShapeAnswer(what, (), (called,), fix, by_input=False)


def _of_classes(output: Tensor, target: Tensor, ignored: int) -> ShapeAnswer | None:
    if target.is_floating_point() or target.device.type == "meta" or output.ndim == 0:
        return None
    count = output.shape[1 if output.ndim > 1 else 0]
    counted = target[target != ignored]
    if not counted.numel():
        return None
    low, high = int(counted.min()), int(counted.max())
    if low >= 0 and high < count:
        return None
    what = f"the output has {count} classes, 0 to {count - 1}, and the target has numbers from {low} to {high}"
    more = f"{high + 1} classes in the last layer"
    if low < 0:
        fix = f"ignore_index={low}, where {low} marks what has no class" + (f", and {more}" if high >= count else "")
    elif low >= 1 and high == count:
        fix = f"target - 1, where classes are numbered from 1; else {more}"
    elif high == 255 and count < 255:
        fix = f"ignore_index=255, where 255 marks places without a class; else {more}"
    else:
        fix = more
    return ShapeAnswer(what, (), ("the output",), fix, by_input=False)
