"""``file.py:callable``: a network made by the user's own Python file.

The file is run as Python would run it (its folder can be imported from), the callable is called without arguments and
returns an ``nn.Module``, or the module and a dict that says how it wants its pictures::

    def build():
        return Net(), {"size": 28, "mean": 0.2860, "std": 0.3530, "classes": ["T-shirt", "Trouser", ...]}
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from types import ModuleType
from typing import Any
from weakref import WeakSet

from torch import nn

from unconv.errors import ModelError, UnconvError, one_line, printable
from unconv.models.load.preprocess import Preprocess
from unconv.models.load.recipe import Recipe, nearest, ready_made
from unconv.network.audit.sites.location import is_library, resolved
from unconv.network.audit.sites.recording import recording
from unconv.source_files import callables_in as callables_in, relative_depth

# What the dict beside a network may say.
WORDS = ("size", "resize", "mean", "std", "interpolation", "fit", "classes")


def file_recipe(path: Path, attribute: str) -> Recipe:
    """Run a Python file and its callable; what comes back is the network, trained or not.

    Raises ModelError, in one line that names file and line, for whatever goes wrong in the user's code.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "net.py"
    >>> _ = path.write_text("from torch import nn\\n\\ndef build():\\n    return nn.Conv2d(1, 8, 3), {'size': 28}\\n")
    >>> file_recipe(path, "build").preprocess.input_size
    (1, 28, 28)
    """
    name, root = f"{printable(path)}:{attribute}", _import_root(path)
    # What the file prints is no result; the standard output belongs to those.
    with _importable(path.parent), _importable(root), recording(path), redirect_stdout(sys.stderr):
        made = _call(_attribute(_run(path, root), attribute, name), path, name)
    module, words = _module_and_words(made, name)
    preprocess, assumed = _preprocess(module, words, name)
    classes = _classes(words, name)
    return ready_made(name, module, f"as {name} made them", preprocess, assumed, classes)


def _run(path: Path, root: Path) -> ModuleType:
    if not path.is_file():
        raise ModelError(f"{printable(path)}: {'not a file' if path.exists() else 'no such file'}; name a Python file")
    if root != path.resolve().parent:
        try:
            return importlib.import_module(".".join(path.resolve().relative_to(root).with_suffix("").parts))
        except (Exception, SystemExit) as error:
            raise ModelError(_located(error, path)) from error
    spec = importlib.util.spec_from_file_location(f"_unconv_model_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ModelError(f"{printable(path)}: Python cannot import it; its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    # Dataclasses and pickles of the file look their module up by name.
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[spec.name]
        raise ModelError(_located(error, path)) from error
    return module


def _attribute(module: ModuleType, attribute: str, name: str) -> Any:
    found: Any = module
    for part in attribute.split("."):
        found = getattr(found, part, None)
    if found is None:
        raise ModelError(f"{name}: no {attribute or 'name after the colon'}{_offer(vars(module), attribute)}")
    if not callable(found):
        raise ModelError(f"{name}: of type {type(found).__name__}; a function or class that makes a network is needed")
    return found


def _offer(names: Mapping[str, Any], attribute: str) -> str:
    offered = [key for key, value in names.items() if callable(value) and not key.startswith("_")]
    return nearest(attribute, offered) or (f"; the file has {', '.join(offered[:5])}" if offered else " in the file")


def _call(found: Any, path: Path, name: str) -> Any:
    if isinstance(found, nn.Module):
        return found
    try:
        return found()
    except (Exception, SystemExit) as error:
        if isinstance(error, TypeError) and error.__traceback__ and error.__traceback__.tb_next is None:
            # Raised by the call itself, not inside of it.
            raise ModelError(f"{name}: must be callable without arguments: {one_line(error)}") from error
        raise ModelError(_located(error, path)) from error


def _located(error: BaseException, path: Path) -> str:
    """``net.py:12: NameError: name 'x' is not defined``: the innermost line of the user's file."""
    if isinstance(error, UnconvError):
        return f"{printable(path)}: {one_line(error)}"
    names = (str(path), str(path.resolve()))
    if isinstance(error, SyntaxError) and error.filename in names:
        return f"{printable(path)}:{error.lineno}: SyntaxError: {error.msg}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename in names]
    place = f"{printable(path)}:{lines[-1]}" if lines else printable(path)
    kind = type(error).__name__
    said = one_line(error)
    return f"{place}: {kind}" if said == kind else f"{place}: {kind}: {said}"


def _import_root(path: Path) -> Path:
    """The folder that imports start from: the file's own; of one that imports relatively, that around its package."""
    folder, depth, level = path.resolve().parent, relative_depth(path), 0
    while depth and (level < depth or (folder / "__init__.py").is_file()):
        folder, level = folder.parent, level + 1
    return folder


# What files of this kind have imported, each from its own folder.
_IMPORTED: WeakSet[ModuleType] = WeakSet()


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Where a folder is searched first, and its modules are its own: not those of another file, nor older ones."""
    folder = folder.resolve()
    entry, before = str(folder), _put_aside(folder)
    known = set(sys.modules)
    sys.path.insert(0, entry)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        if entry in sys.path:
            sys.path.remove(entry)
        _IMPORTED.update(sys.modules[name] for name in set(sys.modules) - known if _lies_in(sys.modules[name], folder))
        sys.modules.update({name: module for name, module in before.items() if module not in _IMPORTED})


def _put_aside(folder: Path) -> dict[str, ModuleType]:
    """Take modules out of Python's table whose names a folder has too, and return them; the caller's own of it stay."""
    if not folder.is_dir():
        return {}
    names = {file.stem for file in folder.iterdir() if file.suffix == ".py" or (file / "__init__.py").is_file()}
    aside = {
        name: module
        for name, module in sys.modules.items()
        if (name.partition(".")[0] in names - {"__main__"} and _is_others(module, folder))
        or (module in _IMPORTED and _lies_in(module, folder))
    }
    for name in aside:
        del sys.modules[name]
    return aside


def _is_others(module: ModuleType, folder: Path) -> bool:
    file = getattr(module, "__file__", None)
    return file is not None and not is_library(resolved(file)) and not _lies_in(module, folder)


def _lies_in(module: ModuleType, folder: Path) -> bool:
    file = getattr(module, "__file__", None)
    return file is not None and Path(file).resolve().is_relative_to(folder)


def _module_and_words(made: Any, name: str) -> tuple[nn.Module, Mapping[str, Any]]:
    if isinstance(made, nn.Module):
        return made, {}
    if isinstance(made, tuple) and len(made) == 2 and isinstance(made[0], nn.Module) and isinstance(made[1], Mapping):
        unknown = [str(word) for word in made[1] if word not in WORDS]
        if unknown:
            raise ModelError(f"{name}: {', '.join(unknown)} says nothing about pictures; known are {', '.join(WORDS)}")
        return made
    what = f"({', '.join(type(part).__name__ for part in made)})" if isinstance(made, tuple) else type(made).__name__
    if isinstance(made, type):
        what = f"the class {made.__name__}, not an instance of it"
    if made is None:
        what = "None (has it a return?)"
    raise ModelError(f"{name}: returned {what}; an nn.Module, or (nn.Module, dict about its pictures), is needed")


def assumed_preprocess(module: nn.Module) -> tuple[Preprocess, str]:
    """The picture transform to take for a network that names none, and the sentence that says so.

    ImageNet's, as torchvision trains with it; for a network whose first convolution sees another number of channels
    than three, the pictures as they are, in [0, 1]; for one of three axes, clips and volumes as they are.

    >>> assumed_preprocess(nn.Conv2d(1, 8, 3))[0].input_size
    (1, 224, 224)
    """
    first = _channels(module) or 3
    if _takes_clips(module):
        return (
            Preprocess((), (), (0.0,) * first, (1.0,) * first),
            "the network names no transform: clips and volumes go in as they are unless told",
        )
    if first != 3:
        what = "grey" if first == 1 else f"of {first} channels"
        return (
            Preprocess(mean=(0.0,) * first, std=(1.0,) * first),
            f"the network names no picture transform: 224x224 {what} in [0, 1] assumed unless told",
        )
    return (
        Preprocess(),
        "the network names no picture transform: ImageNet's at 224x224 assumed unless told",
    )


def _takes_clips(module: nn.Module) -> bool:
    """Whether a network's first convolution has three axes."""
    kinds = nn.modules.conv._ConvNd
    first = next((one for one in module.modules() if isinstance(one, kinds)), None)
    return first is not None and len(first.kernel_size) == 3


def _channels(module: nn.Module) -> int | None:
    """What the first convolution of pictures, or of clips, takes; None without one."""
    kind = nn.Conv3d if _takes_clips(module) else nn.Conv2d
    return next((one.in_channels for one in module.modules() if isinstance(one, kind) and one.in_channels), None)


def _preprocess(module: nn.Module, words: Mapping[str, Any], name: str) -> tuple[Preprocess, str]:
    assumed, note = assumed_preprocess(module)
    if not words.keys() - {"classes"}:
        return assumed, note
    try:
        size = _sides(words["size"], (2, 3) if _takes_clips(module) else (2,)) if "size" in words else assumed.size
        mean, std = _normalisation(module, words, assumed)
        preprocess = Preprocess(
            size=size,
            resize=_sides(words["resize"], (2,)) if "resize" in words else size[-2:],
            mean=mean,
            std=std,
            interpolation=words.get("interpolation", assumed.interpolation),
            fit=words.get("fit", assumed.fit),
        )
    except (TypeError, ValueError) as error:
        raise ModelError(f"{name}: {one_line(error)}") from error
    return preprocess, ""


def _normalisation(
    module: nn.Module, words: Mapping[str, Any], assumed: Preprocess
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Means and deviations; one number is for every channel, as on the command line."""
    told = {key: _values(words[key]) for key in ("mean", "std") if key in words}
    several = max(map(len, told.values()), default=1)
    # Without a convolution nothing tells the channels but what is said: both numbers are one channel's.
    alone = 1 if len(told) == 2 else len(assumed.mean)
    channels = several if several > 1 else _channels(module) or alone
    values = (told.get(key, getattr(assumed, key)) for key in ("mean", "std"))
    mean, std = (one * channels if len(one) == 1 else one for one in values)
    return mean, std


def _sides(value: Any, lengths: tuple[int, ...]) -> tuple[int, ...]:
    sides = (value, value) if isinstance(value, int) else tuple(value)
    if len(sides) not in lengths or not all(isinstance(side, int) for side in sides):
        clips = ", nor (frames, height, width)" if 3 in lengths else ""
        raise ValueError(f"size {value!r} is neither a number nor (height, width){clips}")
    return sides


def _values(value: Any) -> tuple[float, ...]:
    return (float(value),) if isinstance(value, int | float) else tuple(float(part) for part in value)


def _classes(words: Mapping[str, Any], name: str) -> tuple[str, ...] | None:
    classes = words.get("classes")
    if classes is None:
        return None
    if isinstance(classes, str) or not isinstance(classes, Sequence) or not all(isinstance(c, str) for c in classes):
        raise ModelError(f"{name}: classes must be a list of names")
    return tuple(classes)
