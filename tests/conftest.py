"""Shape annotations are checked while the tests run, and nowhere else."""

from jaxtyping import install_import_hook

install_import_hook("unconv", "beartype.beartype")
