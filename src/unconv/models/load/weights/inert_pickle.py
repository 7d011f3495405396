"""Unpickling without imports and calls: tensors and plain containers are made, everything else stays a description.

Unpickling looks names up and calls what it finds, so that a file can run anything. Here a name of the file is looked up
in one table, of the functions that make tensors; every other name stands for itself, and an object of it is what the
file says of that object: its class by name, arguments, state, entries. Only what is of the table is called.
"""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import torch

from unconv.models.load.weights.foreign import Foreign, Named, is_maker, tensor_makers

_PYTHON_2 = {"__builtin__": "builtins", "copy_reg": "copyreg"}


class InertPickle:
    """pickle without imports and calls, as ``torch.load`` takes it in the place of the module.

    Args:
        names: takes the names that a file gives and that are not looked up, in their order.

    >>> import argparse, os
    >>> names = {}
    >>> content = pickle.dumps({"lr": 0.1, "args": argparse.Namespace(epochs=3), "run": os.system})
    >>> InertPickle(names).load(io.BytesIO(content))["args"].state, list(names)
    ({'epochs': 3}, ['argparse.Namespace', 'posix.system'])
    """

    __name__ = "inert_pickle"

    def __init__(self, names: dict[str, None]) -> None:
        self.Unpickler = type("Unpickler", (InertUnpickler,), {"names": names})

    def load(self, stream: io.IOBase, **options: Any) -> Any:
        """Read one pickle; raises pickle.UnpicklingError, and whatever else a broken one leads to."""
        return self.Unpickler(stream, **options).load()


class InertUnpickler(pickle._Unpickler):
    """pickle's own unpickler in Python, with every opcode overridden that could import, call or change something.

    ``torch.load`` takes it in place of pickle's. The C one cannot be used: what it calls is not asked for.
    """

    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = dict(pickle._Unpickler.dispatch)

    stack: list[Any]
    append: Callable[[Any], None]
    pop_mark: Callable[[], list[Any]]
    # Names that were not looked up, of all pickles that one file is read with.
    names: dict[str, None]

    def __init__(self, stream: io.IOBase, **options: Any) -> None:
        super().__init__(stream, **options)
        self.read_storage = partial(_read_storage, pickle=InertPickle(self.names))

    def find_class(self, module: str, name: str) -> Any:
        """What the table has under a name, or the name."""
        # Protocol 2, which torch writes, has Python 2's names of the standard library.
        full = f"{_PYTHON_2.get(module, module)}.{name}"
        if full == "torch.storage._load_from_bytes":
            return self.read_storage
        if full in tensor_makers():
            return tensor_makers()[full]
        self.names[full] = None
        return Named(full)

    def get_extension(self, code: int) -> None:
        """Codes stand for names in a registry of the process, which files of weights have no use for."""
        raise pickle.UnpicklingError(f"extension code {code}")

    def make(self, maker: Any, arguments: Any) -> Any:
        """The object that a maker of the table makes, or the description of one."""
        arguments = tuple(arguments)
        if isinstance(maker, Named):
            return Foreign(maker.name, arguments)
        if maker is self.read_storage or is_maker(maker):
            return maker(*arguments)
        return Foreign(maker.kind if isinstance(maker, Foreign) else type(maker).__name__, arguments)

    def load_reduce(self) -> None:
        """Call a function."""
        arguments = self.stack.pop()
        self.stack[-1] = self.make(self.stack[-1], arguments)

    def load_newobj(self) -> None:
        """Make an object of a class."""
        arguments = self.stack.pop()
        self.stack[-1] = self.make(self.stack[-1], arguments)

    def load_newobj_ex(self) -> None:
        """Make an object of a class, with arguments by name."""
        by_name = self.stack.pop()
        arguments = self.stack.pop()
        self.stack[-1] = self.make(self.stack[-1], (*arguments, *([by_name] if by_name else ())))

    def _instantiate(self, maker: Any, arguments: Any) -> None:
        self.append(self.make(maker, arguments))

    def load_build(self) -> None:
        """Give an object its state: descriptions keep it, tensors and containers have none that counts."""
        state = self.stack.pop()
        target = self.stack[-1]
        if isinstance(target, Foreign):
            target.state = state

    def load_append(self) -> None:
        """Add to a list."""
        item = self.stack.pop()
        _list_of(self.stack[-1]).extend([item])

    def load_appends(self) -> None:
        """Add several to a list."""
        items = self.pop_mark()
        _list_of(self.stack[-1]).extend(items)

    def load_additems(self) -> None:
        """Add several to a set."""
        items = self.pop_mark()
        if type(self.stack[-1]) is set:
            self.stack[-1].update(items)
        else:
            _list_of(self.stack[-1]).extend(items)

    def load_setitem(self) -> None:
        """Add to a mapping."""
        value, key = self.stack.pop(), self.stack.pop()
        _mapping_of(self.stack[-1])[key] = value

    def load_setitems(self) -> None:
        """Add several to a mapping."""
        items = self.pop_mark()
        _mapping_of(self.stack[-1]).update(zip(items[::2], items[1::2], strict=True))

    def load_persid(self) -> None:
        """Torch writes its storages' places as objects, never as lines."""
        raise pickle.UnpicklingError("a persistent id in a line")

    def load_binpersid(self) -> None:
        """The storage of a tensor; of a module with its source (torch 0.4 and before) the module alone."""
        place = self.stack.pop()
        if type(place) is tuple and len(place) > 1 and place[0] in ("module", b"module"):
            self.append(place[1])
        elif _is_storage(place):
            self.append(self.persistent_load(place))
        else:
            raise pickle.UnpicklingError("a persistent id that is no storage")

    dispatch[pickle.REDUCE[0]] = load_reduce
    dispatch[pickle.NEWOBJ[0]] = load_newobj
    dispatch[pickle.NEWOBJ_EX[0]] = load_newobj_ex
    dispatch[pickle.BUILD[0]] = load_build
    dispatch[pickle.APPEND[0]] = load_append
    dispatch[pickle.APPENDS[0]] = load_appends
    dispatch[pickle.ADDITEMS[0]] = load_additems
    dispatch[pickle.SETITEM[0]] = load_setitem
    dispatch[pickle.SETITEMS[0]] = load_setitems
    dispatch[pickle.PERSID[0]] = load_persid
    dispatch[pickle.BINPERSID[0]] = load_binpersid


def _list_of(target: Any) -> Any:
    if type(target) is list or isinstance(target, Foreign):
        return target
    raise pickle.UnpicklingError(f"entries for a {type(target).__name__}")


def _mapping_of(target: Any) -> dict[Any, Any]:
    if isinstance(target, Foreign):
        return target.entries
    if type(target) in (dict, OrderedDict):
        mapping: dict[Any, Any] = target
        return mapping
    raise pickle.UnpicklingError(f"entries by name for a {type(target).__name__}")


def _is_storage(place: Any) -> bool:
    """Whether a persistent id is a storage's: a number in torch's first files, else type, key, device, length."""
    if type(place) in (int, str):
        return True
    if type(place) is not tuple or len(place) not in (5, 6) or place[0] not in ("storage", b"storage"):
        return False
    kind, key, device, length = place[1:5]
    return (
        (kind is torch.UntypedStorage or isinstance(kind, torch.serialization.StorageType))
        and type(key) in (str, int)
        and type(device) in (str, bytes)
        and type(length) is int
        and length >= 0
    )


def _read_storage(content: bytes, pickle: InertPickle) -> Any:
    """A storage in a pickle of tensors that torch did not write: a file of torch in itself."""
    return torch.load(io.BytesIO(content), map_location="cpu", pickle_module=pickle, weights_only=False)
