"""Convolutional sparse coding: codes of images for a given dictionary, by either solver."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, overload

import torch
from torch import Tensor

from unconv.arguments import tell_wrong_arguments
from unconv.choices import Boundary, Solver
from unconv.errors import SparseError
from unconv.jobs.progress import bar, quiet
from unconv.sparse.code.boundary import check_boundary, code_size
from unconv.sparse.code.encoding import Encoding
from unconv.sparse.code.fista import solve_fista
from unconv.sparse.code.penalty import as_penalty
from unconv.sparse.code.problem import Problem, largest_correlation, per_image, problems_from
from unconv.sparse.code.solution import Solution
from unconv.sparse.code.sparse_tensors import sparse_codes, stack_codes
from unconv.sparse.code.validate import as_tensor, check_dictionary, load_images
from unconv.sparse.types import DictionaryLike, Images, MaskLike, PenaltyLike, StartLike

if TYPE_CHECKING:
    import numpy as np

    from unconv.sparse.code.encoding import StackEncoding
    from unconv.sparse.code.tiles import TileTask

# Images between two strokes of the progress bar: enough for every core, few enough to see it move.
_GROUP = 8


@overload
def encode(
    images: Tensor | np.ndarray[Any, Any],
    dictionary: DictionaryLike,
    penalty: PenaltyLike = ...,
    *,
    mask: MaskLike | None = ...,
    nonnegative: bool = ...,
    boundary: Boundary = ...,
    tol: float = ...,
    start: StartLike | None = ...,
    solver: Solver = ...,
    threads: int | None = ...,
    max_steps: int | None = ...,
    tile: int | None = ...,
    progress: bool = ...,
) -> StackEncoding: ...
@overload
def encode(
    images: Images,
    dictionary: DictionaryLike,
    penalty: PenaltyLike = ...,
    *,
    mask: MaskLike | None = ...,
    nonnegative: bool = ...,
    boundary: Boundary = ...,
    tol: float = ...,
    start: StartLike | None = ...,
    solver: Solver = ...,
    threads: int | None = ...,
    max_steps: int | None = ...,
    tile: int | None = ...,
    progress: bool = ...,
) -> Encoding: ...
@tell_wrong_arguments
def encode(
    images: Images,
    dictionary: DictionaryLike,
    penalty: PenaltyLike = 0.05,
    *,
    mask: MaskLike | None = None,
    nonnegative: bool = False,
    boundary: Boundary = "crop",
    tol: float = 1e-3,
    start: StartLike | None = None,
    solver: Solver = "auto",
    threads: int | None = None,
    max_steps: int | None = None,
    tile: int | None = None,
    progress: bool = False,
) -> Encoding:
    """Convolutional sparse coding: codes z_k, mostly zero, with Σ_k d_k ∗ z_k ≈ the image.

    min over z of ½‖W(s − Σ_k d_k ∗ z_k)‖² + Σ_i λ_i|z_i| (Zeiler et al. 2010; Wohlberg 2016), to a relative duality
    gap of ``tol``: the objective is then at most that part of itself above the smallest possible.

    >>> images, dictionary = torch.rand(2, 1, 16, 16), torch.rand(4, 1, 5, 5)
    >>> encoding = encode(images, dictionary, penalty="0.1max")
    >>> encoding.codes.shape, encoding.reconstruct().shape, bool((encoding.gap <= 1e-3).all())
    (torch.Size([2, 4, 20, 20]), torch.Size([2, 1, 16, 16]), True)

    Args:
        images: (N, C, H, W), for signals (N, C, T), or a list of such without N, of any sizes; numpy or torch; uint8
            counts as value / 255. Or whatever :func:`~unconv.data.read.source.source_of` takes, read into memory: files
            and folders, with as many channels as the kernels have; datasets; lists of all these.
        dictionary: (K, C, *kernel size); kernels smaller than that have zeros behind them. Or a fitted
            learner, for its kernels; its own ``encode`` takes its low-pass off first.
        penalty: λ, in units of |Dᵀs|: a number; K numbers, one a kernel; an array that broadcasts to (K, *code), inf
            where a coefficient must be 0; a function of a block of DᵀW²s (K, rows, columns) that returns its λ; a
            :class:`~unconv.sparse.code.penalty.Penalty`; "0.1max" for that part of :func:`penalty_max`; or one of these
            an
            image: a list, or an array that broadcasts to (N, K, *code).
        mask: W ≥ 0, broadcastable to the images, or a list: 0 where a pixel is missing (it may be NaN), 1 where not.
        nonnegative: whether z ≥ 0.
        boundary: "crop" (kernels overhang the image), "valid" (they do not) or "circular" (they wrap around).
        tol: relative duality gap to reach.
        start: an :class:`Encoding`, or codes, to start from.
        solver: "native" (coordinate descent in C++: processor, 1 and 2 axes), "torch" (FISTA: any device, 1 to 3
            axes), or "auto": native where it can, else torch. ``Encoding.solver`` says which it was.
        threads: how many; as many as torch uses unless given.
        max_steps: steps of the solver, after which it returns what it has, ``converged`` False.
        tile: solve an image in tiles of so many positions along each axis, one after the other, and again until the gap
            of the whole is small enough (native solver). Then images are only sliced, and may be numpy's memmap or data
            sets of h5py or zarr that do not fit in memory; ``steps`` counts rounds.
        progress: whether to show a bar.

    Raises :class:`~unconv.errors.SparseError` for what does not fit together.
    """
    _check_controls(tol, threads, max_steps)
    images = load_images(images, dictionary)
    if tile is not None:
        from unconv.sparse.code.tiles import TileTask

        if solver == "torch" or start is not None:
            what = "solver='torch'" if solver == "torch" else "start"
            raise SparseError(f"encode: tile and {what} do not go together; leave one of them out")
        known, kernels = check_boundary(boundary), check_dictionary(dictionary).clone()
        task = TileTask(kernels, penalty, bool(nonnegative), known, tol, tile, threads, max_steps)
        return _encode_in_tiles(images, mask, task, progress)
    first = start.codes if isinstance(start, Encoding) else start
    problems = problems_from(images, dictionary, penalty, mask, nonnegative, boundary, first)
    chosen = _choose(solver, problems)
    solutions: list[Solution] = []
    with _bar(len(problems), progress) as advance:
        for group in _groups(problems, chosen, progress):
            solutions += _solve(group, chosen, tol, max_steps, threads)
            advance(len(group))
    facts = [(problem.image_size, problem.penalty.describe()) for problem in problems]
    kernels = check_dictionary(dictionary)
    kernels = (problems[0].dictionary.to(kernels.device) if problems else kernels).clone()
    stacked = None if isinstance(images, list | tuple) else as_tensor(images, "images").shape[2:]
    return _encoding(kernels, boundary, facts, stacked, solutions, chosen, bool(nonnegative))


@tell_wrong_arguments
def penalty_max(
    images: Images,
    dictionary: DictionaryLike,
    *,
    mask: MaskLike | None = None,
    nonnegative: bool = False,
    boundary: Boundary = "crop",
) -> float:
    """The smallest λ for which all codes of all images are zero: max |DᵀW²s| (positive parts only if
    nonnegative).

    >>> penalty_max(torch.ones(1, 1, 8, 8), torch.ones(1, 1, 3, 3))
    9.0
    """
    images = load_images(images, dictionary, "penalty_max")
    problems = problems_from(images, dictionary, 1.0, mask, nonnegative, boundary, where="penalty_max")
    return largest_correlation(problems)


def _check_controls(tol: float, threads: int | None, max_steps: int | None) -> None:
    if not (isinstance(tol, int | float) and 0 < tol < float("inf")):
        raise SparseError(f"encode: tol {tol!r} is no relative gap to reach; use a number above 0, such as 1e-3")
    for name, number, least in (("threads", threads, 1), ("max_steps", max_steps, 0)):
        if number is not None and (not isinstance(number, int) or isinstance(number, bool) or number < least):
            raise SparseError(f"encode: {name} {number!r} is not an integer of at least {least}")


def _choose(solver: str, problems: Sequence[Problem]) -> str:
    """The solver that will run: what was asked for, or native where it can solve every one of the problems."""
    if solver not in ("auto", "native", "torch"):
        raise SparseError(f"encode: solver {solver!r} is not known; use 'auto', 'native' or 'torch'")
    if solver == "torch":
        return solver
    try:
        from unconv.sparse.code.native import available

        able = all(available(problem) for problem in problems)
    except ImportError as error:
        if solver == "native":
            raise SparseError(f"encode: the native solver is not installed ({error}); use solver='torch'") from None
        return "torch"
    if solver == "native" and not able:
        raise SparseError(
            "encode: the native solver takes 1 and 2 axes on the processor, and an image here is something else; use "
            "solver='torch'"
        )
    return "native" if able else "torch"


def _solve(
    problems: Sequence[Problem], solver: str, tol: float, max_steps: int | None, threads: int | None
) -> list[Solution]:
    if solver == "native":
        from unconv.sparse.code.native import solve_native

        return list(solve_native(problems, tol, max_steps, threads))
    with _torch_threads(threads):
        return [solve_fista(problem, tol, max_steps) for problem in problems]


def _groups(problems: Sequence[Problem], solver: str, progress: bool) -> Iterator[Sequence[Problem]]:
    """The problems in the portions in which they are solved: the native solver sees all of them at once."""
    size = 1 if solver == "torch" else _GROUP if progress else max(len(problems), 1)
    for start in range(0, len(problems), size):
        yield problems[start : start + size]


@contextmanager
def _torch_threads(threads: int | None) -> Iterator[None]:
    before = torch.get_num_threads()
    if threads is not None:
        torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _bar(count: int, shown: bool) -> Iterator[Callable[[int], None]]:
    """A function that moves the progress bar on; it does nothing where none is shown."""
    with bar() if shown else quiet() as progress:
        progress.start(count, "images coded")
        yield progress.advance


def _encode_in_tiles(images: Any, mask: MaskLike | None, task: TileTask, progress: bool) -> Encoding:
    from unconv.sparse.code.tiles import solve_in_tiles

    kernels = task.dictionary
    axes = kernels.ndim - 2
    several = isinstance(images, list | tuple)
    if not several and len(getattr(images, "shape", ())) != axes + 2:
        raise SparseError(
            f"encode: images of shape {tuple(getattr(images, 'shape', ()))} in tiles; give (images, channels, *size), "
            "or a list of (channels, *size)"
        )
    count = len(images)
    masks = per_image(mask, count, axes, "mask")
    solutions = []
    with _bar(count, progress) as advance:
        for index in range(count):
            solutions.append(solve_in_tiles(images[index], task, masks[index]))
            advance(1)
    sizes = [tuple(int(extent) for extent in images[index].shape[1:]) for index in range(count)]
    facts = [(size, _describe_penalty(task, size)) for size in sizes]
    stacked = None if several else images.shape[2:]
    return _encoding(kernels, task.boundary, facts, stacked, solutions, "native", task.nonnegative)


def _describe_penalty(task: TileTask, size: Sequence[int]) -> str:
    kernels = task.dictionary
    codes = code_size(size, kernels.shape[2:], task.boundary)
    return as_penalty(task.penalty, len(kernels), codes, kernels).describe()


def _encoding(
    kernels: Tensor,
    boundary: str,
    facts: Sequence[tuple[tuple[int, ...], str]],
    stacked: Sequence[int] | None,
    solutions: Sequence[Solution],
    solver: str,
    nonnegative: bool,
) -> Encoding:
    """Solutions of images of which ``facts`` tell size and penalty; ``stacked``: the size they share in one array."""
    known = check_boundary(boundary)
    codes: Tensor | tuple[Tensor, ...]
    if stacked is None:
        codes = tuple(
            sparse_codes(found.indices, found.values, (len(kernels), *code_size(size, kernels.shape[2:], known)))
            for (size, _), found in zip(facts, solutions, strict=True)
        )
    else:
        size = code_size(stacked, kernels.shape[2:], known)
        codes = stack_codes([(found.indices, found.values) for found in solutions], (len(kernels), *size), kernels)
    return Encoding(
        codes=codes,
        objective=torch.tensor([found.objective for found in solutions], dtype=torch.float64),
        gap=torch.tensor([found.gap for found in solutions], dtype=torch.float64),
        steps=torch.tensor([found.steps for found in solutions], dtype=torch.int64),
        converged=torch.tensor([found.converged for found in solutions], dtype=torch.bool),
        trace=tuple(found.trace for found in solutions),
        solver=solver,
        dictionary=kernels,
        boundary=known,
        image_sizes=tuple(size for size, _ in facts),
        penalty=tuple(told for _, told in facts),
        nonnegative=nonnegative,
    )
