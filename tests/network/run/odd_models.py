"""Models that hold odd things, and change them when they run."""

from __future__ import annotations

import random
from collections import Counter, OrderedDict, UserDict, defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from types import MappingProxyType, SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


class FrozenDict(OrderedDict):  # type: ignore[type-arg]
    """As diffusers' configurations: an ordered dict that refuses every change."""

    def __setitem__(self, key: Any, value: Any) -> None:
        if getattr(self, "_closed", False):
            raise TypeError("read-only")
        super().__setitem__(key, value)

    def _refuse(self, *_args: Any, **_kwargs: Any) -> Any:
        raise TypeError("read-only")

    clear = update = pop = popitem = setdefault = __delitem__ = __ior__ = _refuse


class ReadOnlyDict(dict):  # type: ignore[type-arg]
    """A dict that refuses every change, its copy too."""

    def _refuse(self, *_args: Any, **_kwargs: Any) -> Any:
        raise TypeError("read-only")

    __setitem__ = __delitem__ = clear = update = pop = popitem = setdefault = copy = _refuse


class ReadOnlyList(list):  # type: ignore[type-arg]
    """A list that refuses every change."""

    def _refuse(self, *_args: Any, **_kwargs: Any) -> Any:
        raise TypeError("read-only")

    __setitem__ = __delitem__ = clear = extend = append = insert = pop = copy = _refuse


class ReadOnlySet(set):  # type: ignore[type-arg]
    """A set that refuses every change."""

    def _refuse(self, *_args: Any, **_kwargs: Any) -> Any:
        raise TypeError("read-only")

    clear = update = add = discard = remove = pop = copy = _refuse


class Config:
    """As transformers' and omegaconf's: an object that asks before an attribute is set, or found missing."""

    def __init__(self, **entries: Any) -> None:
        object.__setattr__(self, "_content", dict(entries))

    def __getattr__(self, name: str) -> Any:
        try:
            return object.__getattribute__(self, "_content")[name]
        except KeyError as error:
            raise RuntimeError(f"no {name}") from error

    def __setattr__(self, name: str, value: Any) -> None:
        raise RuntimeError("read-only")


@dataclass(frozen=True)
class Settings:
    """A frozen dataclass around a list."""

    sizes: list[int] = field(default_factory=lambda: [1, 2])


class Slotted:
    """Attributes in slots, one of them not set."""

    __slots__ = ("count", "seen")

    def __init__(self) -> None:
        self.count = 0


class Cache:
    """What a layer keeps for later, in an object of its own."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}


def frozen_dict() -> FrozenDict:
    closed = FrozenDict(depth=2, sizes=[3, 4])
    closed._closed = True
    return closed


def into(container: Any, *entries: Any) -> None:
    """Change a dict past what its class refuses."""
    base = OrderedDict if isinstance(container, OrderedDict) else dict
    base.__setitem__(container, *entries)


def aliased() -> list[Any]:
    inner = [1]
    return [inner, {"again": inner}]


def circular() -> list[Any]:
    whole: list[Any] = [1]
    whole.append(whole)
    return whole


# What is held as an attribute, and how a forward pass changes it; None where it only has to survive.
ODD: dict[str, tuple[Callable[[], Any], Callable[[Any], Any] | None]] = {
    "mapping proxy": (lambda: MappingProxyType({"depth": 2}), None),
    "mapping proxy around a list": (lambda: MappingProxyType({"sizes": [1]}), lambda held: held["sizes"].append(2)),
    "frozen dict": (frozen_dict, None),
    "frozen dict, changed": (frozen_dict, lambda held: into(held, "more", 1)),
    "frozen dict, emptied": (frozen_dict, OrderedDict.clear),
    "frozen dict around a list": (frozen_dict, lambda held: held["sizes"].clear()),
    "read-only dict": (lambda: ReadOnlyDict(depth=2), None),
    "read-only dict, changed": (lambda: ReadOnlyDict(depth=2), lambda held: into(held, "depth", 3)),
    "read-only list": (lambda: ReadOnlyList([1]), lambda held: list.append(held, 2)),
    "read-only set": (lambda: ReadOnlySet({1}), lambda held: set.add(held, 2)),
    "configuration": (lambda: Config(sizes=[1]), lambda held: held._content.update(more=1)),
    "configuration around a list": (lambda: Config(sizes=[1]), lambda held: held.sizes.append(1)),
    "frozen dataclass around a list": (Settings, lambda held: held.sizes.append(3)),
    "slots": (Slotted, lambda held: setattr(held, "count", held.count + 1)),
    "slots, one set anew": (Slotted, lambda held: setattr(held, "seen", True)),
    "cache": (Cache, lambda held: held.kept.update(x=torch.zeros(1))),
    "namespace": (lambda: SimpleNamespace(n=0), lambda held: setattr(held, "n", 1)),
    "list": (lambda: [1, 2], lambda held: held.append(3)),
    "list in a tuple": (lambda: ([1], 2), lambda held: held[0].insert(0, 0)),
    "list of lists": (lambda: [[1], [[2]]], lambda held: held[1][0].clear()),
    "aliased": (aliased, lambda held: held[1]["again"].append(2)),
    "circular": (circular, lambda held: held.pop()),
    "dict": (lambda: {"a": 1, "b": 2}, lambda held: held.update(a=held.pop("a"))),
    "dict, a key gone": (lambda: {"a": 1, "b": 2}, lambda held: held.pop("a")),
    "ordered dict": (lambda: OrderedDict(a=1, b=2), lambda held: held.move_to_end("a")),
    "default dict": (lambda: defaultdict(list, a=[1]), lambda held: held["b"].append(1)),
    "counter": (Counter, lambda held: held.update("aab")),
    "user dict": (lambda: UserDict(a=1), lambda held: held.update(b=2)),
    "deque": (lambda: deque([1, 2], maxlen=2), lambda held: held.append(3)),
    "set": (lambda: {1, 2}, lambda held: held.discard(1)),
    "bytes": (lambda: bytearray(b"ab"), lambda held: held.extend(b"c")),
    "array": (lambda: np.zeros(3), lambda held: held.__iadd__(1)),
    "read-only array": (lambda: np.broadcast_to(np.zeros(1), (3,)), None),
    "tensor": (lambda: torch.zeros(2), lambda held: held.add_(1)),
    "tensors": (lambda: [torch.zeros(2), torch.full((2,), torch.nan)], lambda held: held[1].zero_()),
    "part of a tensor": (lambda: torch.zeros(4)[::2], lambda held: held.fill_(1)),
    "expanded tensor": (lambda: torch.zeros(1).expand(3), None),
    "sparse tensor": (lambda: torch.eye(2).to_sparse(), None),
    "tensor turned elsewhere": (lambda: torch.zeros(2), lambda held: setattr(held, "data", torch.ones(3))),
    "generator": (lambda: torch.Generator().manual_seed(1), lambda held: torch.rand(1, generator=held)),
    "random": (lambda: random.Random(1), lambda held: held.random()),
    "numpy generator": (lambda: np.random.default_rng(1), lambda held: held.random()),
    "nothing": (lambda: None, None),
}

# How a forward pass may change the module itself.
CHANGES: dict[str, Callable[[Any], Any]] = {
    "counter": lambda model: setattr(model, "calls", model.calls + 1),
    "new attribute": lambda model: setattr(model, "features", torch.zeros(1)),
    "attribute gone": lambda model: delattr(model, "calls"),
    "buffer in place": lambda model: model.steps.add_(1),
    "buffer bound anew": lambda model: setattr(model, "steps", model.steps + 1),
    "buffer turned elsewhere": lambda model: setattr(model.steps, "data", torch.ones(())),
    "new buffer": lambda model: model.register_buffer("more", torch.zeros(1)),
    "new parameter": lambda model: model.register_parameter("more", nn.Parameter(torch.zeros(1))),
    "parameter turned elsewhere": lambda model: setattr(model.conv.weight, "data", model.conv.weight.data * 2),
    "parameter unfrozen": lambda model: model.conv.weight.requires_grad_(True),
    "parameter frozen": lambda model: model.conv.weight.requires_grad_(False),
    "gradient": lambda model: setattr(model.conv.weight, "grad", torch.ones_like(model.conv.weight)),
    "module exchanged": lambda model: setattr(model, "last", nn.Identity()),
    "hook": lambda model: model.conv.register_forward_hook(lambda *_: None),
    "mode": lambda model: model.train(not model.training),
    "random numbers": lambda _model: torch.rand(3),
    "gradients off": lambda _model: torch.set_grad_enabled(False),
    "list on a class of its own": lambda model: model.last.trail.append(1),
}


class Last(nn.ReLU):
    """A rectifier with a list."""

    def __init__(self) -> None:
        super().__init__()
        self.trail: list[int] = []


class Odd(nn.Module):
    """A small network that holds something, changes it when it runs, and fails after that if told."""

    def __init__(self, held: Any = None, change: Callable[[Odd], Any] | None = None, fails: Any = None) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.last = Last()
        self.register_buffer("steps", torch.zeros(()))
        self.calls = 0
        self.held = held
        vars(self)["change"] = change
        vars(self)["fails"] = fails
        self.norm.eval()
        self.conv.bias.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        """Convolution, batch norm, rectifier."""
        if self.change is not None:
            self.change(self)
        x = self.norm(self.conv(x))
        if self.fails is not None:
            raise self.fails
        return torch.relu(x) if isinstance(self.last, nn.Identity) else self.last(x)
