"""The recorder: sees every operation of a forward pass, and keeps what it means for the geometry."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import inf
from threading import get_ident
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensor, FakeTensorMode
from torch.nn.modules import module as module_hooks
from torch.nn.parameter import is_lazy
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from unconv.network.run.computed_weights import class_name, has_parts
from unconv.network.run.forward import OutOfTime
from unconv.network.run.held_tensors import held_tensors
from unconv.network.run.lazy_layers import give_shapes, is_lazy_layer
from unconv.network.run.outputs import main_output, output_leaves
from unconv.network.trace.failed import Failed, describe_failure, led_to
from unconv.network.trace.known_values import KnownValues
from unconv.network.trace.links import Window
from unconv.network.trace.macs import constant_macs
from unconv.network.trace.operation import (
    ModuleCall,
    OperatorCall,
    Outcome,
    base_name,
    bind_arguments,
    exchanged,
    memory_of,
    needs_values,
    tensors_in,
    written_arguments,
)
from unconv.network.trace.rules.all_rules import reads_shape_only, rule_for
from unconv.network.trace.rules.shape import paste
from unconv.network.trace.rules.window import OperationRule
from unconv.network.trace.value_graph import ValueGraph
from unconv.network.trace.values import Read, Value


@dataclass(frozen=True)
class Record:
    """One visible operation and the module call in which it ran."""

    outcome: Outcome
    run: ModuleCall
    input_shapes: tuple[tuple[int, ...], ...]
    inputs: tuple[int, ...]
    parameters: int
    constant_macs: int
    """Of what was computed of weights alone, and is used here first."""


@dataclass(frozen=True)
class _Slice:
    """A tensor that is a stretch of another one's memory."""

    base: Tensor
    starts: tuple[int, ...]


@dataclass
class Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records the operations that depend on the network's input."""

    graph: ValueGraph
    model: nn.Module
    fakes: FakeTensorMode
    records: list[Record] = field(default_factory=list)
    runs: list[ModuleCall] = field(default_factory=list)
    stack: list[ModuleCall] = field(default_factory=list)
    returned: tuple[int, ...] | None = None
    """The values that the model returned; None where it returned something that is not known."""
    kept: tuple[int, ...] = ()
    """The values that modules hold after the pass."""
    until: float = inf
    """When the pass has to end, on the clock of ``time.monotonic``."""
    failed: Failed | None = None
    failed_functions: list[Failed] = field(default_factory=list)  # of torch, in which that was, the innermost first

    def __post_init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.known = KnownValues(self.fakes, (*self.model.parameters(), *self.model.buffers()))
        self._values: dict[int, Value] = {}
        self._seen: dict[int, Tensor] = {}
        self._storages: dict[int, list[Tensor]] = defaultdict(list)
        self._slices: dict[int, _Slice] = {}
        self.held: dict[int, frozenset[int]] = {id(p): frozenset({id(p)}) for p in self.model.parameters()}
        self._sizes = {id(p): 0 if is_lazy(p) else p.numel() for p in self.model.parameters()}
        self._paths = {id(m): name for name, m in self.model.named_modules()}
        self._claimed: set[int] = set()
        self._efforts: dict[int, frozenset[tuple[int, int]]] = defaultdict(frozenset)
        self._efforts_made: set[tuple[int, int]] = set()
        self._muted = False
        self._thread = get_ident()

    def bind(self, tensor: Tensor, value: Value | None) -> None:
        """Remember what a tensor is."""
        if id(tensor) not in self._seen:
            self._seen[id(tensor)] = tensor
            self._storages[memory_of(tensor)].append(tensor)
        if value is not None:
            self._values[id(tensor)] = value

    def value_of(self, tensor: Tensor) -> Value | None:
        """What is known of a tensor."""
        return self._values.get(id(tensor))

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if time.monotonic() > self.until:
            raise OutOfTime
        try:
            result = self._run(func, args, kwargs or {})
        except Exception as error:
            self.failed = describe_failure(base_name(func), args, kwargs or {}, error, self)
            raise
        if self._muted:
            return result
        outputs = tuple(tensors_in(result if isinstance(result, (list, tuple)) else (result,)))
        self.known.note(func, args, kwargs or {}, outputs)
        if outputs:
            arguments = bind_arguments(func, args, kwargs or {})
            call = self._call(base_name(func), arguments, outputs)
            written = [call.get(argument) for _, argument in written_arguments(func)]
            self._record(call, rule_for(func, call.name), tensors_in(written))
        return result

    def note_output(self, output: Any) -> None:
        """Remember what the model returned, and what its modules hold now."""
        leaves = [leaf for _, leaf in output_leaves(output) if not isinstance(leaf, (int, float, str, type(None)))]
        values = [self.value_of(leaf) for leaf in leaves if isinstance(leaf, Tensor)]
        if len(values) == len(leaves):
            self.returned = tuple(value.index for value in values if value is not None)
        self.kept = tuple(
            {value.index for one in held_tensors(self.model) if (value := self.value_of(one)) is not None}
        )

    @property
    def parameters(self) -> int:
        """Numbers that the model holds as parameters; those of lazy layers that were not called have none yet."""
        return sum(self._sizes.values())

    @property
    def unused(self) -> tuple[str, ...]:
        """Names of parameters that nothing seen so far has used."""
        return tuple(name for name, one in self.model.named_parameters() if id(one) not in self._claimed)

    def forget_caught(self, error: Exception) -> None:
        """Keep only the failures that led to an error."""
        self.failed = self.failed if self.failed is not None and led_to(error, self.failed) else None
        self.failed_functions = [one for one in self.failed_functions if led_to(error, one)]

    @contextmanager
    def muted(self) -> Iterator[None]:
        """Operations run, and are not recorded."""
        self._muted = True
        try:
            yield
        finally:
            self._muted = False

    def record_whole(
        self, name: str, arguments: dict[str, Any], outputs: tuple[Tensor, ...], rule: OperationRule
    ) -> None:
        """One step for what torch takes apart into several."""
        self._record(self._call(name, arguments, outputs), rule, [])

    def _call(self, name: str, arguments: dict[str, Any], outputs: tuple[Tensor, ...]) -> OperatorCall:
        return OperatorCall(name, arguments, outputs, self.graph, self.value_of, self.known.numbers)

    def _run(self, func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """The operation on fake tensors only: weights are not read, and what writes to them writes to a stand-in.

        What the model's path or a size depends on is the exception, if it follows from weights and buffers alone.
        """
        leaves = tensors_in((*args, *kwargs.values()))
        if needs_values(func):
            if all(self.known.of(leaf) is not None for leaf in leaves):
                return self.known.compute(func, args, kwargs)
            if torch.Tag.data_dependent_output in func.tags:
                raise DataDependentOutputException(func)
            if base_name(func) == "index":
                args = (args[0], [one for index in args[1] for one in self.known.cells_of(index)])
            leaves = tensors_in((*args, *kwargs.values()))
        real = [leaf for leaf in leaves if not isinstance(leaf, FakeTensor)]
        if not real:
            return func(*args, **kwargs)
        stand_ins = {id(leaf): self.known.stand_in(leaf) for leaf in real}
        originals = {id(stand_ins[id(leaf)]): leaf for leaf in real}
        fake_args = [exchanged(one, stand_ins) for one in args]
        result = func(*fake_args, **{name: exchanged(one, stand_ins) for name, one in kwargs.items()})
        return exchanged(result, originals)

    def _record(self, call: OperatorCall, rule: OperationRule, written: Sequence[Tensor]) -> None:
        if not call.values or reads_shape_only(call.name):
            held = frozenset[int]().union(*(self.held.get(id(tensor), ()) for tensor in call.tensors))
            efforts = frozenset[tuple[int, int]]().union(*(self._efforts[id(tensor)] for tensor in call.tensors))
            shapes = [tensor.shape for tensor in call.tensors]
            macs = constant_macs(call.name, shapes, call.shape, bool(call.get("transposed")))
            if macs:
                # Each is counted once: told apart by the tensor that it made, which is kept.
                efforts |= {(id(call.outputs[0]), macs)}
            for tensor in call.outputs:
                self.bind(tensor, None)
                self.held[id(tensor)] = held
                self._efforts[id(tensor)] = efforts
                self._note_slices(call)
            for tensor in (other for one in written for other in self.known.sharing(one)):
                # Weights that are made of weights, and written into those that a layer has.
                self.held[id(tensor)] = self.held.get(id(tensor), frozenset()) | held
                self._efforts[id(tensor)] |= efforts
            return
        outcome = rule(call)
        if outcome.visible:
            self._add(call, outcome)
        for tensor, value in zip(call.outputs, outcome.values, strict=False):
            self.bind(tensor, value)
        for tensor in written:
            self._spread_write(tensor, outcome.values[0])
        self._note_slices(call)

    def _add(self, call: OperatorCall, outcome: Outcome) -> None:
        held = frozenset[int]().union(*(self.held.get(id(tensor), ()) for tensor in call.tensors))
        fresh = held - self._claimed
        self._claimed |= fresh
        efforts = frozenset[tuple[int, int]]().union(*(self._efforts[id(tensor)] for tensor in call.tensors))
        efforts -= self._efforts_made
        self._efforts_made |= efforts
        operands = [t for t in call.tensors if self.value_of(t) is not None]
        self.records.append(
            Record(
                outcome,
                self.stack[-1],
                tuple(tuple(tensor.shape) for tensor in operands),
                tuple(value.index for value in call.values),
                sum(self._sizes[key] for key in fresh),
                sum(macs for _, macs in efforts),
            )
        )

    def _note_slices(self, call: OperatorCall) -> None:
        """Remember which tensors are stretches of which, so that writing to one can reach the other."""
        if call.name not in ("slice", "split", "split_with_sizes") or call.get("step", 1) != 1:
            return
        whole = call.first
        self.bind(whole, self.value_of(whole))
        start = slice(call.get("start"), call.get("end")).indices(whole.shape[call["dim"]])[0]
        dim = call["dim"] % whole.dim()
        above = self._slices.get(id(whole), _Slice(whole, (0,) * whole.dim()))
        for tensor in call.outputs:
            offset = tuple(begin + (start if n == dim else 0) for n, begin in enumerate(above.starts))
            self._slices[id(tensor)] = _Slice(above.base, offset)
            start += tensor.shape[dim]

    def _spread_write(self, tensor: Tensor, value: Value) -> None:
        """A write in place changes every tensor that shares the memory."""
        aliases = [other for other in self._storages[memory_of(tensor)] if other is not tensor]
        piece = self._slices.get(id(tensor))
        if not aliases and piece is None:
            return
        base = piece.base if piece else tensor
        if piece is not None:
            value = paste(self.graph, [(value, piece.starts)], tuple(base.shape), self.value_of(base))
            self._values[id(base)] = value
        for other in (one for one in aliases if one is not base):
            stretch = self._slices.get(id(other))
            if stretch is not None and stretch.base is base:
                reads = [
                    Read(n, Window(pad_before=-start)) if size != whole else Read(n)
                    for n, (start, size, whole) in enumerate(zip(stretch.starts, other.shape, base.shape, strict=True))
                ]
                self._values[id(other)] = self.graph.derive([(value, reads)], tuple(other.shape))
            elif tuple(other.shape) == tuple(base.shape) and other.stride() == base.stride():
                self._values[id(other)] = value
            elif other.numel() == base.numel() and other.is_contiguous() and base.is_contiguous():
                self._values[id(other)] = self.graph.reshape(value, tuple(other.shape))
            else:
                known = [v for v in (value, self.value_of(other)) if v is not None]
                self._values[id(other)] = self.graph.unknown(known, tuple(other.shape))

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Follow which module runs, by hooks on all modules and on none in particular."""
        handles = [
            module_hooks.register_module_forward_pre_hook(self.enter),
            module_hooks.register_module_forward_hook(self._leave),
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def enter(self, module: nn.Module, inputs: Any) -> None:
        """Operations from here on are those of a module, which has been called with such inputs."""
        # The hooks are torch's own of all modules: another thread may be at work with its model.
        if get_ident() != self._thread:
            return
        if is_lazy_layer(module):
            give_shapes(module, inputs)
            self._sizes |= {id(one): one.numel() for one in module.parameters(recurse=False)}
        inside = ".".join(filter(None, (self.stack[-1].path if self.stack else "", class_name(module))))
        path = self._paths.get(id(module), inside)
        leaves = [leaf for leaf in tree_leaves(inputs) if isinstance(leaf, Tensor)]
        shapes = tuple(tuple(leaf.shape) for leaf in leaves)
        values = tuple(value.index if (value := self.value_of(leaf)) is not None else None for leaf in leaves)
        run = ModuleCall(path, class_name(module), not has_parts(module), shapes, module, values)
        self.stack.append(run)
        self.runs.append(run)

    def _leave(self, module: nn.Module, _inputs: Any, output: Any) -> None:
        if get_ident() != self._thread:
            return
        while self.stack and self.stack[-1].module is not module:
            self.stack.pop()
        run = self.stack.pop()
        main = main_output(output).tensor
        run.returned = None if main is None else self.value_of(main)
