"""Dictionaries in files, and the two that come with the package."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from unconv.arguments import tell_wrong_arguments
from unconv.data.tensor_file import read_tensors, write_tensors
from unconv.errors import SparseError
from unconv.sparse.code.validate import check_dictionary
from unconv.sparse.types import DictionaryLike, DictionarySource, Fitted

FOLDER = Path(__file__).parents[1] / "shipped"
SHIPPED = {1: "grey-8x8x64", 3: "colour-8x8x64"}
KEY = "dictionary"


@tell_wrong_arguments
def load_dictionary(name: str | os.PathLike[str]) -> Float[Tensor, "kernels channels ..."]:
    """A dictionary by its name, "grey-8x8x64" or "colour-8x8x64", or from a safetensors file.

    Of a file the tensor ``dictionary`` is taken, or the only one in it: (kernels, channels, *kernel size).

    Raises :class:`~unconv.errors.SparseError` for a name that is neither, and for files that hold something else.

    >>> import tempfile
    >>> path = save_dictionary(torch.randn(16, 1, 8, 8), Path(tempfile.mkdtemp()) / "mine.safetensors")
    >>> load_dictionary(path).shape
    torch.Size([16, 1, 8, 8])
    """
    path = FOLDER / f"{name}.safetensors" if str(name) in SHIPPED.values() else Path(name)
    if not path.is_file():
        known = ", ".join(SHIPPED.values())
        raise SparseError(f"dictionary {str(name)!r}: no such file, and none of those shipped ({known})")
    tensors = read_tensors(path, f"dictionary {path.name!r}", SparseError).tensors
    found = tensors.get(KEY, next(iter(tensors.values())) if len(tensors) == 1 else None)
    if found is None:
        raise SparseError(f"dictionary {path.name!r}: holds {len(tensors)} tensors, none of them named {KEY!r}")
    return check_dictionary(found, f"dictionary {path.name!r}")


@tell_wrong_arguments
def save_dictionary(
    dictionary: DictionaryLike, path: str | os.PathLike[str], about: dict[str, object] | None = None
) -> Path:
    """Write a dictionary to a safetensors file, with what is known about it as metadata; whole or not at all.

    Raises :class:`~unconv.errors.SparseError` for what is no dictionary, and where the place cannot be written to.
    """
    kernels = check_dictionary(dictionary, "save_dictionary")
    head = {"kind": "dictionary", **(about or {})}
    return write_tensors(Path(path), {KEY: kernels}, dict(sorted(head.items())))


def opened(dictionary: DictionarySource | None) -> DictionaryLike | Fitted | None:
    """A dictionary that is named or in a file as its kernels; every other as it is.

    >>> opened("grey-8x8x64").shape, opened(None)
    (torch.Size([64, 1, 8, 8]), None)
    """
    return load_dictionary(dictionary) if isinstance(dictionary, str | os.PathLike) else dictionary


def dictionary_for(
    dictionary: DictionarySource | None, n_channels: int, axes: int, operation: str
) -> Float[Tensor, "kernels ..."]:
    """A user's dictionary as unit kernels: a tensor, a name or file, a fitted learner; None: the shipped one that fits.

    >>> dictionary_for(2 * torch.eye(2).reshape(1, 1, 2, 2), 1, 2, "denoise").norm().round(decimals=4)
    tensor(1.)

    Raises :class:`~unconv.errors.SparseError` where it does not fit the image, and for signals without a dictionary.
    """
    if dictionary is None:
        if axes != 2:
            raise SparseError(
                f"{operation}: an image of two axes is {n_channels} signals, and no dictionary for signals is shipped; "
                "give one, as DictionaryLearner learns; a grey picture is image[None]"
            )
        dictionary = SHIPPED.get(n_channels, SHIPPED[1])
    found: DictionaryLike = opened(dictionary)  # type: ignore[assignment]
    kernels = check_dictionary(found, operation)
    if kernels.ndim - 2 != axes:
        way_out = "; a grey picture is image[None]" if axes == 1 else ""
        raise SparseError(
            f"{operation}: dictionary with {kernels.ndim - 2} kernel axes for an image with {axes}{way_out}"
        )
    norms = torch.linalg.vector_norm(kernels.flatten(1), dim=1)
    return kernels / torch.where(norms > 0, norms, 1).reshape(-1, *[1] * (kernels.ndim - 1))


def turn_kernels(dictionary: Float[Tensor, "kernels channels ..."], quarter_turns: int) -> Tensor:
    """All kernels turned by so many quarters, kernels of signals run backwards at every odd one.

    >>> turn_kernels(torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]), 1)
    tensor([[[[2., 4.],
              [1., 3.]]]])
    """
    if dictionary.ndim == 4:
        return dictionary.rot90(quarter_turns, (-2, -1)).contiguous()
    return dictionary.flip(-1) if quarter_turns % 2 else dictionary
