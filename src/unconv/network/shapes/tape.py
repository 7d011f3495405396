"""Tapes: what is computed of tensors outside of modules, kept so that it can be computed again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from threading import get_ident
from types import TracebackType
from typing import Any

from torch import Tensor, nn
from torch.nn.modules import module as module_hooks
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.weak import WeakTensorKeyDictionary

# Longer chains are cut: a running mean would hold every tensor that ever went into it.
LONGEST = 256
# Properties that make a tensor of another; of all others the values are taken as they are.
_PROPERTIES = frozenset({"T", "mT", "H", "mH", "real", "imag"})
_NOT_AGAIN = frozenset({"backward", "grad", "requires_grad_", "register_hook"})


@dataclass(frozen=True, eq=False)
class Step:
    """A call of a function or a module, outside of modules.

    Attributes:
        call: the function or the module.
        args: what it was given; tensors that were made on the tape as :class:`Made`, others as they are.
        kwargs: likewise.
        length: of the longest chain of steps that ends in it.
    """

    call: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    length: int


@dataclass(frozen=True, eq=False)
class Made:
    """A tensor that a step made: its place among the tensors of the step's result."""

    step: Step
    place: int


@dataclass(frozen=True, eq=False)
class Failure:
    """A step that failed, and how."""

    step: Step
    error: BaseException


class Tape(TorchFunctionMode):
    """Keeps the calls of functions and modules, outside of modules, that made the tensors which are still in use.

    A tensor that nothing holds any more takes its step with it; what modules compute inside is not kept, nor what is
    written through a view or an index: it changes values, and no shape.

    >>> import torch
    >>> layer, x = nn.Linear(3, 2), torch.ones(1, 3)
    >>> with Tape() as tape:
    ...     y = layer(x) + 1
    >>> [type(step.call).__name__ for step in steps_of(tape.step_of(y))]
    ['Linear', 'method_descriptor']
    """

    def __init__(self) -> None:
        super().__init__()
        self.failure: Failure | None = None
        self._made: MutableMapping[Tensor, Made] = WeakTensorKeyDictionary()
        self._depth = 0
        self._thread = get_ident()
        self._hooks = ExitStack()

    def __enter__(self) -> Tape:
        """Listen to modules too."""
        before = module_hooks.register_module_forward_pre_hook(self._enter_module)
        behind = module_hooks.register_module_forward_hook(self._leave_module, with_kwargs=True, always_call=True)
        self._hooks.callback(before.remove)
        self._hooks.callback(behind.remove)
        # torch forgets this one, and then takes it for a hook that is still there.
        self._hooks.callback(module_hooks._global_forward_hooks_with_kwargs.pop, behind.id, None)
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop listening."""
        super().__exit__(kind, error, traceback)  # type: ignore[no-untyped-call]
        self._hooks.close()

    def step_of(self, tensor: Tensor) -> Step | None:
        """The step that made a tensor; None where none on the tape did."""
        made = self._made.get(tensor)
        return None if made is None else made.step

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        given = kwargs or {}
        if self._depth:
            return func(*args, **given)
        before = self.step(func, args, given)
        try:
            result = func(*args, **given)
        except Exception as error:
            self.failure = Failure(before, error)
            raise
        self._keep(before, result)
        return result

    def step(self, call: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Step:
        """A call, with what is known of its tensors."""
        # What a function writes in place stays known as it was before.
        made, named = tree_map(self._known, (tuple(args), dict(kwargs)))
        lengths = [leaf.step.length for leaf in tree_leaves((made, named)) if isinstance(leaf, Made)]
        return Step(call, made, named, 1 + max(lengths, default=0))

    def _known(self, leaf: Any) -> Any:
        made = self._made.get(leaf) if isinstance(leaf, Tensor) else None
        return leaf if made is None else made

    def _keep(self, step: Step, result: Any) -> None:
        name = getattr(step.call, "__name__", "")
        # Properties of tensors are functions of this name.
        made_of = name != "__get__" or getattr(getattr(step.call, "__self__", None), "__name__", "") in _PROPERTIES
        if name in _NOT_AGAIN or not made_of or step.length > LONGEST:
            return
        tensors = [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
        of_tensors = any(isinstance(leaf, Tensor | Made) for leaf in tree_leaves((step.args, step.kwargs)))
        for place, tensor in enumerate(tensors if of_tensors else ()):
            self._made[tensor] = Made(step, place)

    def _enter_module(self, _module: nn.Module, _args: Any) -> None:
        if get_ident() == self._thread:
            self._depth += 1

    def _leave_module(self, module: nn.Module, args: Any, *rest: Any) -> None:
        if get_ident() != self._thread:
            return
        self._depth -= 1
        # Of a module that failed torch tells no keywords, and there is nothing to keep.
        if not self._depth and len(rest) == 2:
            kwargs, output = rest
            self._keep(self.step(module, args, kwargs), output)


def steps_of(step: Step | None) -> Iterator[Step]:
    """The steps that end in one, each once, in an order in which they can be made again."""
    seen: set[int] = set()
    # An own stack: chains are longer than Python's may be.
    waiting = [] if step is None else [(step, False)]
    while waiting:
        one, ready = waiting.pop()
        if ready:
            yield one
        elif id(one) not in seen:
            seen.add(id(one))
            waiting.append((one, True))
            before = [leaf.step for leaf in tree_leaves((one.args, one.kwargs)) if isinstance(leaf, Made)]
            waiting += [(other, False) for other in reversed(before)]


@dataclass(frozen=True, eq=False)
class Program:
    """Steps, to be made again of other tensors.

    Attributes:
        steps: in order.
        inputs: the tensors that came from elsewhere, in the order in which they are used.
        modules: with weights of their own, in the order in which they are called.
    """

    steps: tuple[Step, ...]
    inputs: tuple[Tensor, ...] = field(init=False)
    modules: tuple[nn.Module, ...] = field(init=False)

    def __post_init__(self) -> None:
        tensors = [leaf for step in self.steps for leaf in tree_leaves((step.args, step.kwargs))]
        inputs = {id(leaf): leaf for leaf in tensors if isinstance(leaf, Tensor)}
        called = {id(step.call): step.call for step in self.steps if isinstance(step.call, nn.Module)}
        with_weights = (one for one in called.values() if next(one.parameters(), None) is not None)
        object.__setattr__(self, "inputs", tuple(inputs.values()))
        object.__setattr__(self, "modules", tuple(with_weights))

    def run(self, *inputs: Tensor) -> list[Tensor]:
        """Make all steps again, of other inputs: the tensors of the last one."""
        instead = {id(one): other for one, other in zip(self.inputs, inputs, strict=True)}
        results: dict[int, list[Tensor]] = {}

        def value(leaf: Any) -> Any:
            if isinstance(leaf, Made):
                return results[id(leaf.step)][leaf.place]
            return instead.get(id(leaf), leaf) if isinstance(leaf, Tensor) else leaf

        for step in self.steps:
            args, kwargs = tree_map(value, (step.args, step.kwargs))
            result = step.call(*args, **kwargs)
            results[id(step)] = [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
        return results[id(self.steps[-1])]


def gather_modules(modules: Sequence[nn.Module], names: Mapping[str, Any]) -> nn.Module:
    """Modules as the children of one, by the names of variables that hold them; else by their kind.

    >>> a, b = nn.Linear(3, 2), nn.ReLU()
    >>> [name for name, _ in gather_modules([a, b], {"encoder": a}).named_children()]
    ['encoder', 'relu']
    """
    whole = nn.Module()
    for module in modules:
        held = (name for name, value in names.items() if value is module and not name.startswith("_"))
        name = next(held, type(module).__name__.lower())
        taken = dict(whole.named_children())
        unlike = (f"{name}{n}" if n else name for n in range(len(modules)))
        whole.add_module(next(one for one in unlike if one not in taken), module)
    return whole
