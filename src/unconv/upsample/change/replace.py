"""Exchanging upsamplers: all layers of a kind in a model by another kind."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from math import prod
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import nn
from torch.nn.utils.parametrize import is_parametrized

from unconv.arguments import tell_wrong_arguments
from unconv.choices import UpsamplerKind, UpsamplerName
from unconv.errors import GeometryError, UnconvError, one_line
from unconv.network.run.input_sizes import InputSize, Sizes, as_input_sizes, input_dtypes
from unconv.operators.geometry.size_texts import short_text
from unconv.operators.layers import geometry_of
from unconv.upsample.change.layer_shapes import RunShapes, shapes_in_run
from unconv.upsample.change.replaced import Exchange, Left, Replaced
from unconv.upsample.change.substitute import Substitute
from unconv.upsample.change.upsampling import KINDS, Shapes, Upsampling, describe_upsampling, inner, kind_of
from unconv.upsample.convert import convert
from unconv.upsample.subpixel import SubPixel1d, SubPixel2d, SubPixel3d
from unconv.upsample.upsamplers import UPSAMPLERS, Doubling, make_upsampler, upsampler_name


class _Place(NamedTuple):
    """Where a layer stands, and what it is; a layer that is shared stands in several places."""

    names: list[str]
    layer: nn.Module


class _Made(NamedTuple):
    """A new layer, and which of its parameters are the old one's."""

    layer: nn.Module
    carried: tuple[str, ...]
    fresh: tuple[str, ...]


Exchanges: TypeAlias = list[tuple[_Place, Upsampling, _Made]]


@tell_wrong_arguments
def replace(
    model: nn.Module,
    to: UpsamplerName = "resize",
    *,
    kind: UpsamplerKind = "transposed",
    input_size: InputSize = None,
    inplace: bool = False,
) -> Replaced:
    """A model with all upsamplers of a kind exchanged by another.

    Outputs of the new layers have the sizes of the old ones', whatever comes in. A transposed convolution becomes a
    sub-pixel one with all its weights, and returns the same; of other exchanges biases are carried over, and kernels
    where they are alike; the rest is new, and has to be trained. What cannot be exchanged is left, and said.

    Args:
        model: any, or what ``uc.load_model`` returns; it is left as it is, and a copy changed, unless ``inplace``.
        to: a kind of :func:`~unconv.upsample.upsamplers.upsampler`: ``"resize"``, ``"sub-pixel"``, ``"bilinear"``, …
        kind: which layers: ``"transposed"`` (torch's, and those of this package), ``"sub-pixel"``, ``"resize"``,
            ``"bilinear"``, ``"interpolation"`` (``nn.Upsample``), or ``"all"``.
        input_size: of the model's input, as :func:`unconv.trace` takes it: with it the model is run before and after,
            and the sizes of all these layers and of the outputs are compared. ``nn.Upsample`` and ``nn.PixelShuffle``
            need it, as they do not know their channels.
        inplace: change the model itself.

    Returns:
        The model, and what was exchanged, left and checked.

    Raises :class:`~unconv.errors.UnconvError` for kinds that there are not, where no layer is of that kind, and where
    the model does not run; then it is as it was.

    >>> model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.ConvTranspose2d(8, 3, 4, stride=2, padding=1))
    >>> replaced = replace(model, "resize", input_size=(3, 16, 16))
    >>> replaced
    Sequential: 1 upsampler exchanged
      2              ConvTranspose2d(8→3, kernel 4, ×2) → ResizeConv2d(8→3, kernel 3,
                     ×2); 387 → 219 parameters; 14×14 → 28×28; new: conv.weight;
                     carried over: conv.bias
      parameters     611 → 443
      output sizes   equal, run with 3×16×16
    """
    held = getattr(model, "module", None)
    if not isinstance(model, nn.Module) and isinstance(held, nn.Module):
        model = held  # of a loaded model
    target = _checked(model, to, kind)
    subject = model if inplace else _copied(model)
    places = _places(subject, kind)
    if not places:
        raise UnconvError(f"replace: {type(model).__name__} has no layer of kind {kind!r}; kinds are {_listed(KINDS)}")
    if inplace and places[0].names == [""]:
        raise UnconvError("replace: the model is the layer itself, which cannot change in place; take what is returned")
    sizes = None if input_size is None else as_input_sizes(input_size, subject, "replace")
    dtypes = [] if sizes is None else input_dtypes(input_size)
    before = None if sizes is None else shapes_in_run(subject, [place.layer for place in places], sizes, dtypes)
    total = _count(subject)
    made, left = _made_all(places, target, before)
    changed = _put(subject, [(place.names, new.layer) for place, _, new in made])
    if before is not None and sizes is not None:
        try:
            _compare(changed, made, before, sizes, dtypes)
        except UnconvError:
            _put(changed, [(place.names, place.layer) for place, _, _ in made])
            raise
    exchanges = tuple(_exchange(*one, None if before is None else before[0].get(id(one[0].layer))) for one in made)
    return Replaced(changed, exchanges, tuple(left), total, _count(changed), sizes)


def _checked(model: nn.Module, to: str, kind: str) -> Any:
    if not isinstance(model, nn.Module):
        raise UnconvError(
            f"replace: needs a torch.nn.Module, not {type(model).__name__}; uc.load_model(name) makes one"
        )
    if any(isinstance(one, torch.jit.ScriptModule) for one in model.modules()):
        raise UnconvError("replace: layers of a scripted model cannot be exchanged; give the model before torch.jit")
    target = upsampler_name(to)
    if target not in UPSAMPLERS:
        raise UnconvError(f"replace: upsampler {to!r} is unknown; it is {_listed(UPSAMPLERS)}")
    if upsampler_name(kind) not in (*KINDS, "all"):
        raise UnconvError(f"replace: kind {kind!r} is unknown; it is {_listed((*KINDS, 'all'))}")
    return target


def _listed(words: tuple[str, ...]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}"


def _copied(model: nn.Module) -> nn.Module:
    try:
        return copy.deepcopy(model)
    except Exception as error:
        raise UnconvError(
            f"replace: the model cannot be copied: {one_line(error)}; change it with inplace=True"
        ) from error


def _places(model: nn.Module, kind: str) -> list[_Place]:
    """All layers of a kind, each once, in the order of the model's modules."""
    found: dict[int, _Place] = {}

    def walk(module: nn.Module, name: str) -> Iterator[tuple[str, nn.Module]]:
        own = kind_of(module)
        if own is not None:
            if kind == "all" or own == upsampler_name(kind):
                yield name, module
            return
        for child, one in module._modules.items():
            if one is not None:
                yield from walk(one, f"{name}.{child}" if name else child)

    for name, module in walk(model, ""):
        found.setdefault(id(module), _Place([], module)).names.append(name)
    return list(found.values())


def _made_all(places: list[_Place], target: str, before: Any) -> tuple[Exchanges, list[Left]]:
    made: Exchanges = []
    left = []
    for place in places:
        told = type(inner(place.layer)).__name__
        try:
            found = describe_upsampling(place.layer, None if before is None else before[0].get(id(place.layer)))
            told = _told(place.layer, found)
            made.append((place, found, _new_layer(place.layer, found, target)))
        except UnconvError as reason:
            left.append(Left(", ".join(place.names), told, str(reason)))
    return made, left


def _new_layer(old: nn.Module, found: Upsampling, target: str) -> _Made:
    """The layer in the place of the old one. Raises UnconvError with the reason why there is none."""
    one = inner(old)
    if any(isinstance(value, nn.parameter.UninitializedParameter) for value in old.parameters()):
        raise UnconvError("its weights are made by the first input; run the model once before")
    if any(_has_hooks(module) for module in old.modules()):
        raise UnconvError("it has hooks or parametrizations, as weight_norm, which would be lost")
    if found.kind == target:
        raise UnconvError(f"it is of kind {target} already")
    if max(found.scale_factor) == 1:
        raise UnconvError("with stride 1 it does not upsample")
    if found.kind == "transposed" and target == "sub-pixel" and one is old:
        try:
            names = tuple(name for name, _ in one.named_parameters())
            return _Made(convert(one, "sub-pixel"), names, ())
        except GeometryError:
            pass  # a subclass: what it returns is not known to be the same
    if found.groups != 1:
        raise UnconvError(f"it has {found.groups} groups, and a layer of kind {target} mixes all channels")
    reached = all(-step < more <= 0 for step, more in zip(found.scale_factor, found.more, strict=True))
    if target != "resize" and not reached:
        raise UnconvError(
            f"it makes s·i + c cells of i, s {short_text(found.scale_factor)} and c {short_text(found.more)}; {target} "
            "reaches −s < c ≤ 0, resize all sizes"
        )
    return _fresh_layer(old, found, target)


def _fresh_layer(old: nn.Module, found: Upsampling, target: str) -> _Made:
    axes = len(found.scale_factor)
    new: Any = make_upsampler(target, found.in_channels, found.out_channels, axes, found.scale_factor)
    like = next(old.parameters(), None)
    new.train(old.training)
    if like is not None:
        new.to(like.device, like.dtype)
    core: Any = new[0] if isinstance(new, nn.Sequential) else getattr(new, "conv", new)
    if found.has_bias is False:
        core.register_parameter("bias", None)
    kept = set()
    with torch.no_grad():
        if found.bias is not None:
            phases = prod(found.scale_factor) if isinstance(new, SubPixel1d | SubPixel2d | SubPixel3d) else 1
            core.bias.copy_(found.bias.repeat_interleave(phases))
            kept.add(id(core.bias))
        if _kernels_agree(inner(old), new):
            core.weight.copy_(inner(old).weight)
            kept.add(id(core.weight))
    layer: nn.Module = new
    if isinstance(old, Doubling):
        layer = Doubling(target, axes, new)
    elif isinstance(new, nn.Sequential) or describe_upsampling(new).more != found.more:
        layer = Substitute(new, found.scale_factor, found.more)
    named = list(layer.named_parameters())
    carried = tuple(name for name, value in named if id(value) in kept)
    return _Made(layer, carried, tuple(name for name, value in named if id(value) not in kept))


def _kernels_agree(old: Any, new: Any) -> bool:
    """Whether both are transposed convolutions whose kernels have one shape and lie alike on the output."""
    kinds = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
    if not isinstance(old, kinds) or not isinstance(new, kinds) or old.weight.shape != new.weight.shape:
        return False
    both = [geometry_of(one, 64) for one in (old, new)]
    starts = [[before for before, _ in one.padding] for one in both]
    return starts[0] == starts[1] and both[0].dilation == both[1].dilation


def _has_hooks(module: nn.Module) -> bool:
    tables = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return is_parametrized(module) or any(getattr(module, table, None) for table in tables)


def _put(model: nn.Module, layers: list[tuple[list[str], nn.Module]]) -> nn.Module:
    """The model with layers in their places; itself, unless it is the layer."""
    for names, layer in layers:
        for name in names:
            if not name:
                return layer
            parent, _, child = name.rpartition(".")
            model.get_submodule(parent)._modules[child] = layer
    return model


def _compare(
    model: nn.Module,
    made: Exchanges,
    before: RunShapes,
    sizes: Sizes,
    dtypes: list[torch.dtype | None],
) -> None:
    """Raise unless layers and model return what they did, in size."""
    shapes, returned = shapes_in_run(model, [new.layer for _, _, new in made], sizes, dtypes)
    for place, _, new in made:
        one, other = before[0].get(id(place.layer)), shapes.get(id(new.layer))
        if one != other:
            raise UnconvError(f"replace: {', '.join(place.names)} returned {one}, and now {other}; leave it as it is")
    if returned != before[1]:
        raise UnconvError(f"replace: the model returned {before[1]}, and now {returned}; leave it as it is")


def _exchange(place: _Place, found: Upsampling, new: _Made, shapes: Shapes | None) -> Exchange:
    axes = len(found.scale_factor)
    ends = (None, None) if shapes is None else (shapes[0][-axes - 1 :], shapes[1][-axes - 1 :])
    return Exchange(
        name=", ".join(place.names),
        old=_told(place.layer, found),
        new=_told(new.layer, found),
        parameters_before=_count(place.layer),
        parameters_after=_count(new.layer),
        input_size=ends[0],
        output_size=ends[1],
        carried=new.carried,
        fresh=new.fresh,
    )


def _told(layer: nn.Module, found: Upsampling) -> str:
    """A layer in a few words."""
    one: Any = inner(layer)
    kernel = getattr(getattr(one, "conv", one), "kernel_size", None)
    words = [f"{found.in_channels}→{found.out_channels}"]
    words += [] if kernel is None else [f"kernel {short_text(kernel)}"]
    return f"{type(one).__name__}({', '.join([*words, f'×{short_text(found.scale_factor)}'])})"


def _count(model: nn.Module) -> int:
    return sum(one.numel() for one in model.parameters() if not isinstance(one, nn.parameter.UninitializedParameter))
