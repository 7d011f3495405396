"""Recurrent layers of ONNX files as torch's: the same gates in another order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from unconv.models.load.onnx_file.node import Node, as_tensor, to_tensor

# ONNX's gates in torch's order: i o f c -> i f c o; z r h -> r z h.
_GATES = {"LSTM": (0, 2, 3, 1), "GRU": (1, 0, 2), "RNN": (0,)}
_ACTIVATIONS = {"LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"], "RNN": ["Tanh"]}


class Recurrent(nn.RNNBase):
    """One recurrent layer, in one direction, back, or both."""

    direction = "forward"
    positions: tuple[int, ...] = (0,)
    layout = 0

    def forward(self, x: Tensor, *states: Any) -> tuple[Tensor, ...]:
        """All steps (steps, directions, batch, hidden), and the last states (directions, batch, hidden)."""
        steps = x.transpose(0, 1) if self.layout else x
        steps = steps.flip(0) if self.direction == "reverse" else steps
        given = [as_tensor(one, x) for one in states]
        given = [one.transpose(0, 1).contiguous() if self.layout else one for one in given]
        if self.mode == "LSTM" and len(given) == 1:
            given.append(torch.zeros_like(given[0]))
        start = tuple(given) if len(given) > 1 else given[0] if given else None
        output, ends = super().forward(steps, start)
        output = output.flip(0) if self.direction == "reverse" else output
        output = output.unflatten(2, (-1, self.hidden_size)).transpose(1, 2)
        last = ends if isinstance(ends, tuple) else (ends,)
        if self.layout:
            return output.permute(2, 0, 1, 3), *(one.transpose(0, 1) for one in last)
        return output, *last


class LSTM(Recurrent, nn.LSTM):  # type: ignore[misc]
    """Long short-term memory."""


class GRU(Recurrent, nn.GRU):  # type: ignore[misc]
    """Gated recurrent units."""


class RNN(Recurrent, nn.RNN):  # type: ignore[misc]
    """Plain recurrence."""


def recurrent(node: Node, given: Sequence[Any]) -> Any:
    """``LSTM``, ``GRU`` or ``RNN`` with the weights of the file, as far as torch has such a one."""
    given = [*given, *(None,) * (8 - len(given))]
    _check(node, given)
    weight, recurrence, bias = given[1:4]
    hidden = recurrence.shape[2]
    direction = node.get("direction", "forward")
    kind: Any = {"LSTM": LSTM, "GRU": GRU, "RNN": RNN}[node.operator]
    module = kind(weight.shape[2], hidden, bias=bias is not None, bidirectional=direction == "bidirectional")
    module.direction, module.layout = direction, node.get("layout", 0)
    # Of the first states, those that are given.
    module.positions = (0, *(n for n in (5, 6) if n < len(node.inputs) and node.inputs[n]))
    for direction in range(weight.shape[0]):
        end = "_reverse" if direction else ""
        parts = {"weight_ih": weight[direction], "weight_hh": recurrence[direction]}
        if bias is not None:
            parts["bias_ih"], parts["bias_hh"] = np.split(bias[direction], 2)
        for name, values in parts.items():
            blocks = np.split(values, len(_GATES[node.operator]))
            ordered = np.concatenate([blocks[gate] for gate in _GATES[node.operator]])
            getattr(module, f"{name}_l0{end}").data = to_tensor(ordered)
    return module


def _check(node: Node, given: Sequence[Any]) -> None:
    """Refuse what torch's layers do not do."""
    if given[1] is None or given[2] is None or (given[3] is None and len(node.inputs) > 3 and node.inputs[3]):
        node.refuse("its weights follow from the network's input; they have to be fixed")
    usual = _ACTIVATIONS[node.operator] * given[1].shape[0]
    told = [one.decode() if isinstance(one, bytes) else one for one in node.get("activations", usual)]
    if told != usual:
        node.refuse(f"its activations {', '.join(told)} are not torch's {', '.join(usual)}")
    if len(node.inputs) > 4 and node.inputs[4]:
        node.refuse("sequences of several lengths are not known; leave sequence_lens out")
    if given[7] is not None or node.get("clip") is not None or node.get("input_forget", 0):
        node.refuse("peepholes, clip and input_forget are nothing that torch has")
    if node.operator == "GRU" and not node.get("linear_before_reset", 0):
        node.refuse("torch's resets behind the product with the state; export it with linear_before_reset=1")
