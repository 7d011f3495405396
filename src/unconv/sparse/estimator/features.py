"""Features of codes: one row of numbers an image, pooled or whole, with names."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from unconv.choices import CodeOutput
from unconv.errors import MissingExtraError, SparseError
from unconv.sparse.code.boundary import code_size
from unconv.sparse.code.encoding import Encoding
from unconv.sparse.code.sparse_tensors import sparse_codes

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

OUTPUTS = ("auto", "pooled", "csr", "sparse", "dense")


def pool_codes(encoding: Encoding, pools: Sequence[int]) -> Float[Tensor, "images features"]:
    """Mean |z_k| in each cell of a grid over the positions: (N, K·cells), kernel by kernel, then row by row.

    >>> from unconv.sparse.code.encode import encode
    >>> encoding = encode(torch.rand(2, 1, 16, 16), torch.randn(4, 1, 5, 5), "0.1max")
    >>> pool_codes(encoding, (1, 1)).shape, pool_codes(encoding, (2, 3)).shape
    (torch.Size([2, 4]), torch.Size([2, 24]))
    """
    kernels = encoding.dictionary
    cells = prod(pools)
    rows = []
    for (indices, values), size in zip(encoding.nonzeros, encoding.image_sizes, strict=True):
        extents = code_size(size, kernels.shape[2:], encoding.boundary)
        cell = indices[0]
        for positions, extent, count in zip(indices[1:], extents, pools, strict=True):
            cell = cell * count + positions * count // extent
        row = values.new_zeros(len(kernels) * cells).index_add_(0, cell, values.abs())
        rows.append(row / _positions(extents, pools).to(row).repeat(len(kernels)))
    return torch.stack(rows) if rows else kernels.new_zeros(0, len(kernels) * cells)


def _positions(extents: Sequence[int], pools: Sequence[int]) -> Tensor:
    """How many positions each cell has, at least 1."""
    counts = torch.ones(1, dtype=torch.int64)
    for extent, count in zip(extents, pools, strict=True):
        own = torch.bincount(torch.arange(extent) * count // extent, minlength=count)
        counts = (counts[:, None] * own).flatten()
    return counts.clamp(min=1)


def csr_codes(codes: Tensor) -> csr_matrix:
    """Sparse codes (N, K, *code) as a matrix of scipy's, (N, K·positions).

    >>> codes = sparse_codes(torch.tensor([[0, 1], [1, 0], [2, 0]]), torch.tensor([3.0, 4.0]), (2, 2, 3))
    >>> csr_codes(codes).toarray()
    array([[0., 0., 0., 0., 0., 3.],
           [4., 0., 0., 0., 0., 0.]], dtype=float32)

    Raises :class:`~unconv.errors.MissingExtraError` without scipy.
    """
    try:
        from scipy.sparse import csr_matrix
    except ImportError:
        raise MissingExtraError("transform to 'csr'", "scipy", "demo") from None
    found = codes.coalesce()
    row, *places = found.indices().cpu().numpy()
    column = np.ravel_multi_index(tuple(places), tuple(codes.shape[1:]))
    return csr_matrix((found.values().cpu().numpy(), (row, column)), shape=(codes.shape[0], prod(codes.shape[1:])))


def codes_from_csr(matrix: Any, shape: Sequence[int]) -> Tensor:
    """The way back: (N, K·positions) as sparse codes (N, K, *code), of which ``shape`` is all but the first.

    >>> codes = sparse_codes(torch.tensor([[0, 1], [1, 0], [2, 0]]), torch.tensor([3.0, 4.0]), (2, 2, 3))
    >>> torch.equal(codes_from_csr(csr_codes(codes), (2, 3)).to_dense(), codes.to_dense())
    True

    Raises :class:`~unconv.errors.SparseError` for another number of columns.
    """
    if matrix.shape[1] != prod(shape):
        raise SparseError(
            f"inverse_transform: {matrix.shape[1]} columns, codes of this learner have {prod(shape)}; give what "
            "transform(..., output='csr') gave"
        )
    found = matrix.tocsr().sorted_indices().tocoo()
    places = np.unravel_index(found.col, tuple(shape))
    indices = torch.from_numpy(np.stack([found.row, *places]).astype(np.int64))
    return sparse_codes(indices, torch.from_numpy(found.data), (matrix.shape[0], *shape))


def feature_names(n_kernels: int, cells: Sequence[int]) -> np.ndarray[Any, Any]:
    """A name for each column: the kernel, and the cell or position where there are several.

    >>> list(feature_names(2, (1, 1))), list(feature_names(1, (2, 2)))
    (['kernel0', 'kernel1'], ['kernel0_0_0', 'kernel0_0_1', 'kernel0_1_0', 'kernel0_1_1'])
    """
    places = [""] if prod(cells) == 1 else ["_" + "_".join(map(str, at)) for at in product(*map(range, cells))]
    return np.array([f"kernel{k}{place}" for k in range(n_kernels) for place in places], dtype=object)


def as_pools(pools: object, axes: int) -> tuple[int, ...]:
    """Cells along each axis.

    >>> as_pools(2, 2), as_pools((3,), 1)
    ((2, 2), (3,))

    Raises :class:`~unconv.errors.SparseError` for what is no count of cells, or not one for each axis.
    """
    counts = check_pools(pools)
    counts = counts * axes if not isinstance(pools, Sequence) else counts
    if len(counts) != axes:
        raise SparseError(f"transform: pools {pools!r:.60} for codes of {axes} axes; give one number, or one for each")
    return counts


def check_pools(pools: object) -> tuple[int, ...]:
    """Counts of cells; raises :class:`~unconv.errors.SparseError` for what is none."""
    counts = tuple(pools) if isinstance(pools, Sequence) and not isinstance(pools, str) else (pools,)
    if not counts or not all(isinstance(n, int | np.integer) and not isinstance(n, bool) and n >= 1 for n in counts):
        raise SparseError(f"transform: pools {pools!r:.60} is not a number of cells of at least 1, or several")
    return tuple(map(int, counts))


def resolve_output(output: object, columns: bool, container: str) -> CodeOutput:
    """What "auto" means where columns are expected or not, in an array or in a data frame; others mean themselves.

    >>> resolve_output("auto", True, "default"), resolve_output("auto", False, "default")
    ('pooled', 'sparse')

    Raises :class:`~unconv.errors.SparseError` for other words, and for codes that no data frame holds.
    """
    if output not in OUTPUTS:
        raise SparseError(f"transform: output {output!r:.60} is not known; use {', '.join(map(repr, OUTPUTS))}")
    frame = container != "default"
    if output == "auto":
        return "pooled" if columns or frame else "sparse"
    if frame and output != "pooled":
        raise SparseError(
            f"transform: {container} holds no {output!r} codes; use output='pooled', or set_output(transform='default')"
        )
    return output  # type: ignore[return-value]


def codes_as(codes: Tensor | tuple[Tensor, ...], output: CodeOutput) -> Any:
    """Sparse codes as they are, dense, or as a matrix of scipy's.

    Raises :class:`~unconv.errors.SparseError` where images of several sizes were to share a matrix.
    """
    if output == "sparse":
        return codes
    if isinstance(codes, Tensor):
        return csr_codes(codes) if output == "csr" else codes.to_dense()
    if output == "dense":
        return tuple(one.to_dense() for one in codes)
    raise SparseError("transform: a list of images has no common columns; use output='pooled', or give one array")
