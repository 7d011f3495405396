"""C and Cᵀ: geometry, linear operators, and the forms of the transposed convolution."""

from typing import TYPE_CHECKING

from unconv._lazy import lazy_names

if TYPE_CHECKING:
    from unconv.operators.checkerboard import (
        checkerboard_score as checkerboard_score,
        overlap as overlap,
        stride_pattern as stride_pattern,
    )
    from unconv.operators.conv import ConvOperator as ConvOperator, transpose_operator as transpose_operator
    from unconv.operators.dottest import dot_test as dot_test
    from unconv.operators.geometry.conv import (
        ConvGeometry as ConvGeometry,
        ConvTransposeGeometry as ConvTransposeGeometry,
    )
    from unconv.operators.geometry.pool import AvgPoolGeometry as AvgPoolGeometry, MaxPoolGeometry as MaxPoolGeometry
    from unconv.operators.geometry.receptive import ReceptiveField as ReceptiveField
    from unconv.operators.geometry.solve import solve_conv as solve_conv, solve_transpose as solve_transpose
    from unconv.operators.geometry.structure import (
        MatrixStructure as MatrixStructure,
        matrix_structure as matrix_structure,
    )
    from unconv.operators.linear import LinearOperator as LinearOperator
    from unconv.operators.pool import AvgPoolOperator as AvgPoolOperator, MaxPoolOperator as MaxPoolOperator
    from unconv.operators.transpose.conv_transpose import conv_transpose as conv_transpose

_HOME = {
    "ConvGeometry": "unconv.operators.geometry.conv",
    "ConvTransposeGeometry": "unconv.operators.geometry.conv",
    "MaxPoolGeometry": "unconv.operators.geometry.pool",
    "AvgPoolGeometry": "unconv.operators.geometry.pool",
    "ReceptiveField": "unconv.operators.geometry.receptive",
    "solve_conv": "unconv.operators.geometry.solve",
    "solve_transpose": "unconv.operators.geometry.solve",
    "MatrixStructure": "unconv.operators.geometry.structure",
    "matrix_structure": "unconv.operators.geometry.structure",
    "LinearOperator": "unconv.operators.linear",
    "ConvOperator": "unconv.operators.conv",
    "transpose_operator": "unconv.operators.conv",
    "MaxPoolOperator": "unconv.operators.pool",
    "AvgPoolOperator": "unconv.operators.pool",
    "dot_test": "unconv.operators.dottest",
    "conv_transpose": "unconv.operators.transpose.conv_transpose",
    "checkerboard_score": "unconv.operators.checkerboard",
    "overlap": "unconv.operators.checkerboard",
    "stride_pattern": "unconv.operators.checkerboard",
}

__getattr__, __dir__, __all__ = lazy_names(__name__, _HOME)
