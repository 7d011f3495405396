"""Shape annotations of tensor code are checked while the tests run, and nowhere else.

Geometry and the command line check their own arguments, and their messages are tested; a type checker would speak
first. Tests run in a process for each core, and there by one thread: threads that wait for each other on a core that
another process has are many times as slow as none.
"""

import os

from jaxtyping import install_import_hook

os.environ.setdefault("OMP_NUM_THREADS", "1")

install_import_hook(
    [
        "unconv.data",
        "unconv.models",
        "unconv.network",
        "unconv.operators.linear",
        "unconv.operators.conv",
        "unconv.operators.pool",
        "unconv.operators.dottest",
        "unconv.visualize",
    ],
    "beartype.beartype",
)
