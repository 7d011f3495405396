"""Functions that are recorded whole: what torch takes apart, each backend in its way, before anything is dispatched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import _disable_current_modes

from unconv.describe import by_size
from unconv.errors import ModelError
from unconv.network.run.quantised import float_operation, is_quantised
from unconv.network.trace.failed import describe_failure
from unconv.network.trace.operation import CLASS_LOSSES, LOSSES
from unconv.network.trace.record import Recorder
from unconv.network.trace.rules.recurrent import pack, recurrent, unpack
from unconv.network.trace.rules.window import pad

_RECURRENT = {
    torch.lstm: "lstm",
    torch.gru: "gru",
    torch.rnn_tanh: "rnn",
    torch.rnn_relu: "rnn",
    torch.quantized_lstm: "lstm",
    torch.quantized_gru: "gru",
}
_TO_NUMBERS = frozenset({torch.Tensor.numpy, torch.Tensor.__array__, torch.Tensor.tolist})
_SET_DATA = Tensor.data.__set__  # type: ignore[attr-defined]
# The functions that are looked at; all others run as they are.
_SPECIAL = frozenset(
    {
        nn.functional.pad,
        torch._VF._pack_padded_sequence,
        torch._VF._pad_packed_sequence,
        _SET_DATA,
        *_TO_NUMBERS,
        *_RECURRENT,
    }
)
_IS_QUANTISED = torch.Tensor.is_quantized.__get__  # type: ignore[attr-defined]
_NAMES = ("hx", "params", "has_biases", "num_layers", "dropout", "train", "bidirectional", "batch_first")


class WholeFunctions(TorchFunctionMode):
    """Records recurrent layers and circular padding in one piece, and functions that fail before any operation is made.

    Of a recurrent layer one step is run, whose shapes and type those of all steps follow from.
    """

    def __init__(self, recorder: Recorder) -> None:
        super().__init__()
        self.recorder = recorder
        self.quantised = any(map(is_quantised, recorder.model.modules()))

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = kwargs or {}
        name = getattr(func, "__name__", "")
        try:
            if name in CLASS_LOSSES:
                _check_classes(dict(zip(("input", "target"), args, strict=False)) | given)
            return self._call(func, args, given)
        except Exception as error:
            failed = describe_failure(name, args, given, error, self.recorder)
            self.recorder.failed_functions.append(failed)
            # Of a comparison number by number its own shapes say more than those of the operation inside that failed.
            if name in LOSSES or (self.recorder.failed is None and name in CLASS_LOSSES):
                self.recorder.failed = failed
            raise

    def _call(self, func: Any, args: Any, given: dict[str, Any]) -> Any:
        instead = float_operation(func)
        if instead is not None:
            return instead(*args, **given)
        if self.quantised and func == _IS_QUANTISED:
            return True
        if func not in _SPECIAL:
            return func(*args, **given)
        if func is nn.functional.pad:
            named = dict(zip(("input", "pad", "mode", "value"), args, strict=False)) | given
            if named.get("mode") == "circular":
                arguments = {"self": named["input"], "pad": list(named["pad"])}
                with self.recorder.muted():
                    output = func(*args, **given)
                self.recorder.record_whole("circular_pad", arguments, (output,), pad)
                return output
        if func in _TO_NUMBERS and (values := self.recorder.known.values(args[0])) is not None:
            with _disable_current_modes():
                return func(values, *args[1:], **given)
        if func is torch._VF._pack_padded_sequence:
            return self._pack(*args, **given)
        if func is torch._VF._pad_packed_sequence:
            return self._unpack(*args, **given)
        if func == _SET_DATA and not isinstance(args[0], (FakeTensor, UninitializedBuffer, UninitializedParameter)):
            if args[0].shape != args[1].shape:
                sizes = [by_size(one.shape) for one in args[:2]]
                raise ModelError(f"a weight of {sizes[0]} is given data of {sizes[1]}: its size has to stay as it is")
            # Weights that a forward pass computes anew: the network keeps its own, the pass goes on with the new ones.
            args[0].detach().copy_(args[1])
            return None
        if func in _RECURRENT and len(args) >= 8:
            return self._recurrent(func, args, given)
        return func(*args, **given)

    def _pack(self, steps: Tensor, lengths: Tensor, batch_first: bool) -> Any:
        known = self.recorder.known.values(lengths)
        if known is None:
            return torch._VF._pack_padded_sequence(steps, lengths, batch_first)
        shape = steps.shape[:2]
        with _disable_current_modes():
            rows, sizes = torch._VF._pack_padded_sequence(
                torch.arange(shape.numel()).view(*shape, 1), known, batch_first
            )
        with self.recorder.muted():
            data = steps.flatten(0, 1).index_select(0, rows.flatten())
        self.recorder.record_whole("pack", {"input": steps, "batch_first": batch_first}, (data,), pack)
        return data, sizes

    def _unpack(self, data: Tensor, sizes: Tensor, batch_first: bool, padding: float, total: int) -> Any:
        known = self.recorder.known.values(sizes)
        if known is None:
            return torch._VF._pad_packed_sequence(data, sizes, batch_first, padding, total)
        with _disable_current_modes():
            numbers = torch.arange(1, len(data) + 1).view(-1, 1)
            rows, lengths = torch._VF._pad_packed_sequence(numbers, known, batch_first, 0, total)
        with self.recorder.muted():
            steps = data.index_select(0, (rows.flatten() - 1).clamp(min=0)).view(*rows.shape[:2], *data.shape[1:])
        self.recorder.record_whole("unpack", {"input": data, "batch_first": batch_first}, (steps,), unpack)
        return steps, lengths

    def _recurrent(self, func: Any, args: Sequence[Any], given: dict[str, Any]) -> Any:
        packed = isinstance(args[1], Tensor) and isinstance(args[3], (list, tuple))
        steps, sizes, rest = (args[0], args[1], args[2:]) if packed else (args[0], None, args[1:])
        named = dict(zip(_NAMES, rest, strict=False))
        states = named["hx"] if isinstance(named["hx"], (list, tuple)) else (named["hx"],)
        time = 1 if not packed and named["batch_first"] else 0
        with self.recorder.muted():
            if packed:
                width = states[0].shape[1]
                output, *ends = func(steps[:width][None], *rest[:7], False, *rest[7:], **given)
                output = output.flatten(0, 1)[:1].repeat(len(steps), 1)
            else:
                output, *ends = func(steps.narrow(time, 0, 1), *rest, **given)
                count = steps.shape[time]
                output = output.repeat((1, count, 1) if time else (count, 1, 1))
        arguments = {
            "input": steps,
            "batch_sizes": sizes,
            "hx": tuple(states),
            "params": [one for one in named["params"] if isinstance(one, Tensor)],
            "bidirectional": named["bidirectional"],
            "batch_first": named.get("batch_first", False),
        }
        self.recorder.record_whole(_RECURRENT[func], arguments, (output, *ends), recurrent)
        return (output, *ends)


def _check_classes(given: Mapping[str, Any]) -> None:
    """The sizes of an output and of its classes' numbers, which torch does not compare where it only has shapes."""
    output, target = tuple(given["input"].shape), tuple(given["target"].shape)
    if len(target) == len(output) - 1 and target != (*output[:1], *output[2:]):
        raise RuntimeError(f"size mismatch (got input: {output}, target: {target})")
