"""Reports of a geometry in words and in plain data, for the terminal and for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from unconv.explain.captions import counted, relation_lines, settings, short_text, size_text
from unconv.explain.scene import Scene
from unconv.explain.symbolic import latex_entries, symbolic_matrix, symbolic_transpose
from unconv.explain.write.text import text_of
from unconv.operators.geometry.base import Geometry
from unconv.operators.geometry.conv import ConvGeometry, ConvTransposeGeometry
from unconv.operators.geometry.solutions import Solutions
from unconv.operators.geometry.structure import MatrixStructure, matrix_structure


def facts(geometry: Geometry, in_channels: int = 1, out_channels: int = 1, groups: int = 1) -> dict[str, Any]:
    """Everything about a geometry as plain data; lists have one entry per axis.

    >>> from unconv.operators.geometry.conv import ConvGeometry
    >>> found = facts(ConvGeometry(input_size=(7, 5), kernel_size=(3, 2)))
    >>> found["output_size"], found["relation"], found["formula"][0]
    ([5, 4], [1, 1], 'o = i − k + 1')
    """
    field = geometry.receptive_field
    found: dict[str, Any] = {
        "operation": geometry.operation,
        "input_size": list(geometry.input_size),
        "kernel_size": list(geometry.kernel_size),
        "stride": list(geometry.stride),
        "padding": [list(pair) for pair in geometry.padding],
        "dilation": list(geometry.dilation),
    }
    for name in type(geometry).settings():
        value = getattr(geometry, name)
        found[name] = list(value) if isinstance(value, tuple) else value
    found |= {
        "output_size": list(geometry.output_size),
        "relation": list(geometry.relation),
        "formula": list(geometry.formula),
        "working": list(geometry.working),
        "receptive_field": {
            "size": list(field.size),
            "stride": [float(step) for step in field.stride],
            "start": list(field.start),
        },
    }
    if isinstance(geometry, ConvGeometry):
        found["remainder"] = list(geometry.remainder)
    if isinstance(geometry, ConvTransposeGeometry):
        found["uneven_overlap"] = list(geometry.uneven_overlap)
    if isinstance(geometry, (ConvGeometry, ConvTransposeGeometry)):
        found["channels"] = {"in": in_channels, "out": out_channels, "groups": groups}
        found["matrix"] = _structure_facts(matrix_structure(geometry, in_channels, out_channels, groups))
    return found


def _structure_facts(structure: MatrixStructure) -> dict[str, Any]:
    return {
        "shape": list(structure.shape),
        "nonzeros": structure.nonzeros,
        "distinct_weights": structure.distinct_weights,
        "dense_weights": structure.dense_weights,
    }


def matrix_facts(geometry: Geometry) -> dict[str, Any]:
    """The matrix from input to output with LaTeX entries, and its name."""
    return {"matrix_name": geometry.kind.matrix, "matrix_entries": latex_entries(geometry)}


def file_facts(scene: Scene, path: Path) -> dict[str, Any]:
    """What was written where."""
    return {"written": str(path), "view": scene.view, "frames": len(scene.frames), "note": scene.note}


def summary(geometry: Geometry, in_channels: int = 1, out_channels: int = 1, groups: int = 1) -> str:
    """Sizes, relation and what is worth knowing, in a few lines.

    >>> from unconv.operators.geometry.conv import ConvGeometry
    >>> print(summary(ConvGeometry(input_size=(4, 4), kernel_size=3)))
    Convolution: kernel 3 × 3, stride 1
    4 × 4 → 2 × 2
    Relation 1:  o = i − k + 1 = 4 − 3 + 1 = 2
    Each output sees 3 × 3 of the input.
    C is 4 × 16 with 36 non-zeros and 9 distinct weights; a fully connected layer would have 64 weights.
    """
    start, end = size_text(geometry.input_size), size_text(geometry.output_size)
    if (in_channels, out_channels) != (1, 1):
        start, end = f"{start} × {in_channels}", f"{end} × {out_channels}"
    lines = [f"{geometry.kind.title}: {settings(geometry)}", f"{start} → {end}", *relation_lines(geometry)]
    seen = size_text(geometry.receptive_field.size)
    most = "at most " if geometry.transposed and max(geometry.stride) > 1 else ""
    lines.append(f"Each output sees {most}{seen} of the input.")
    lines += _remarks(geometry)
    if isinstance(geometry, (ConvGeometry, ConvTransposeGeometry)):
        structure = matrix_structure(geometry, in_channels, out_channels, groups)
        lines.append(
            f"{geometry.kind.matrix} is {structure.shape[0]:,} × {structure.shape[1]:,} with "
            f"{structure.nonzeros:,} non-zeros and {counted(structure.distinct_weights, 'distinct weight')}; "
            f"a fully connected layer would have {counted(structure.dense_weights, 'weight')}."
        )
    return "\n".join(lines)


def _remarks(geometry: Geometry) -> list[str]:
    lines = []
    if isinstance(geometry, ConvGeometry) and any(geometry.remainder):
        lines.append(
            f"No window reaches the last {short_text(geometry.remainder)} of the padded input: "
            "the way back needs that as output padding."
        )
    if isinstance(geometry, ConvTransposeGeometry) and any(geometry.uneven_overlap):
        lines.append("Kernels overlap unevenly (s does not divide k): beware of checkerboard patterns.")
    return lines


def picture(scene: Scene, frame: int) -> str:
    """The text picture of one frame under its line, or what to do where it would not fit."""
    drawn = text_of(scene, frame)
    if drawn is None:
        return "\nToo large for a picture in text; draw it with -o FILE.svg"
    return f"\n{drawn}\n\n{scene.frames[frame].line}"


def matrix_text(geometry: Geometry) -> str:
    """The matrix in symbols and its transpose, each under its name and size."""
    name = geometry.kind.matrix
    other = name[:-1] if name.endswith("ᵀ") else f"{name}ᵀ"
    rows, columns = 1, 1
    for size in geometry.output_size:
        rows *= size
    for size in geometry.input_size:
        columns *= size
    return (
        f"\n{name}, {rows} × {columns}:\n{symbolic_matrix(geometry)}\n"
        f"\n{other}, {columns} × {rows}:\n{symbolic_transpose(geometry)}"
    )


def written(scene: Scene, path: Path, frame: int | None = None) -> str:
    """What a written file holds."""
    still = path.suffix.lower() == ".png" or (frame is not None and path.suffix.lower() == ".svg")
    frames = "one frame" if still else counted(len(scene.frames), "frame")
    return f"{scene.view} view, {frames}. {scene.note}".strip()


def solutions_table(found: Solutions[Any], top: int) -> str:
    """Solutions as the command prints them: options of the shell where more can be seen.

    >>> from unconv.operators.geometry.solve import solve_transpose
    >>> print(solutions_table(solve_transpose(44, 88), top=2))
    44 → 88: 8 transposed convolutions, the best first
    kernel  stride  padding  output padding  overlap
    2       2       0        0               even
    4       2       1        0               even
    … 6 more: --top
    """
    if not found:
        return f"{found.ends}: no {found.noun} within the bounds; raise --max-kernel-size or --max-stride"
    return found.table(top) + (": --top" if len(found) > top else "")
