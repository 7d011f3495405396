"""Shape annotations of tensor code are checked while the tests run, and nowhere else.

Geometry and the command line check their own arguments, and their messages are tested; a type checker would speak
first.
"""

from jaxtyping import install_import_hook

install_import_hook(
    [
        "unconv.data",
        "unconv.models",
        "unconv.network",
        "unconv.operators.linear",
        "unconv.operators.conv",
        "unconv.operators.pool",
        "unconv.operators.matrix",
        "unconv.operators.dottest",
        "unconv.visualize",
    ],
    "beartype.beartype",
)
