"""Rules of recurrent layers: every step reads the steps before it, in whatever way torch computes them."""

from __future__ import annotations

from math import prod

from unconv.network.trace.links import Before, Window
from unconv.network.trace.macs import recurrent_macs
from unconv.network.trace.operation import OperatorCall, Outcome
from unconv.network.trace.values import Read, Value

GATES = {"lstm": 4, "gru": 3, "rnn": 1}
"""Matrices of weights, stacked, for what comes in and for the state alike."""


def recurrent(call: OperatorCall) -> Outcome:
    """All layers and directions of an LSTM, a GRU or a plain recurrent network, at once.

    A step of the output reads the steps up to it; where there is a second direction, all of them, as the states at the
    end do, which are the outputs behind the first.
    """
    graph, state = call.graph, call["hx"][0]
    packed = call["batch_sizes"] is not None
    steps = call["input"].shape
    directions = 2 if call["bidirectional"] else 1
    layers = state.shape[0] // directions
    hidden = call["hx"][-1].shape[-1]
    work = recurrent_macs(
        GATES[call.name], steps[-1], hidden, state.shape[-1], layers, directions, rows=prod(steps[:-1])
    )
    if packed and state.shape[1] > 1:
        outs = tuple(graph.unknown(call.values, tensor.shape) for tensor in call.outputs)
        note = "several sequences packed into one: its units count as seeing everything"
        return Outcome(call.name, outs, macs=work, note=note)
    time = 1 if call["batch_first"] and not packed else 0
    batch = None if packed else 1 - time
    first: list[tuple[Value, list[Read | None]]] = []
    last: list[tuple[Value, list[Read | None]]] = []
    for tensor in (call["input"], *call["hx"]):
        if (value := call.value_of(tensor)) is None:
            continue
        steps_in = tensor is call["input"]
        read = None if batch is None else Read(batch if steps_in else 1)
        rows: list[Read | None] = [None] * len(call.shape)
        if batch is not None:
            rows[batch] = read
        if steps_in:
            rows[time] = Read(time, mixed=True) if directions == 2 else Read(time, Before(steps[time]))
        first.append((value, rows))
        last.append((value, [None, read, None]))
    states = [graph.derive(last, tensor.shape) for tensor in call.outputs[1:]]
    return Outcome(call.name, (graph.derive(first, call.shape), *states), macs=work)


def pack(call: OperatorCall) -> Outcome:
    """Sequences of a batch packed into one: a single one is cut to its length, several are mixed step by step."""
    value, steps = call.values[0], call["input"].shape
    time = 1 if call["batch_first"] else 0
    if steps[1 - time] > 1:
        return Outcome("pack", (call.graph.unknown([value], call.shape),), visible=False)
    reads = [Read(time, Window()), *(Read(n) for n in range(2, len(steps)))]
    return Outcome("pack", (call.graph.derive([(value, reads)], call.shape),), visible=False)


def unpack(call: OperatorCall) -> Outcome:
    """Sequences unpacked into a batch again, padded at the end."""
    value = call.values[0]
    time = 1 if call["batch_first"] else 0
    if call.shape[1 - time] > 1:
        return Outcome("unpack", (call.graph.unknown([value], call.shape),), visible=False)
    reads: list[Read | None] = [None, None, *(Read(n) for n in range(1, len(value.layout)))]
    reads[time] = Read(0, Window())
    return Outcome("unpack", (call.graph.derive([(value, reads)], call.shape),), visible=False)
