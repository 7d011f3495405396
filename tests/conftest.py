"""Shape annotations of tensor code are checked while the tests run, and nowhere else.

Geometry and the command line check their own arguments, and their messages are tested; a type checker would speak
first. Tests run in a process for each core, and there by one thread: threads that wait for each other on a core that
another process has are many times as slow as none.
"""

import os
import sys
from types import ModuleType
from typing import get_origin

from beartype import BeartypeConf, FrozenDict, beartype
from jaxtyping import install_import_hook

from unconv import choices

os.environ.setdefault("OMP_NUM_THREADS", "1")

# A word that is none of the choices reaches the function, which says so itself, and the tests hear what users hear.
WORDS = {choice: str for choice in vars(choices).values() if get_origin(choice) is not None}
checker = ModuleType("unconv_type_checker")
vars(checker)["check"] = beartype(conf=BeartypeConf(hint_overrides=FrozenDict(WORDS)))
sys.modules[checker.__name__] = checker

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
    "unconv_type_checker.check",
)
