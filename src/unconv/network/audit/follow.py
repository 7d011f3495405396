"""Following a layer's output through a pass: what it goes through, to be applied to other numbers of its shape."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.weak import WeakTensorKeyDictionary

# Operations that move numbers and are no views to torch.
_MOVES = frozenset(
    {
        "_reshape_alias", "_to_copy", "_unsafe_view", "cat", "channel_shuffle", "clone", "contiguous",
        "native_channel_shuffle", "permute_copy", "pixel_shuffle", "pixel_unshuffle", "stack", "view_copy",
    }
)  # fmt: skip
# Those that make of each number another, in its place, and are no elementwise ones to torch: norms, slopes.
_IN_PLACE = frozenset(
    {
        "_fused_rms_norm", "_native_batch_norm_legit", "_native_batch_norm_legit_no_training", "_prelu_kernel",
        "cudnn_batch_norm", "hardswish", "hardswish_", "log_sigmoid_forward", "miopen_batch_norm", "native_batch_norm",
        "native_group_norm", "native_layer_norm", "rrelu_with_noise",
    }
)  # fmt: skip
# Those that sum numbers up, as norms by hand do: of a constant map, what they come to is known.
_SUMS = frozenset({"amax", "amin", "linalg_vector_norm", "mean", "std", "sum", "var"})
# The label of a number that comes from several.
_SEVERAL = -1


@dataclass(frozen=True)
class _Number:
    """A tensor of those that were followed."""

    index: int


@dataclass(frozen=True)
class Step:
    """One operation on what is followed.

    Attributes:
        operation: of torch.
        args, kwargs: its arguments, tensors that are followed as numbers of these.
        moves: whether it moves numbers, and makes no others of them.
    """

    operation: Any
    args: Sequence[Any]
    kwargs: dict[str, Any]
    moves: bool

    @property
    def sums(self) -> bool:
        """Whether it makes one number of several."""
        return self.operation._schema.name.split("::")[1] in _SUMS

    def run(self, tensors: Sequence[Tensor | None]) -> Tensor | None:
        """Its first output, of others than those that were followed; None where one of them is not known."""
        numbers = [one.index for one in tree_leaves((self.args, self.kwargs)) if isinstance(one, _Number)]
        if any(tensors[index] is None for index in numbers):
            return None

        def given(one: Any) -> Any:
            if isinstance(one, _Number):
                return tensors[one.index]
            # Constants in the precision of what is given.
            floating = isinstance(one, Tensor) and one.is_floating_point()
            return one.to(torch.float64) if floating and not self.moves else one

        args, kwargs = tree_map(given, (tuple(self.args), self.kwargs))
        return _first(self.operation(*args, **kwargs))

    def first(self, tensors: Sequence[Tensor | None]) -> Tensor | None:
        """The first of the labels that it reads, if all of these are alike; None where they are not."""
        numbers = [one.index for one in tree_leaves((self.args, self.kwargs)) if isinstance(one, _Number)]
        read = [tensors[index] for index in numbers]
        # What comes from several has no place of its own.
        placed = [one for one in read if one is None or not bool((one == _SEVERAL).all())]
        first, *others = placed or read
        alike = first is not None and all(one is not None and torch.equal(first, one) for one in others)
        return first if alike else None


@dataclass
class Path:
    """What the first output of a module went through.

    Attributes:
        shape: of that output.
        steps: in their order; the n-th makes the tensor n + 1, the output itself is 0.
        shapes: of what each made.
    """

    shape: tuple[int, ...]
    steps: list[Step] = field(default_factory=list)
    shapes: list[tuple[int, ...]] = field(default_factory=list)

    def applied(self, values: Tensor) -> list[Tensor | None]:
        """All tensors, of other numbers than those of the pass, in float64."""
        tensors: list[Tensor | None] = [values.to(torch.float64, copy=True)]
        for step in self.steps:
            tensors.append(step.run(tensors))
        return tensors

    def moved(self, labels: Tensor) -> list[Tensor | None]:
        """Where numbers with labels come to be, in all tensors; None where that is not known."""
        tensors: list[Tensor | None] = [labels]
        for step, shape in zip(self.steps, self.shapes, strict=True):
            there = step.run(tensors) if step.moves else step.first(tensors)
            if there is not None and not step.moves and (step.sums or bool((there == _SEVERAL).all())):
                there = torch.full(shape, _SEVERAL)
            tensors.append(there if there is not None and there.shape == shape else None)
        return tensors


class Follow(TorchDispatchMode):
    """Follows the outputs of modules as far as each of their numbers makes one number, or a norm makes it.

    >>> model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.PixelShuffle(2))
    >>> follow = Follow(model, [model[0]])
    >>> with torch.no_grad(), follow:
    ...     follow.watch()
    ...     _ = model(torch.ones(1, 3, 2, 2))
    >>> follow.paths[model[0]].shapes
    [(1, 4, 2, 2), (1, 1, 4, 4)]
    """

    def __init__(self, model: nn.Module, modules: Iterable[nn.Module]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.modules = tuple(modules)
        self.paths: dict[nn.Module, Path] = {}
        self._followed: Any = WeakTensorKeyDictionary()
        self._constant: Any = WeakTensorKeyDictionary()
        for one in (*model.parameters(), *model.buffers()):
            self._constant[one] = True

    def watch(self) -> None:
        """Follow what the modules return from here on, by hooks on them; who asks takes these away."""
        for module in self.modules:
            module.register_forward_hook(self._begin)

    def _begin(self, module: nn.Module, _inputs: Any, output: Any) -> None:
        if isinstance(output, Tensor) and module not in self.paths:
            self.paths[module] = Path(tuple(output.shape))
            self._followed[output] = (module, 0)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        places = [self._followed.get(one) for one in tensors]
        result = func(*args, **kwargs)
        output = _first(result)
        if not any(places):
            if output is not None and all(one in self._constant for one in tensors):
                self._constant[output] = True
            return result
        modules = {place[0] for place in places if place}
        known = all(place or one in self._constant for place, one in zip(places, tensors, strict=True))
        moves = func.is_view or func._schema.name.split("::")[1] in _MOVES
        if output is not None and known and len(modules) == 1 and (moves or _in_place(func)):
            self._add(modules.pop(), Step(func, *self._numbered(args, kwargs), moves), output)
        else:
            self._leave(func, args)
        return result

    def _numbered(self, args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[Any, Any]:
        def number(leaf: Any) -> Any:
            place = self._followed.get(leaf) if isinstance(leaf, Tensor) else None
            return _Number(place[1]) if place else leaf

        numbered: tuple[Any, Any] = tree_map(number, (tuple(args), kwargs))
        return numbered

    def _add(self, module: nn.Module, step: Step, output: Tensor) -> None:
        path = self.paths[module]
        path.steps.append(step)
        path.shapes.append(tuple(output.shape))
        self._followed[output] = (module, len(path.steps))

    def _leave(self, func: Any, args: Sequence[Any]) -> None:
        """Forget what is written over, and all that shares its memory."""
        arguments = zip(func._schema.arguments, args, strict=False)
        written = [one for argument, one in arguments if argument.is_write and isinstance(one, Tensor)]
        memory = {one.untyped_storage().data_ptr() for one in written}
        for one in [one for one in self._followed if one.untyped_storage().data_ptr() in memory]:
            del self._followed[one]


def _in_place(func: Any) -> bool:
    return torch.Tag.pointwise in func.tags or func._schema.name.split("::")[1] in _IN_PLACE | _SUMS


def _first(result: Any) -> Tensor | None:
    """The first tensor of what an operation returns; of split values there is none that is the one."""
    if isinstance(result, Tensor):
        return result
    return result[0] if isinstance(result, tuple) and result and isinstance(result[0], Tensor) else None
