"""Loading weights from a file into a network, or one line that says why not."""

from __future__ import annotations

import pickle
import re
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from unconv.data.tensor_file import read_tensors
from unconv.errors import ModelError, one_line, printable

StateDict = dict[str, Tensor]

# What training scripts wrap a state dict in, and what wrappers of modules put before its names.
ENVELOPES = ("state_dict", "model_state_dict", "model", "net")
PREFIXES = ("module.", "_orig_mod.", "model.")
# torchvision's published DenseNet files still carry the names of its first release.
_OLD_DENSENET = re.compile(r"^(.*denselayer\d+\.(?:norm|relu|conv))\.([12])\.(weight|bias|running_mean|running_var)$")


def read_state_dict(path: Path) -> StateDict:
    """Read named tensors from a safetensors file, or from a torch file with nothing but tensors unpickled.

    A training checkpoint is opened to its ``state_dict`` (or ``model_state_dict``, ``model``, ``net``).

    Raises ModelError for a missing or broken file, one that holds Python objects, and one without tensors.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "linear.pth"
    >>> torch.save({"epoch": 3, "state_dict": nn.Linear(2, 1).state_dict()}, path)
    >>> list(read_state_dict(path))
    ['weight', 'bias']
    """
    name = f"weights {printable(path)}"
    try:
        with path.open("rb") as stream:
            head = stream.read(9)
        # A safetensors file is the length of a JSON header, in 8 bytes, and the header.
        is_safetensors = head[8:] == b"{"
        found = read_tensors(path, name, ModelError).tensors if is_safetensors else _read_torch(path)
    except ModelError:
        raise
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{name}: holds Python objects, not tensors alone, or is no weights file; "
            "save model.state_dict() with torch.save or safetensors"
        ) from error
    except FileNotFoundError as error:
        raise ModelError(
            f"{name}: there is no such file; weights are a file of yours, and the published ones are taken without it"
        ) from error
    except Exception as error:
        # A broken file fails in any way the reader's formats can (EOFError, RuntimeError, SafetensorError …).
        raise ModelError(f"{name}: cannot be read: {one_line(error)}") from error
    return _opened(found, name)


def _read_torch(path: Path) -> object:
    with warnings.catch_warnings():
        # torch wonders aloud about pickles of other protocols; whether it can read them decides.
        warnings.simplefilter("ignore")
        return torch.load(path, map_location="cpu", weights_only=True)


def _opened(found: object, name: str) -> StateDict:
    for key in ENVELOPES:
        if isinstance(found, Mapping) and isinstance(found.get(key), Mapping):
            found = found[key]
            break
    tensors = (
        {key: value for key, value in found.items() if isinstance(value, Tensor)} if isinstance(found, Mapping) else {}
    )
    if not tensors:
        raise ModelError(f"{name}: no tensors by name in it; save model.state_dict()")
    return tensors


def fit_weights(
    build: Callable[[int | None], nn.Module],
    state: StateDict,
    names: Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]],
    where: str,
) -> nn.Module:
    """Build a network and load tensors into it; where only the number of classes differs, the network follows the file.

    Args:
        build: makes the network, of its usual number of classes for None.
        state: tensors by name.
        names: gives tensors of another naming the network's names.
        where: the file and the network, for messages: ``weights r18.pth: torchvision:resnet18``.

    Raises ModelError with the counts and first names of tensors that are missing, unexpected or of another shape.

    >>> def build(classes):
    ...     return nn.Linear(4, classes or 1000)
    >>> fit_weights(build, nn.Linear(4, 7).state_dict(), dict, "weights")
    Linear(in_features=4, out_features=7, bias=True)
    >>> fit_weights(build, nn.Linear(5, 7).state_dict(), dict, "weights")
    Traceback (most recent call last):
    unconv.errors.ModelError: weights: 2 of another shape (weight [7, 5] for [1000, 4], bias [7] for [1000])
    """
    module = build(None)
    state = dict(names(_without_prefix(state, module)))
    classes = _other_number_of_classes(state, module, build)
    if classes is not None and not _wrong_shapes(state, follower := build(classes)):
        module = follower
    wrong = _wrong_shapes(state, module)
    # Shapes first: torch refuses them with an error of many lines, the names it returns.
    fitting = {key: value for key, value in state.items() if key not in wrong}
    result = module.load_state_dict(fitting, strict=False)
    missing = [key for key in result.missing_keys if key not in wrong]
    told = [
        _told("missing", missing),
        _told("unexpected", result.unexpected_keys),
        _told("of another shape", [f"{key} {shapes}" for key, shapes in wrong.items()]),
    ]
    if any(told):
        raise ModelError(f"{where}: {', '.join(filter(None, told))}")
    return module


def _without_prefix(state: StateDict, module: nn.Module) -> StateDict:
    own = tuple(module.state_dict())
    for prefix in PREFIXES:
        if all(key.startswith(prefix) for key in state) and not any(key.startswith(prefix) for key in own):
            return {key.removeprefix(prefix): value for key, value in state.items()}
    return state


def current_densenet_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Names of today's torchvision for the tensors of its published DenseNet files, all others untouched.

    >>> list(current_densenet_names({"features.denseblock1.denselayer2.norm.1.bias": torch.zeros(1)}))
    ['features.denseblock1.denselayer2.norm1.bias']
    """
    return {_OLD_DENSENET.sub(r"\1\2.\3", key): value for key, value in state.items()}


def _shapes(module: nn.Module) -> dict[str, list[int]]:
    return {key: list(value.shape) for key, value in module.state_dict().items()}


def _wrong_shapes(state: StateDict, module: nn.Module) -> dict[str, str]:
    own = _shapes(module)
    return {
        key: f"{list(value.shape)} for {own[key]}"
        for key, value in state.items()
        if key in own and list(value.shape) != own[key]
    }


def _other_number_of_classes(
    state: StateDict, module: nn.Module, build: Callable[[int | None], nn.Module]
) -> int | None:
    """The number of classes of the file, if nothing but that one number differs between file and network.

    It may be in more than one place, and as a multiple: layers that bring class scores to another resolution have it
    twice, a sub-pixel convolution has each class for every phase. How often is seen in the network of one class.
    """
    wrong = _wrong_shapes(state, module)
    if not wrong:
        return None
    own, of_one = _shapes(module), _shapes(build(1))
    counts = set()
    for key in wrong:
        shapes = list(state[key].shape), own[key], of_one.get(key, [])
        if len({len(shape) for shape in shapes}) > 1:
            return None
        for there, here, unit in zip(*shapes, strict=True):
            if there != here:
                counts.add(there // unit if unit and there % unit == 0 else 0)
    number = counts.pop()
    return number if number and not counts else None


def _told(what: str, names: list[str]) -> str:
    if not names:
        return ""
    more = ", …" if len(names) > 3 else ""
    return f"{len(names)} {what} ({', '.join(names[:3])}{more})"


def check_finite(module: nn.Module, name: str) -> None:
    """Refuse a network with NaN or infinite weights, naming the first: everything computed from them would be void.

    A buffer may hold −∞: attention masks do.

    >>> layer = nn.Linear(2, 1)
    >>> _ = layer.weight.data.fill_(float("nan"))
    >>> check_finite(layer, "net.py:build")
    Traceback (most recent call last):
    unconv.errors.ModelError: net.py:build: weights are not finite: weight has 2 NaN or infinite values of 2
    """
    masks = {key for key, _ in module.named_buffers()}
    tensors: dict[str, Any] = module.state_dict()
    for key, value in tensors.items():
        if is_lazy(value):
            raise ModelError(f"{name}: {key} of a lazy layer has no shape yet; run the network once where it is made")
        if not isinstance(value, Tensor) or not value.is_floating_point():
            continue
        void = value.isnan() | value.isposinf() if key in masks else ~value.isfinite()
        if void.any():
            count = int(void.sum())
            raise ModelError(
                f"{name}: weights are not finite: {key} has {count} NaN or infinite values of {value.numel()}"
            )
