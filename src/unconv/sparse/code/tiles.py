"""Block coordinate descent on tiles: sparse codes of an image that does not fit in memory, to the same kind of gap.

The codes of one tile, all others held, are a problem of their own: the tile's pixels without what the other codes put
there, under the boundary "valid", since every position of the tile has its whole window inside. Going through the tiles
again and again is block coordinate descent (Tseng 2001), and little is left to do after the first round: only windows
near a tile's edge reach into the next. What is held is one tile, and the codes that are not zero.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

import numpy as np
import torch
from torch import Tensor

from unconv.errors import SparseError
from unconv.sparse.code.boundary import Boundary, code_size, correlate
from unconv.sparse.code.native import largest_ratio, solve_native
from unconv.sparse.code.penalty import PerKernel, PerPosition, as_penalty
from unconv.sparse.code.problem import Problem, problems_from
from unconv.sparse.code.solution import Solution, Trace
from unconv.sparse.code.synthesize import synthesize_sparse
from unconv.sparse.types import ImageLike, MaskLike, PenaltyLike, Sliceable

_ROUNDS = 30


@dataclass(frozen=True, eq=False)
class TileTask:
    """How images are coded in tiles: all but an image and its mask.

    Attributes:
        dictionary: (K, C, *kernel).
        penalty: as for :func:`~unconv.sparse.code.encode.encode`, but for parts of the maximum.
        nonnegative: whether z ≥ 0.
        boundary: of the whole image.
        tol: relative duality gap of the whole.
        tile: positions along each axis that are solved together; at least the size of a kernel.
        threads: of the solver.
        max_steps: rounds through all tiles.
    """

    dictionary: Tensor
    penalty: PenaltyLike
    nonnegative: bool = False
    boundary: Boundary = "crop"
    tol: float = 1e-3
    tile: int = 1024
    threads: int | None = None
    max_steps: int | None = None


@dataclass(eq=False)
class _Tile:
    """Positions [first, last) per axis, and their codes: indices (1 + axes, n) counted from the tile's first."""

    first: tuple[int, ...]
    last: tuple[int, ...]
    indices: Tensor
    values: Tensor
    tol: float
    owned: tuple[slice, ...] = field(default=())


@dataclass(frozen=True, eq=False)
class _Scene:
    """What all tiles share: where pixels come from, and the problem they belong to."""

    image: Any
    mask: Any
    dictionary: Tensor
    penalty: PenaltyLike
    nonnegative: bool
    boundary: Boundary
    size: tuple[int, ...]
    codes: tuple[int, ...]

    @property
    def kernel(self) -> tuple[int, ...]:
        return tuple(self.dictionary.shape[2:])

    def pixels(self, source: Any, tile: _Tile, outside: float) -> np.ndarray[Any, Any]:
        """The part of ``source`` (channels, *size) under the windows of a tile; ``outside`` the image."""
        axes = []
        for first, last, taps, size in zip(tile.first, tile.last, self.kernel, self.size, strict=True):
            shift = taps - 1 if self.boundary == "crop" else 0
            runs = _runs(first - shift, last + taps - 1 - shift, size, wraps=self.boundary == "circular")
            axes.append((last - first + taps - 1, runs))
        found = None
        for places in product(*(runs for _, runs in axes)):
            part = source[(slice(None), *(slice(begin, end) for _, begin, end in places))]
            part = part.numpy() if isinstance(part, Tensor) else np.asarray(part)
            if found is None:
                found = np.full((part.shape[0], *(length for length, _ in axes)), outside, part.dtype)
            found[(slice(None), *(slice(to, to + end - begin) for to, begin, end in places))] = part
        if found is None:
            raise SparseError(f"encode: tile at {tile.first} meets no pixel of the image of size {self.size}")
        return found


def solve_in_tiles(image: ImageLike | Sliceable, task: TileTask, mask: MaskLike | None = None) -> Solution:
    """Solve one image's problem tile by tile.

    Args:
        image: anything with a ``shape`` (C, *size) that gives arrays when it is sliced: a tensor, an array, numpy's
            memmap, a data set of h5py or zarr.
        task: how.
        mask: W ≥ 0, sliced like the image.

    Raises :class:`~unconv.errors.SparseError` for what does not fit together.
    """
    scene, tol, max_steps = _scene(image, mask, task), task.tol, task.max_steps
    tiles = list(_cut(scene, task.tile, tol))
    start, seconds, objectives, gaps = time.perf_counter(), [], [], []
    gap, objective, rounds = float("inf"), float("inf"), 0
    while gap > tol and rounds < (_ROUNDS if max_steps is None else max_steps):
        rounds += 1
        for index, each in enumerate(tiles):
            own = (each.indices, each.values) if rounds > 1 else None
            rest = [other for other in tiles if other is not each]
            subproblem = replace(_without(scene, _problem(scene, each), each, rest), start=own)
            (solution,) = solve_native([subproblem], each.tol, None, task.threads)
            tiles[index] = replace(each, indices=solution.indices, values=solution.values)
        objective, gap = _certify(scene, tiles, task.threads)
        seconds.append(time.perf_counter() - start)
        objectives.append(objective)
        gaps.append(gap)
        tiles = [replace(each, tol=each.tol / 2) for each in tiles]
    indices, values = _gather(tiles)
    trace = Trace(*(torch.tensor(column, dtype=torch.float64) for column in (seconds, objectives, gaps)))
    return Solution(indices, values, objective, gap, rounds, gap <= tol, trace)


def _scene(image: Any, mask: Any, task: TileTask) -> _Scene:
    kernels, tile = task.dictionary, task.tile
    axes = kernels.ndim - 2
    shape = tuple(getattr(image, "shape", ()))
    if len(shape) != axes + 1 or axes > 2:
        raise SparseError(f"encode: image of shape {shape} in tiles; give (channels, *size) of one or two axes")
    if isinstance(tile, bool) or not isinstance(tile, int) or tile < max(kernels.shape[2:]):
        raise SparseError(f"encode: tile {tile!r} is no integer of at least the kernel size {max(kernels.shape[2:])}")
    size = tuple(int(extent) for extent in shape[1:])
    codes = code_size(size, kernels.shape[2:], task.boundary, "encode")
    if mask is not None:
        mask = mask if hasattr(mask, "shape") else np.asarray(mask)
        mask = mask[None] if len(mask.shape) == axes else mask
        if tuple(mask.shape[1:]) != size or mask.shape[0] not in (1, shape[0]):
            raise SparseError(f"encode: mask of shape {tuple(mask.shape)} for an image of shape {shape} in tiles")
    if isinstance(task.penalty, str):
        raise SparseError(f"encode: penalty {task.penalty!r} needs the whole image at once; in tiles give a number")
    return _Scene(image, mask, kernels, task.penalty, task.nonnegative, task.boundary, size, codes)


def _cut(scene: _Scene, length: int, tol: float) -> Iterator[_Tile]:
    """The tiles, row-major; each pixel of the image is owned by the one tile that counts it in the objective."""
    parts = [max(1, extent // length) for extent in scene.codes]
    if scene.boundary == "circular":
        # No window may meet one pixel twice: not in a tile that reaches all the way round.
        parts = [max(2, count) for count in parts]
        if any(2 * taps > extent for extent, taps in zip(scene.size, scene.kernel, strict=True)):
            raise SparseError(
                f"encode: image of size {scene.size} is too small to go round in tiles with kernels {scene.kernel}; "
                "leave out tile"
            )
    for place in product(*(range(count) for count in parts)):
        first = tuple(i * extent // n for i, extent, n in zip(place, scene.codes, parts, strict=True))
        last = tuple((i + 1) * extent // n for i, extent, n in zip(place, scene.codes, parts, strict=True))
        owned = tuple(
            # Circular windows come round to pixels of the first tile, which counts them.
            slice(0, end - begin + (taps - 1 if i == n - 1 and scene.boundary != "circular" else 0))
            for i, n, begin, end, taps in zip(place, parts, first, last, scene.kernel, strict=True)
        )
        nothing = torch.zeros(1 + len(first), 0, dtype=torch.int64)
        yield _Tile(first, last, nothing, scene.dictionary.new_zeros(0), tol / 2, owned)


def _problem(scene: _Scene, tile: _Tile) -> Problem:
    """The tile's own problem as if no other codes were there."""
    picture = scene.pixels(scene.image, tile, 0)
    weight = None
    if scene.mask is not None:
        weight = scene.pixels(scene.mask, tile, 0)
    elif scene.boundary == "crop":
        weight = _inside(scene, tile)
    (problem,) = problems_from(
        [picture], scene.dictionary, 1.0, None if weight is None else [weight], scene.nonnegative, "valid"
    )
    return replace(problem, penalty=_penalty(scene, problem, tile))


def _inside(scene: _Scene, tile: _Tile) -> np.ndarray[Any, Any]:
    """1 where a pixel under the tile's windows lies in the image."""
    lines = []
    for first, last, taps, size in zip(tile.first, tile.last, scene.kernel, scene.size, strict=True):
        places = np.arange(first, last + taps - 1) - (taps - 1)
        lines.append((places >= 0) & (places < size))
    inside = lines[0] if len(lines) == 1 else lines[0][:, None] & lines[1]
    return inside[None]


def _penalty(scene: _Scene, problem: Problem, tile: _Tile) -> PerKernel | PerPosition:
    """λ of the tile's positions; where it depends on the image's correlations, computed here and held for the tile."""
    whole = as_penalty(scene.penalty, problem.n_kernels, scene.codes, problem.image)
    if isinstance(whole, PerKernel):
        return whole
    if isinstance(whole, PerPosition):
        ranges = [
            slice(first, last) if extent > 1 else slice(None)
            for first, last, extent in zip(tile.first, tile.last, whole.penalties.shape[1:], strict=True)
        ]
        return PerPosition(whole.penalties[(slice(None), *ranges)])
    seen = correlate(problem.weighted_image[None], problem.dictionary, "valid")[0]
    rows = slice(tile.first[0], tile.last[0])
    return PerPosition(whole.values(seen, rows).expand(seen.shape).contiguous())


def _without(scene: _Scene, problem: Problem, tile: _Tile, others: Sequence[_Tile]) -> Problem:
    """The problem with what the codes of ``others`` put under the tile's windows taken off its image."""
    size = problem.image_size
    indices, values = [], []
    around = product((-1, 0, 1), repeat=len(size)) if scene.boundary == "circular" else [(0,) * len(size)]
    for turns in around:
        for other in others:
            # As positions of a "crop" problem on the tile's pixels.
            shift = torch.tensor(
                [
                    there - here + taps - 1 + turn * extent
                    for there, here, taps, turn, extent in zip(
                        other.first, tile.first, scene.kernel, turns, scene.size, strict=True
                    )
                ]
            )[:, None]
            places = other.indices[1:] + shift
            ends = torch.tensor([extent + taps - 1 for extent, taps in zip(size, scene.kernel, strict=True)])[:, None]
            near = ((places >= 0) & (places < ends)).all(0)
            if bool(near.any()):
                indices.append(torch.cat([other.indices[:1, near], places[:, near]]))
                values.append(other.values[near].to(problem.image))
    if not indices:
        return problem
    theirs = synthesize_sparse(torch.cat(indices, 1), torch.cat(values), problem.dictionary, "crop", size)
    left = problem.image - theirs
    return replace(problem, image=left if problem.weight is None else torch.where(problem.weight > 0, left, 0))


def _certify(scene: _Scene, tiles: Sequence[_Tile], threads: int | None) -> tuple[float, float]:
    """Objective and relative duality gap of all tiles together (:mod:`.certificate` does it for one image)."""
    square = inner = penalties = ratio = 0.0
    for tile in tiles:
        problem = _problem(scene, tile)
        rest = _without(scene, problem, tile, tiles)
        ratio = max(ratio, largest_ratio(rest, threads))
        weight = 1.0 if problem.weight is None else problem.weight.double()
        part = (slice(None), *tile.owned)
        residual = (rest.image.double() * weight)[part]
        square += float(residual.square().sum())
        inner += float((residual * (problem.image.double() * weight)[part]).sum())
        if len(tile.values):
            penalties += float((_penalties_at(problem, tile) * tile.values.double().abs()).sum())
    primal = 0.5 * square + penalties
    scale = max(inner / square, 0.0) if square else 0.0
    scale = min(scale, 1 / ratio) if ratio else scale
    dual = scale * inner - 0.5 * scale**2 * square
    return primal, max(primal - dual, 0.0) / primal if primal else 0.0


def _penalties_at(problem: Problem, tile: _Tile) -> Tensor:
    if isinstance(problem.penalty, PerKernel):
        return problem.penalty.penalties[tile.indices[0]].double()
    values = problem.penalty.values(None, slice(None)).expand(problem.n_kernels, *problem.code_size)
    return values[tuple(tile.indices)].double()


def _gather(tiles: Sequence[_Tile]) -> tuple[Tensor, Tensor]:
    """The codes of all tiles in the order of one coalesced tensor."""
    places = [torch.cat([tile.indices[:1], tile.indices[1:] + torch.tensor(tile.first)[:, None]]) for tile in tiles]
    indices, values = torch.cat(places, 1), torch.cat([tile.values for tile in tiles])
    order = torch.from_numpy(np.lexsort(tuple(indices.flip(0).numpy())))
    return indices[:, order], values[order]


def _runs(first: int, last: int, size: int, wraps: bool) -> list[tuple[int, int, int]]:
    """[first, last) of an endless axis as slices of one of ``size``: (where it goes, begin, end) each."""
    runs = []
    turn = first // size if wraps else 0
    while True:
        begin, end = max(first, turn * size), min(last, (turn + 1) * size)
        if begin < end:
            runs.append((begin - first, begin - turn * size, end - turn * size))
        turn += 1
        if not wraps or turn * size >= last:
            return runs
