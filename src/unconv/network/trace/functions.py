"""Functions that are recorded whole: what torch takes apart, each backend in its way, before anything is dispatched."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from unconv.network.trace.operation import LOSSES
from unconv.network.trace.record import Recorder
from unconv.network.trace.rules.recurrent import recurrent
from unconv.network.trace.rules.window import pad

_RECURRENT = {
    torch.lstm: "lstm",
    torch.gru: "gru",
    torch.rnn_tanh: "rnn",
    torch.rnn_relu: "rnn",
    torch.quantized_lstm: "lstm",
    torch.quantized_gru: "gru",
}
_NAMES = ("hx", "params", "has_biases", "num_layers", "dropout", "train", "bidirectional", "batch_first")


class WholeFunctions(TorchFunctionMode):
    """Records recurrent layers and circular padding in one piece, and functions that fail before any operation is made.

    Of a recurrent layer one step is run, whose shapes and type those of all steps follow from.
    """

    def __init__(self, recorder: Recorder) -> None:
        super().__init__()
        self.recorder = recorder

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = kwargs or {}
        if func is nn.functional.pad:
            named = dict(zip(("input", "pad", "mode", "value"), args, strict=False)) | given
            if named.get("mode") == "circular":
                arguments = {"self": named["input"], "pad": list(named["pad"])}
                with self.recorder.muted():
                    output = func(*args, **given)
                self.recorder.record_whole("circular_pad", arguments, (output,), pad)
                return output
        if func in _RECURRENT and len(args) >= 8:
            return self._recurrent(func, args, given)
        try:
            return func(*args, **given)
        except Exception:
            name = getattr(func, "__name__", "")
            if name in LOSSES and self.recorder.failed is None:
                self.recorder.note_failure(name, args, given)
            raise

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
