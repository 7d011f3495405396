"""Figures of results: convergence, and restored pictures beside what they were made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from math import log10
from typing import TYPE_CHECKING, Any

import torch.nn.functional as F
from torch import Tensor

from unconv.errors import MissingExtraError, SparseError
from unconv.sparse.code.encoding import Encoding
from unconv.sparse.code.validate import as_float, as_tensor
from unconv.sparse.types import ImageLike

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from unconv.sparse.estimator.learner import DictionaryLearner


def plot_convergence(result: Encoding | DictionaryLearner) -> Figure:
    """Objective, and relative duality gap, against time.

    One curve an image of an :class:`~unconv.sparse.code.encoding.Encoding`; for a fitted learner its objective a round.
    What lies above the smallest value seen is drawn on a logarithmic axis, as the gap is.

    >>> import torch
    >>> from unconv.sparse.code.encode import encode
    >>> encoding = encode(torch.rand(1, 1, 24, 24), torch.randn(6, 1, 5, 5), "0.1max")
    >>> [axes.get_title(loc="left") for axes in plot_convergence(encoding).axes]
    ['objective', 'relative duality gap']
    """
    need_matplotlib()
    from unconv.data.figure import BLUE, blank, ruled
    from unconv.sparse.plots.figure import ORANGE

    if not isinstance(result, Encoding):
        return _learning_curve(result)
    figure = blank(7.2, 2.8)
    objective, gap = figure.subplots(1, 2)
    ruled(objective, "objective", "seconds")
    ruled(gap, "relative duality gap", "seconds").set_yscale("log")
    many = len(result.trace) > 1
    for trace in result.trace:
        style: dict[str, Any] = {"color": BLUE, "linewidth": 1.2, "alpha": 0.5 if many else 1.0}
        if not many:
            style |= {"marker": "o", "markersize": 2.5}
        objective.plot(trace.seconds.numpy(), trace.objective.numpy(), **style)
        gap.plot(trace.seconds.numpy(), trace.gap.clamp(min=1e-16).numpy(), **(style | {"color": ORANGE}))
    objective.set_yscale("log")
    return figure


def _learning_curve(learner: DictionaryLearner) -> Figure:
    from unconv.data.figure import BLUE, blank, ruled

    history = getattr(learner, "history_", None)
    if history is None:
        raise SparseError(
            f"plot_convergence: a {type(learner).__name__} has neither trace nor history_; give an Encoding or a "
            "fitted DictionaryLearner"
        )
    seconds = [entry.seconds for entry in history]
    figure = blank(4.2, 2.8)
    axes = ruled(figure.add_subplot(), "objective after each round", "seconds")
    axes.plot(seconds, [entry.objective for entry in history], color=BLUE, linewidth=1.2, marker="o", markersize=2.5)
    axes.set_yscale("log")
    return figure


def plot_before_after(
    before: ImageLike,
    after: ImageLike,
    reference: ImageLike | None = None,
    *,
    names: Sequence[str] = ("before", "after", "reference"),
) -> Figure:
    """Two pictures side by side, or three, with one window of each enlarged below; PSNR where a reference is given.

    PSNR = 10·log₁₀(1 / mean squared difference to the reference). The window is where the last has most contrast.

    >>> import torch
    >>> noisy, clean = torch.rand(1, 48, 64), torch.full((1, 48, 64), 0.5)
    >>> len(plot_before_after(noisy, clean).axes), len(plot_before_after(noisy, clean, clean).axes)
    (4, 6)

    Args:
        before, after, reference: (C, *size) in [0, 1], all of one size; NaN is drawn white.
        names: what stands above them.

    Raises :class:`~unconv.errors.SparseError` where shapes differ.
    """
    given = [picture for picture in (before, after, reference) if picture is not None]
    return plot_beside(dict(zip(names, given, strict=False)), names[2] if reference is not None else None)


def plot_beside(given: Mapping[str, ImageLike], reference: str | None = None) -> Figure:
    """Pictures side by side under their names, with one window of each enlarged below; signals below each other.

    >>> import torch
    >>> [axes.get_title(loc="left") for axes in plot_beside({"known": torch.rand(1, 24, 32)}).axes]
    ['known', '']

    Args:
        given: (C, *size) in [0, 1] by their names, all of one size; NaN is drawn white.
        reference: which of them the PSNR of the others is to.

    Raises :class:`~unconv.errors.SparseError` where shapes differ.
    """
    pictures = [
        as_float(as_tensor(picture, "picture", "plot"), "picture", "plot", eight_bits=True).detach().cpu()
        for picture in given.values()
    ]
    shapes = {tuple(picture.shape[1:]) for picture in pictures}
    if len(shapes) > 1 or any(picture.ndim not in (2, 3) for picture in pictures):
        raise SparseError(
            f"plot: pictures of shapes {[tuple(picture.shape) for picture in pictures]}; all must be (C, *size) of one "
            "size"
        )
    need_matplotlib()
    judge = None if reference is None else pictures[list(given).index(reference)]
    titles = [_title(name, picture, judge) for name, picture in zip(given, pictures, strict=True)]
    shown = [picture.nan_to_num(nan=1.0) for picture in pictures]
    return _curves_below(shown, titles) if shown[0].ndim == 2 else _with_windows(shown, titles)


def _title(name: str, picture: Tensor, reference: Tensor | None) -> str:
    if reference is None or picture is reference:
        return name
    value = psnr(picture, reference)
    return name if value != value else f"{name}, {value:.2f} dB"


def psnr(picture: Tensor, reference: Tensor) -> float:
    """10·log₁₀(1 / mean squared difference), in dB, for pictures in [0, 1].

    >>> import torch
    >>> round(psnr(torch.zeros(1, 8, 8), torch.full((1, 8, 8), 0.1)), 2)
    20.0
    """
    error = float((picture.double() - reference.double()).square().mean())
    return float("inf") if error == 0 else -10 * log10(error)


def _curves_below(pictures: Sequence[Tensor], titles: Sequence[str]) -> Figure:
    from unconv.data.figure import blank
    from unconv.sparse.plots.figure import show

    figure = blank(7.2, 1.6 * len(pictures))
    for place, (picture, title) in enumerate(zip(pictures, titles, strict=True)):
        show(figure.add_subplot(len(pictures), 1, place + 1), picture, title)
    return figure


def _with_windows(pictures: Sequence[Tensor], titles: Sequence[str]) -> Figure:
    """Each picture, and below it the window of it."""
    from matplotlib.patches import Rectangle

    from unconv.data.figure import blank, frame
    from unconv.sparse.plots.figure import ORANGE, show

    height, width = pictures[0].shape[1:]
    side = max(1, min(height, width) // 4)
    top, left = _window(pictures[-1], side)
    figure = blank(3.2 * len(pictures), 3.2 * height / width + 3.4)
    grid = figure.subplots(2, len(pictures), height_ratios=(height / width, 1), squeeze=False)
    for place, (picture, title) in enumerate(zip(pictures, titles, strict=True)):
        whole, part = grid[0, place], grid[1, place]
        show(whole, picture, title)
        whole.add_patch(Rectangle((left - 0.5, top - 0.5), side, side, fill=False, edgecolor=ORANGE, linewidth=1.0))
        show(part, picture[:, top : top + side, left : left + side], "")
        part.images[0].set_interpolation("nearest")
        frame(part, ORANGE, 1.0)
    return figure


def _window(picture: Tensor, side: int) -> tuple[int, int]:
    """Corner of the square in which a picture has most contrast around its mean."""
    mean = F.avg_pool2d(picture[None], side, stride=1)
    spread = (F.avg_pool2d(picture[None] ** 2, side, stride=1) - mean**2).sum(dim=1)[0]
    place = int(spread.argmax())
    return place // spread.shape[1], place % spread.shape[1]


def need_matplotlib() -> None:
    """Raise :class:`~unconv.errors.MissingExtraError` where matplotlib is not installed."""
    if find_spec("matplotlib") is None:
        raise MissingExtraError("plot", "matplotlib", "demo")
