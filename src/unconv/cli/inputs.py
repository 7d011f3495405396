"""Inputs beside the image: what a network takes besides, told in the shell."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from unconv.cli import spelling
from unconv.cli.groups import NETWORK, OptionGroup
from unconv.errors import ImageError, UnconvError

if TYPE_CHECKING:
    from torch import Tensor

# What stands for the place of the image itself.
IMAGE = "image"
FILES = (".npy", ".npz", ".safetensors")
WAYS = "10, [10], true, null, image, zeros:1x77x768, ones:…, random:…, or a file, .npy or .safetensors"


@dataclass(frozen=True)
class Held(OptionGroup):
    """What a network takes beside its images, the same for all of them."""

    held_inputs: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            help="Beside the image: NAME=10, NAME=FILE.npy, zeros:1x77.",
            rich_help_panel=NETWORK,
        ),
    ] = None

    def read(self) -> dict[str, Any]:
        """Arguments by position and by keyword, as functions take them; nothing where none were told.

        >>> Held(["step=10", "0.5"]).read(), Held().read()
        ({'inputs': (0.5,), 'kwargs': {'step': 10}}, {})
        """
        return read_inputs(self.held_inputs or ())


def read_inputs(texts: Sequence[str]) -> dict[str, Any]:
    """``NAME=VALUE`` is an argument by keyword, ``VALUE`` one behind the image; ``image`` is where that goes.

    >>> read_inputs(["sample=image", "timestep=[10]"])
    {'inputs': None, 'kwargs': {'sample': Ellipsis, 'timestep': tensor([10])}}

    Raises UnconvError for what is no value, and names that are told twice.
    """
    if not texts:
        return {}
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    for text in texts:
        named = re.fullmatch(r"([A-Za-z_]\w*)=(.*)", text, re.DOTALL)
        value = read_value(named[2] if named else text, text)
        if named is None:
            args.append(value)
        elif named[1] in kwargs:
            raise UnconvError(f"--input {text!r}: {named[1]} is told twice; leave out one of the two")
        else:
            kwargs[named[1]] = value
    return {"inputs": tuple(args) or None, "kwargs": kwargs or None}


def read_value(text: str, told: str) -> Any:
    """A value as it is written: a number, a list as a tensor, a tensor of a file or of a shape.

    >>> read_value("10", ""), read_value("null", ""), read_value("zeros:1x2", "")
    (10, None, tensor([[0., 0.]]))

    Raises UnconvError, with the whole option as it was told, for all else.
    """
    import torch

    if text == IMAGE:
        return ...
    made = re.fullmatch(r"(zeros|ones|random):(.*)", text)
    if made is not None:
        size = spelling.sizes(f"--input {told!r}:", made[2])
        shape = (size,) if isinstance(size, int) else size
        if made[1] == "random":
            return torch.randn(shape, generator=torch.Generator().manual_seed(0))
        return torch.zeros(shape) if made[1] == "zeros" else torch.ones(shape)
    file, _, key = text.partition(":")
    if file.lower().endswith(FILES):
        return _read_file(Path(file), key, told)
    if re.fullmatch(r"\d+(x\d+)+", text):
        raise UnconvError(f"--input {told!r}: a size; zeros:{text} is a tensor of it, --input-size the image's own")
    try:
        value = json.loads(text)
        return torch.tensor(value) if isinstance(value, list) else _checked(value)
    except (ValueError, TypeError, RuntimeError) as error:
        raise UnconvError(f"--input {told!r} is no value; write {WAYS}") from error


def _checked(value: Any) -> Any:
    if isinstance(value, dict):
        raise ValueError("a dict")
    return value


def _read_file(path: Path, key: str, told: str) -> Tensor:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from unconv.data.convert import from_numpy
    from unconv.data.read.array_files import load_array

    if not path.is_file():
        raise UnconvError(f"--input {told!r}: no such file")
    try:
        if path.suffix.lower() != ".safetensors":
            return from_numpy(load_array(path))
        tensors = load_file(path)
    except (ImageError, SafetensorError, OSError) as error:
        raise UnconvError(f"--input {told!r}: {' '.join(str(error).split())}") from error
    if key not in tensors and (key or len(tensors) != 1):
        names = ", ".join(list(tensors)[:5]) or "none"
        raise UnconvError(f"--input {told!r}: the file holds {names}; name one of them, as FILE.safetensors:NAME")
    return tensors[key] if key else next(iter(tensors.values()))
