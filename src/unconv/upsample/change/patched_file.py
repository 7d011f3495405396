"""Code generation: a patched model as a Python file that makes it again, and its weights beside it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_model
from torch import nn

from unconv.data.tensor_file import HEAD, TensorFormat
from unconv.errors import UnconvError, one_line, printable
from unconv.files import check_file, replacing_all, same_file
from unconv.source_files import files_of_model

# By which the weights of a patched model are known again.
FORMAT = TensorFormat("unconv patched model", 1, content="patched model", writer="unconv audit --fix")


def check_patched_file(path: str | Path, source: str, force: bool = False, operation: str = "audit") -> None:
    """Refuse a place for a patched model at which it, or its weights, would destroy what they are not.

    Args:
        path: of the file, ``.py``; the weights lie beside it.
        source: the MODEL string of the unpatched one: none of its files is replaced.
        force: replace a file in the place of the weights, whatever it is.
        operation: what the message begins with.

    Raises :class:`~unconv.errors.UnconvError` in one line.
    """
    file = Path(path)
    # In small letters: Python imports no other.
    if file.suffix != ".py":
        raise UnconvError(f"{operation} {printable(file)}: the file ends in .py")
    check_file(file, (".py",), operation)
    weights = file.with_suffix(".safetensors")
    check_file(weights, (".safetensors",), operation)
    for given in files_of_model(source):
        for other in (file, weights):
            if same_file(other, given):
                raise UnconvError(
                    f"{operation} {printable(file)}: {printable(other)} belongs to the model that is patched; name "
                    "another file"
                )
    if weights.exists() and not force and not FORMAT.head_of(weights):
        raise UnconvError(
            f"{operation} {printable(file)}: the weights would replace {printable(weights)}, which is of no patched "
            "model; name another file, or force=True"
        )


def write_patched_file(
    model: nn.Module, path: str | Path, source: str, random_weights: bool, lines: Sequence[str]
) -> tuple[Path, Path]:
    """Write both files, or none of them.

    Args:
        model: with the weights to keep.
        path: of the Python file.
        source: the MODEL string of the unpatched one.
        random_weights: whether that is made without weights.
        lines: of code that put layers of ``model`` into other forms.
    """
    file = Path(path)
    weights = file.with_suffix(".safetensors")
    name, colon, function = source.rpartition(":")
    if name.endswith(".py"):
        source = f"{Path(name).resolve()}{colon}{function}"
    elif Path(source).expanduser().is_file():
        # The file is the network.
        source = str(Path(source).expanduser().resolve())
    code = _TEMPLATE.format(
        source=ascii(source),
        random_weights=bool(random_weights),
        weights=ascii(weights.name),
        lines="".join(f"    {line}\n" for line in lines),
    )
    head = json.dumps({FORMAT.key: FORMAT.name, "version": FORMAT.version})
    try:
        with replacing_all([weights, file], "audit") as (new_weights, new_file):
            save_model(model, str(new_weights), {HEAD: head})
            new_file.write_text(code, encoding="utf-8")
    except SafetensorError as error:
        raise UnconvError(f"audit: cannot write {printable(weights)}: {one_line(error)}") from None
    return file, weights


_TEMPLATE = '''"""A model as patched by ``unconv audit --fix``: SOURCE with other layers, and its weights in WEIGHTS."""

from math import isqrt
from pathlib import Path

from safetensors.torch import load_model as load_weights

import unconv as uc
from unconv import load_model

SOURCE = {source}
WEIGHTS = {weights}


def build():
    """The patched model with its weights."""
    if Path(SOURCE.rpartition(":")[0]).resolve() == Path(__file__).resolve():
        raise ValueError("this file took the place of the model that it patches; put that back")
    model = load_model(SOURCE, random_weights={random_weights}).module
{lines}    load_weights(model, str(Path(__file__).with_name(WEIGHTS)))
    return model
'''
