"""Answers for resampling: grids and output sizes that do not go with the maps which they are for."""

from __future__ import annotations

from unconv.network.audit.finding import by_size
from unconv.network.shapes.joined_answers import operand_names
from unconv.network.shapes.shape_error import ShapeAnswer
from unconv.network.trace.failed import Failed, Operand
from unconv.network.trace.graph import Graph

# Of each number of axes that have places: the mode that goes linearly between them.
LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}
_AXES_OF = {"linear": (1,), "bilinear": (2,), "bicubic": (2,), "trilinear": (3,), "nearest": (1, 2, 3)}


def answer_interpolate(failed: Failed, graph: Graph, where: str) -> ShapeAnswer | None:
    """A size, a factor or a mode for another number of axes: ``F.interpolate``."""
    given = {"size": None, "scale_factor": None, "mode": "nearest"}
    given |= failed.bind("input", "size", "scale_factor", "mode")
    shape, name = failed.shapes[0], operand_names(failed, graph)[0]
    axes, mode = len(shape) - 2, given["mode"]
    what = f"{where} resizes {name}, {by_size(shape)} (batch and channels first)"
    for argument in ("size", "scale_factor"):
        asked = given[argument]
        if not isinstance(asked, (list, tuple)) or len(asked) == axes or axes < 1:
            continue
        numbers = ", ".join(map(str, asked))
        what = f"{what}, to {argument} ({numbers}): {len(asked)} numbers for {axes} axes of places"
        if argument == "size" and len(asked) == axes + 2:
            fix = f"size={tuple(asked[2:])}, as of target.shape[2:]: batch and channels are no part of it"
        elif len(asked) > axes:
            fix = f"{argument}={tuple(asked[-axes:])}"
        else:
            fix = f"{argument} with {axes} numbers, or one for all"
        return ShapeAnswer(what, (), (name,), fix, by_input=False)
    if not isinstance(mode, str) or mode not in _AXES_OF or axes in _AXES_OF[mode]:
        return None
    if axes == 0:
        what = f"{where} resizes {name}, {by_size(shape)} (batch, channels), which has no places"
        return ShapeAnswer(what, (), (name,), "a reshape to (batch, channels, places) before it", by_input=False)
    takes = _AXES_OF[mode][-1]
    what = f"{what}, in mode {mode}, which takes {takes} {'axis' if takes == 1 else 'axes'} of places"
    if axes in LINEAR:
        return ShapeAnswer(f"{what}, not {axes}", (), (name,), f'mode="{LINEAR[axes]}"', by_input=False)
    return None


def answer_grid_sample(failed: Failed, graph: Graph, where: str) -> ShapeAnswer | None:
    """Grids that have no coordinate for each axis, or another batch: ``F.grid_sample``."""
    given = failed.bind("input", "grid")
    if not isinstance(given.get("input"), Operand) or not isinstance(given.get("grid"), Operand):
        return None
    shape, grid = given["input"].shape, given["grid"].shape
    called = operand_names(failed, graph)
    axes = len(shape) - 2
    names = f"{called[1]}, {by_size(grid)}"
    what = f"{where} samples {called[0]}, {by_size(shape)}, at {names}"
    if axes not in (2, 3):
        return None
    if len(grid) != len(shape):
        fix = f"a grid of (batch, {'rows, columns' if axes == 2 else 'depth, rows, columns'}, {axes})"
        return ShapeAnswer(f"{what}: {len(grid)} axes against {len(shape)}", (), called, fix, by_input=False)
    if grid[-1] != axes:
        what = f"{what}, whose last axis holds {axes} coordinates ({'x, y' if axes == 2 else 'x, y, z'})"
        fix = f"a grid with {axes} numbers in its last axis"
        if grid[1] == axes:
            order = ", ".join(map(str, (0, *range(2, axes + 2), 1)))
            fix = f"grid.permute({order}): its coordinates stand behind the batch"
        return ShapeAnswer(what, (), called, fix, by_input=False)
    if grid[0] != shape[0]:
        sizes = ", ".join(["-1"] * (axes + 1))
        fix = f"grid.expand({shape[0]}, {sizes})" if grid[0] == 1 else "a grid for each of the batch"
        return ShapeAnswer(f"{what}: batches of {shape[0]} and {grid[0]}", (), called, fix, by_input=False)
    return None


def answer_affine_grid(failed: Failed, graph: Graph, where: str) -> ShapeAnswer | None:
    """Matrices that are not 2×3 or 3×4, or of another batch than the size: ``F.affine_grid``."""
    given = failed.bind("theta", "size")
    size = given.get("size")
    if not isinstance(given.get("theta"), Operand) or not isinstance(size, (list, tuple)):
        return None
    theta, name = given["theta"].shape, operand_names(failed, graph)[0]
    axes = len(size) - 2
    if axes not in (2, 3):
        return None
    matrix = (axes, axes + 1)
    what = f"{where} makes a grid of {by_size(size)} (batch, channels, places) of {name}, {by_size(theta)}"
    if theta[1:] != matrix:
        fix = f"x.view(-1, {axes}, {axes + 1})" if len(theta) == 2 else f"matrices of {by_size(matrix)}"
        return ShapeAnswer(f"{what}, not of matrices of {by_size(matrix)}", (), (name,), fix, by_input=False)
    if theta[0] != size[0]:
        others = ", ".join(map(str, size[1:]))
        what = f"{what}: {theta[0]} matrices for a batch of {size[0]}"
        return ShapeAnswer(what, (), (name,), f"size=(len(theta), {others})", by_input=False)
    return None
