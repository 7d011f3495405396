"""Answers for sequences: features, first states, masks and the order of batch and steps in recurrence and attention."""

from __future__ import annotations

from typing import Any

from torch import nn

from unconv.network.audit.finding import by_size
from unconv.network.shapes.joined_answers import operand_names
from unconv.network.shapes.rearranged_answers import widened
from unconv.network.shapes.shape_error import ShapeAnswer
from unconv.network.trace.failed import Failed, Operand
from unconv.network.trace.graph import Graph
from unconv.network.trace.operation import ModuleCall

Shape = tuple[int, ...]


def answer_attention_layer(failed: Failed, graph: Graph, module: ModuleCall | None) -> ShapeAnswer | None:
    """What ``nn.MultiheadAttention`` refuses, by its function, which has tokens in front of the batch."""
    layer: Any = module.module if module is not None else None
    if not isinstance(layer, nn.MultiheadAttention) or module is None:
        return None
    given = failed.bind("query", "key", "value")
    if not all(isinstance(given.get(name), Operand) for name in ("query", "key", "value")):
        return None
    called = dict(zip(("query", "key", "value"), operand_names(failed, graph), strict=False))
    shapes = {name: given[name].shape for name in called}
    path, where = module.path or "the attention", "batch, tokens" if layer.batch_first else "tokens, batch"
    for name, width in (("query", layer.embed_dim), ("key", layer.kdim), ("value", layer.vdim)):
        if shapes[name] and shapes[name][-1] != width and len(shapes[name]) in (2, 3):
            has = shapes[name][-1]
            what = f"{path} takes {width} features in its {name} and gets {has} from {called[name]}"
            names = {"key": f" or kdim={has}", "value": f" or vdim={has}"}.get(name, "")
            fix = f"nn.Linear({has}, {width}) before it{names and f',{names} in {path}'}"
            return ShapeAnswer(what, (), (called[name], path), fix, by_input=False)
    shape = shapes["query"]
    if len(shape) not in (2, 3):
        what = f"{path} takes ({where}, features) and gets {by_size(shape)} from {called['query']}"
        order = "transpose(1, 2)" if layer.batch_first else "permute(2, 0, 1)"
        return ShapeAnswer(what, (), (called["query"], path), f"x.flatten(2).{order} before it", by_input=False)
    if len(shape) != 3:
        return None
    sizes = {name: (one[0], one[1]) for name, one in shapes.items() if len(one) == 3}
    return _of_order(sizes, path, layer, called) or _of_masks(given, sizes, path, layer)


def _first(layer: Any, path: str) -> str:
    """Where to say that the batch comes first, or that it does not."""
    return f"batch_first={not layer.batch_first} in {path}"


def _of_order(sizes: dict[str, tuple[int, int]], path: str, layer: Any, called: dict[str, str]) -> ShapeAnswer | None:
    """Query, key and value of other batches or tokens: tokens come first here."""
    query, key = sizes["query"], sizes.get("key")
    if key is None:
        return None
    names = (called["query"], called["key"], path)
    order = "(batch, tokens, features)" if layer.batch_first else "(tokens, batch, features)"
    if query[1] != key[1]:
        # As they were handed over.
        one, two = (pair[::-1] if layer.batch_first else pair for pair in (query, key))
        what = (
            f"{path} takes {order}: its query is {by_size(one)} and its key {by_size(two)}, of batches {query[1]} and "
            f"{key[1]}"
        )
        fix = _first(layer, path) if query[0] == key[0] else "query and key of one batch"
        if query[0] != key[0] and query == key[::-1]:
            fix = f"x.transpose(0, 1) of {called['key']}: its batch and tokens are swapped"
        return ShapeAnswer(what, (), names, fix, by_input=False)
    if sizes.get("value", key) != key:
        pairs = [by_size(pair[::-1]) for pair in (key, sizes["value"])]
        what = f"{path} takes a value for each key: {pairs[0]} keys and {pairs[1]} values (batch, tokens)"
        return ShapeAnswer(what, (), names, "key and value of the same tokens", by_input=False)
    return None


def _of_masks(given: dict[str, Any], sizes: dict[str, tuple[int, int]], path: str, layer: Any) -> ShapeAnswer | None:
    """Masks for other numbers of tokens."""
    (target, batch), source = sizes["query"], sizes["key"][0]
    padding, mask = given.get("key_padding_mask"), given.get("attn_mask")
    if isinstance(padding, Operand) and padding.shape != (batch, source):
        what = f"{path} takes a key_padding_mask of {batch}×{source} (batch, tokens) and gets {by_size(padding.shape)}"
        swapped = padding.shape == (source, batch) and source != batch
        fix = f"{_first(layer, path)}, or key_padding_mask.T" if swapped else f"a mask of {batch}×{source}"
        return ShapeAnswer(what, (), (path,), fix, by_input=False)
    heads = batch * layer.num_heads
    if isinstance(mask, Operand) and mask.shape not in ((target, source), (heads, target, source)):
        what = (
            f"{path} takes an attn_mask of {target}×{source} (tokens of the query, of the key) or "
            f"{heads}×{target}×{source} (batch × heads first) and gets {by_size(mask.shape)}"
        )
        swapped = mask.shape == (batch, batch) and target == source
        if swapped:
            fix = f"{_first(layer, path)}: batch and tokens are swapped"
        elif mask.shape == (batch, target, source):
            fix = f"mask.repeat_interleave({layer.num_heads}, 0): one for each head"
        elif mask.shape == (batch, source):
            fix = "key_padding_mask in place of attn_mask: one mask of tokens for each of a batch"
        else:
            fix = f"a mask of {target}×{source}"
        return ShapeAnswer(what, (), (path,), fix, by_input=False)
    return None


def answer_scaled_attention(failed: Failed, graph: Graph, where: str) -> ShapeAnswer | None:
    """Queries, keys, values and masks that do not go together: ``F.scaled_dot_product_attention``."""
    given = failed.bind("query", "key", "value", "attn_mask")
    if not all(isinstance(given.get(name), Operand) for name in ("query", "key", "value")):
        return None
    called = dict(zip(("query", "key", "value"), operand_names(failed, graph), strict=False))
    query, key, value = (given[name].shape for name in ("query", "key", "value"))
    if min(len(query), len(key), len(value)) < 2:
        return None
    names = tuple(called.values())
    if query[-1] != key[-1]:
        what = f"{where} attends with queries of {query[-1]} features ({called['query']}) to keys of {key[-1]}"
        fix = widened(graph, called["key"], query[-1]) if len(key) == 3 else ""
        fix = fix or f"as many features in the keys, of {called['key']}, as in the queries"
        return ShapeAnswer(f"{what} ({called['key']})", (), names, fix, by_input=False)
    if key[-2] != value[-2]:
        what = f"{where} attends to {key[-2]} keys ({called['key']}) with {value[-2]} values ({called['value']})"
        return ShapeAnswer(what, (), names, "keys and values of the same tokens", by_input=False)
    mask = given.get("attn_mask")
    scores = (*query[:-1], key[-2])
    if isinstance(mask, Operand) and not _goes_with(mask.shape, scores):
        what = f"{where} masks scores of {by_size(scores)} (batch, heads, tokens, tokens) by {by_size(mask.shape)}"
        fix = f"a mask of {by_size(scores[-2:])}, or of axes that are 1 or equal to those of the scores"
        if mask.shape == (scores[0], scores[-1]):
            axes = ", ".join(["None"] * (len(scores) - 2))
            fix = f"mask[:, {axes}]: one mask of tokens for each of a batch"
        elif len(scores) == 4 and mask.shape == (scores[0], *scores[-2:]):
            fix = "mask[:, None]: one mask for all heads"
        return ShapeAnswer(what, (), names, fix, by_input=False)
    return None


def _goes_with(mask: Shape, scores: Shape) -> bool:
    pairs = zip(mask[::-1], scores[::-1], strict=False)
    return len(mask) <= len(scores) and all(a in (1, b) for a, b in pairs)


def answer_recurrent(layer: Any, shapes: tuple[Shape, ...], names: tuple[str, str]) -> ShapeAnswer | None:
    """The features, axes or first states of a recurrent layer or cell."""
    shape, path, kind = shapes[0], names[1], type(layer).__name__
    cell = isinstance(layer, nn.RNNCellBase)
    most = 2 if cell else 3
    if len(shape) > most:
        order = "transpose(1, 2)" if getattr(layer, "batch_first", True) else "permute(2, 0, 1)"
        fix = "x.flatten(1)" if cell else f"x.flatten(2).{order} before it, which makes a step of every place"
        if not cell and shape[1] != layer.input_size:
            fix += f", and nn.{kind}({shape[1]}, {layer.hidden_size}, ...)"
        takes = "(batch, features)" if cell else "steps with features, in a batch,"
        return ShapeAnswer(f"{path} takes {takes} and gets {by_size(shape)}", (), names, fix, by_input=False)
    if not shape or shape[-1] != layer.input_size:
        return _of_features(layer, shape, names)
    if cell:
        axes = "(batch, features)" if len(shape) == 2 else "(features)"
        return _first_states(shapes, (*shape[:-1], layer.hidden_size), layer, axes, names)
    count = layer.num_layers * (2 if layer.bidirectional else 1)
    width = getattr(layer, "proj_size", 0) or layer.hidden_size
    if len(shape) == 2:
        without = _first_states(shapes, (count, width), layer, "(layers × directions, features)", names)
        if without is None:
            return None
        what = f"{without.what} with steps of {by_size(shape)}, which have no batch"
        added = f"{'x[None]' if layer.batch_first else 'x[:, None]'} before it, or " if shapes[1][1:2] == (1,) else ""
        return ShapeAnswer(what, (), names, f"{added}{without.fix}", by_input=False)
    if len(shape) != 3:
        return None
    batch, steps = (shape[0], shape[1]) if layer.batch_first else (shape[1], shape[0])
    answer = _first_states(shapes, (count, batch, width), layer, "(layers × directions, batch, features)", names)
    if answer is not None and (count, steps, width) in shapes[1:] and batch != steps:
        order = "batch_first=False" if layer.batch_first else "batch_first=True"
        what = f"{answer.what}: batch and steps are swapped"
        return ShapeAnswer(what, (), names, f"{order} in {path}", by_input=False)
    return answer


def _of_features(layer: Any, shape: Shape, names: tuple[str, str]) -> ShapeAnswer | None:
    if not shape:
        return None
    kind, takes = type(layer).__name__, layer.input_size
    what = f"{names[1]} takes {takes} features and gets {shape[-1]}"
    if len(shape) == 3 and shape[1] == takes:
        order = "x.transpose(1, 2)" if layer.batch_first else "x.permute(2, 0, 1)"
        what = f"{what} from {names[0]} ({by_size(shape)}, batch first)"
        fix = f"{order} before it, where its features stand behind the batch"
        return ShapeAnswer(what, (), names, fix, by_input=False)
    return ShapeAnswer(what, (), names, f"nn.{kind}({shape[-1]}, {layer.hidden_size}, ...)", by_input=False)


def _first_states(
    shapes: tuple[Shape, ...], first: Shape, layer: Any, axes: str, names: tuple[str, str]
) -> ShapeAnswer | None:
    """States of another shape than the layer starts with; None where all are right."""
    # The second of an LSTM is not projected.
    pairs = zip(shapes[1:], (first, (*first[:-1], layer.hidden_size)), strict=False)
    given, wanted = next((pair for pair in pairs if pair[0] != pair[1]), (None, first))
    if given is None:
        return None
    what = f"{names[1]} takes first states of {by_size(wanted)} {axes} and gets {by_size(given)}"
    fix = f"torch.zeros{wanted} for each of them"
    if first[-1] != layer.hidden_size:
        fix = f"torch.zeros{first} and, for what is not projected, torch.zeros{(*first[:-1], layer.hidden_size)}"
    return ShapeAnswer(what, (), names, fix, by_input=False)
