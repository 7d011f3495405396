"""Trained weights in files: the tensors, and in the head what they are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from unconv.data.tensor_file import TensorFormat
from unconv.errors import ModelError, one_line, printable
from unconv.models.load.preprocess import Preprocess

FORMAT = TensorFormat("unconv trained network", 1, content="trained network", writer="unconv train", error=ModelError)


def save_trained(weights: Mapping[str, Tensor], path: Path, about: Mapping[str, Any]) -> Path:
    """Write weights to a safetensors file, whole or not at all.

    Args:
        weights: tensors by name, as ``state_dict`` gives them.
        path: where to.
        about: what JSON can hold; ``"classes"`` are the names of the network's outputs, ``"preprocess"`` its picture
            transform as a dict.

    Raises UnconvError where the place cannot be written to.

    >>> import tempfile, torch
    >>> path = Path(tempfile.mkdtemp()) / "weights.safetensors"
    >>> about_trained(save_trained({"weight": torch.ones(2, 3)}, path, {"classes": ["cat", "dog"]}))["classes"]
    ['cat', 'dog']
    """
    return FORMAT.write(path, weights, about)


def about_trained(path: Path) -> dict[str, Any]:
    """What a file of weights says of itself; nothing where unconv has not written it, or in a newer version."""
    return FORMAT.head_of(path)


def trained_classes(path: Path) -> tuple[str, ...] | None:
    """The names of the classes that a network of these weights was trained on, None where the file does not say."""
    classes = about_trained(path).get("classes")
    return tuple(map(str, classes)) if isinstance(classes, list) else None


def trained_preprocess(path: Path) -> Preprocess | None:
    """The picture transform that a network of these weights was trained with, None where the file does not say.

    Raises ModelError for one that is no picture transform.
    """
    told = about_trained(path).get("preprocess")
    if told is None:
        return None
    try:
        values: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in told.items()}
        return Preprocess(**values)
    except (TypeError, ValueError, AttributeError) as error:
        raise ModelError(
            f"weights {printable(path)}: its picture transform cannot be read: {one_line(error)}"
        ) from error
