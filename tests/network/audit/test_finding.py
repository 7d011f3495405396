"""Fixes are code: a name in them is escaped, and leads to the layer of that name."""

from __future__ import annotations

import ast

from hypothesis import given, strategies as st
from torch import nn

from unconv.network.audit.finding import assigned, quoted, spelled

# What torch takes as the name of a module: anything without a dot.
PART = st.one_of(
    st.text(st.characters(exclude_characters=".", exclude_categories=("Cs",)), min_size=1, max_size=12),
    st.sampled_from(
        ['a"b', "a'b", "a\\", "a\nb", "class", "ﬁ", "٣", "07", "0", "__hidden", '"]; 1/0; ["', "é", "training2"]
    ),
)


def nested(parts: list[str]) -> tuple[nn.Module, nn.Module]:
    """A model with a layer at the end of some names, and the layer."""
    layer = nn.Identity()
    model: nn.Module = layer
    for part in reversed(parts):
        above = nn.Sequential() if part.isascii() and part == "0" else nn.Module()
        above._modules[part] = model
        model = above
    return model, layer


@given(PART)
def test_a_quoted_name_is_the_name(name: str) -> None:
    assert ast.literal_eval(quoted(name)) == name
    assert "\n" not in quoted(name)


@given(st.lists(PART.filter(lambda part: part == "0" or not part.isdecimal()), min_size=1, max_size=3))
def test_code_that_reads_a_layer_reads_that_layer(parts: list[str]) -> None:
    model, layer = nested(parts)
    if any(hasattr(nn.Module, part) or part in vars(nn.Module()) for part in parts):
        return
    assert eval(spelled(".".join(parts)), {"model": model}) is layer


@given(st.lists(PART.filter(lambda part: part == "0" or not part.isdecimal()), min_size=1, max_size=3))
def test_code_that_puts_something_in_a_layers_place_does_so(parts: list[str]) -> None:
    model, _ = nested(parts)
    if any(hasattr(nn.Module, part) or part in vars(nn.Module()) for part in parts):
        return
    other = nn.Identity()
    exec(assigned(".".join(parts), "other"), {"model": model, "other": other})
    assert model.get_submodule(".".join(parts)) is other


def test_numbers_that_code_writes_otherwise_are_names() -> None:
    assert spelled("up.07") == 'model.get_submodule("up.07")'
    assert spelled("up.٣") == 'model.get_submodule("up.٣")'
    assert spelled("up.7") == "model.up[7]"
