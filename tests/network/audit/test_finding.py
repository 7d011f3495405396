"""Fixes are code: a name in them is escaped, and leads to the layer of that name."""

from __future__ import annotations

import ast
from collections import OrderedDict

import torch
from hypothesis import given, strategies as st
from torch import nn

import unconv as uc
from unconv.network.audit.audit import audit
from unconv.network.audit.finding import assigned, quoted, spelled

# What torch takes as the name of a module: anything without a dot.
PART = st.one_of(
    st.text(st.characters(exclude_characters=".", exclude_categories=("Cs",)), min_size=1, max_size=12),
    st.sampled_from(
        ['a"b', "a'b", "a\\", "a\nb", "class", "ﬁ", "٣", "07", "0", "__hidden", '"]; 1/0; ["', "é", "training2"]
    ),
)


@given(PART)
def test_a_quoted_name_is_the_name(name: str) -> None:
    assert ast.literal_eval(quoted(name)) == name
    assert "\n" not in quoted(name)


@st.composite
def models(draw: st.DrawFn, depth: int = 3) -> nn.Module:
    """Containers of every kind in one another; their children are named in order, by other numbers, or anyhow."""
    if depth == 0:
        return nn.Identity()
    container = draw(st.sampled_from([nn.Sequential, nn.ModuleList, nn.ModuleDict, nn.Module]))()
    count = draw(st.integers(1, 3))
    numbers = st.lists(st.integers(0, 12).map(str), min_size=count, max_size=count, unique=True)
    names = draw(st.just([str(n) for n in range(count)]) | numbers | st.lists(PART, min_size=1, max_size=3))
    for name in names:
        if not hasattr(container, name):
            container.add_module(name, draw(models(depth - 1)))
    return container


@given(models())
def test_code_that_reads_a_layer_reads_that_layer(model: nn.Module) -> None:
    for name, module in model.named_modules():
        assert eval(spelled(model, name), {"model": model}) is module


@given(models(), st.data())
def test_code_that_puts_something_in_a_layers_place_does_so(model: nn.Module, data: st.DataObject) -> None:
    names = [name for name, _ in model.named_modules() if name]
    name = data.draw(st.sampled_from(names))
    others = {one: module for one, module in model.named_modules() if not f"{one}.".startswith(f"{name}.")}
    other = nn.Identity()
    exec(assigned(model, name, "other"), {"model": model, "other": other})
    assert model.get_submodule(name) is other
    assert {one: module for one, module in model.named_modules() if one != name} == others


def test_only_numbers_that_are_positions_are_indices() -> None:
    layers = OrderedDict((name, nn.ReLU()) for name in ("0", "07", "٣"))
    for up in (
        nn.Sequential(layers),
        nn.ModuleDict(layers),
        nn.Sequential(OrderedDict({"1": nn.ReLU(), "0": nn.ReLU()})),
    ):
        model = nn.ModuleDict({"up": up})
        for name in dict(up.named_children()):
            assert spelled(model, f"up.{name}") == f'model.get_submodule("up.{name}")'
    model = nn.ModuleDict({"up": nn.Sequential(*layers.values())})
    assert [spelled(model, f"up.{n}") for n in range(3)] == ["model.up[0]", "model.up[1]", "model.up[2]"]


def test_fixes_of_layers_named_by_other_numbers_reach_them() -> None:
    layer = nn.ConvTranspose2d(4, 1, 4, stride=2, padding=1)
    model = nn.Sequential(OrderedDict([("3", nn.Conv2d(1, 4, 3, padding=1)), ("7", layer)]))
    fixes = [one.fix for one in audit(model, (1, 8, 8), measure=False).findings if one.rule == "unequal-phases"]
    assert fixes == ['uc.upsample.equalised_(model.get_submodule("7"))']
    before = layer.weight.detach().clone()
    eval(fixes[0], {"uc": uc, "model": model})
    assert not torch.equal(layer.weight, before)
