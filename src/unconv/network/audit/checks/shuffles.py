"""Sub-pixel rules: channels of a layer that become places, and what each of these phases passes of a constant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod

import torch
from torch import Tensor, nn

from unconv.network.audit.channel_means import channel_means
from unconv.network.audit.checks.sub_pixel_layers import Shuffle
from unconv.network.audit.finding import Finding, Subject
from unconv.network.audit.follow import Follow, Path
from unconv.network.audit.pattern_score import NOTICEABLE, Score, layer_weight
from unconv.network.run.computed_weights import computed_by
from unconv.operators.checkerboard import share_of_pattern, subpixel_score

# By how many draws an affine function is told apart, how near to one it has to be, and what counts as zero.
_SAMPLES, _TOLERANCE, _ZERO = 2, 1e-6, 1e-9


def check_shuffles(
    subject: Subject, shuffles: Sequence[Shuffle], follow: Follow, means: dict[nn.Module, Tensor], source: str
) -> Iterator[Finding]:
    """``unequal-phases`` of layers whose channels become places."""
    for shuffle in shuffles:
        inputs = means.get(shuffle.module)
        if shuffle.direct:
            order, score = _direct(shuffle, inputs if shuffle.layer.groups == 1 else None, source)
        else:
            passed = _passed(shuffle, follow.paths.get(shuffle.module))
            if passed is None or inputs is None:
                continue
            order, score = passed.order, _score(passed, inputs, source)
        if score.noticeable:
            yield _finding(subject, shuffle, order, score)


def order_behind(subject: Subject, shuffle: Shuffle) -> Tensor | None:
    """The order of the phases of a shuffle, as :func:`phase_order`, by a pass of a picture of ones; None if unknown."""
    if shuffle.direct:
        return _direct(shuffle, None, "")[0]
    follow = Follow(subject.model, [shuffle.module])
    weight = layer_weight(shuffle.module)
    assert weight is not None
    channel_means(subject.model, [weight.new_ones((1, *size)) for size in subject.graph.input_sizes], [], follow)
    passed = _passed(shuffle, follow.paths.get(shuffle.module))
    return None if passed is None else passed.order


def _direct(shuffle: Shuffle, inputs: Tensor | None, source: str) -> tuple[Tensor, Score]:
    """Order and score of a layer right before torch's pixel shuffle."""
    weight = layer_weight(shuffle.module)
    assert weight is not None
    (shape,) = shuffle.shapes
    phases = len(weight) // shape[0]
    actual = None if inputs is None else subpixel_score(weight, phases, inputs)
    return torch.arange(len(weight)).reshape(-1, phases), Score(subpixel_score(weight, phases), actual, source)


def _units_last(module: nn.Module) -> bool:
    return isinstance(module, nn.Linear)


def _cells(path: Path, module: nn.Module) -> int:
    """The places of an output, of all images."""
    numbers = prod(path.shape)
    return numbers // path.shape[-1 if _units_last(module) else 1]


def _labels(path: Path, module: nn.Module) -> Tensor:
    """For each number of an output channel · places + place, which tells both."""
    dim = len(path.shape) - 1 if _units_last(module) else 1
    channels = path.shape[dim]
    others = [size for n, size in enumerate(path.shape) if n != dim]
    cells = prod(others)
    labels = torch.arange(channels)[:, None] * cells + torch.arange(cells)
    return labels.reshape(channels, *others).movedim(0, dim).contiguous()


def _passed(shuffle: Shuffle, path: Path | None) -> _Passed | None:
    """What is known of the last tensor in which the channels are places."""
    moved = [] if path is None else path.moved(_labels(path, shuffle.module))
    for index in range(len(moved) - 1, 0, -1):
        labels = moved[index]
        if path is None or labels is None or tuple(labels.shape[1:]) not in shuffle.shapes:
            continue
        order = phase_order(labels, _cells(path, shuffle.module))
        # Of channels that are left out on the way nothing is known.
        if order is not None and order.numel() * _cells(path, shuffle.module) == prod(path.shape):
            return _Passed(shuffle.module, path, index, labels, order)
    return None


def phase_order(labels: Tensor, cells: int) -> Tensor | None:
    """For each channel that is none but a channel, those of the layer that are its phases; None where there are none.

    Args:
        labels: channel · cells + cell of the layer, for every number of a tensor.
        cells: of the layer.

    >>> labels = torch.arange(4 * 6).reshape(1, 4, 2, 3)
    >>> phase_order(nn.functional.pixel_shuffle(labels, 2), 6)
    tensor([[0, 1, 2, 3]])
    >>> phase_order(labels, 6) is None
    True
    """
    cell = labels % cells
    moving = [bool((cell != cell.narrow(dim, 0, 1)).any()) for dim in range(labels.ndim)]
    plain = [dim for dim, moves in enumerate(moving) if not moves]
    others = [dim for dim, moves in enumerate(moving) if moves]
    rows = labels.permute(*plain, *others).reshape(prod(labels.shape[dim] for dim in plain), -1)
    # Views and permutes treat all cells alike: what the first and the last become tells.
    first, last = (_channels_of(rows, one, cells) for one in (0, cells - 1))
    phases = len(first[0])
    if first != last or phases < 2 or any(len(one) != phases for one in first):
        return None
    order = torch.tensor(first)
    return order if len({*order.flatten().tolist()}) == order.numel() else None


def _channels_of(rows: Tensor, cell: int, cells: int) -> list[list[int]]:
    """The channels that come from one cell, row by row, in order."""
    found: list[list[int]] = [[] for _ in rows]
    row, place = (rows % cells == cell).nonzero(as_tuple=True)
    for number, label in zip(row.tolist(), rows[row, place].tolist(), strict=True):
        found[number].append(label // cells)
    return [sorted({*one}) for one in found]


@dataclass(frozen=True, eq=False)
class _Passed:
    """What a constant map of a layer becomes behind a shuffle."""

    module: nn.Module
    path: Path
    index: int
    labels: Tensor
    order: Tensor

    def __call__(self, channels: Tensor) -> Tensor:
        """One number a channel, of one a channel."""
        last = _units_last(self.module)
        shape = [1] * len(self.path.shape)
        shape[-1 if last else 1] = len(channels)
        weight = layer_weight(self.module)
        assert weight is not None
        given = channels.to(weight.device, torch.float64).reshape(shape).expand(self.path.shape).contiguous()
        out = self.path.applied(given)[self.index]
        assert out is not None
        # What a norm takes out comes to the rounding of zero.
        numbers = out.detach().flatten()[self._places.to(out.device)]
        return torch.where(numbers.abs() < _ZERO, 0.0, numbers)

    @cached_property
    def _places(self) -> Tensor:
        """Where the first cell of each channel has come to be."""
        cells = _cells(self.path, self.module)
        places = (self.labels.flatten() % cells == 0).nonzero().flatten()
        return places[self.labels.flatten()[places].argsort()]


def _score(passed: _Passed, inputs: Tensor, source: str) -> Score:
    """How much of a constant is pattern, behind all that lies between the layer and the shuffle.

    Offsets that the layer's bias alone makes are no part of it, as for a shuffle right behind the layer.
    """
    weight, order = layer_weight(passed.module), passed.order
    assert weight is not None
    gains = weight.detach().double().flatten(2).sum(2) if weight.ndim > 2 else weight.detach().double()
    own = getattr(passed.module, "bias", None)
    bias = own.detach().double() if isinstance(own, Tensor) else gains.new_zeros(len(gains))
    means = inputs.double().reshape(-1, gains.shape[1])
    now = (gains.reshape(len(means), -1, gains.shape[1]) @ means[:, :, None]).flatten()
    with torch.no_grad():
        zero = passed(torch.zeros_like(bias))
        uneven = share_of_pattern(zero[order], dims=(1,)) > NOTICEABLE
        if not uneven:
            bias = bias.index_put((order,), bias[order].mean(1, keepdim=True).expand_as(order))
        scale = _scale(passed, zero)
        if scale is None:
            return Score(None, share_of_pattern(passed(now + bias)[order], dims=(1,)), source)
        offsets = scale * bias + zero if uneven else torch.zeros_like(bias)
    alone = torch.cat([scale[:, None] * gains, offsets[:, None]], dim=1)
    return Score(
        share_of_pattern(alone[order], dims=(1,)), share_of_pattern((scale * now + offsets)[order], dims=(1,)), source
    )


def _scale(passed: _Passed, zero: Tensor) -> Tensor | None:
    """By what each channel is multiplied, if that is all, beside an offset, that happens to it."""
    generator = torch.Generator().manual_seed(0)
    draws = [0.5 + torch.rand(len(zero), generator=generator, dtype=torch.float64).to(zero) for _ in range(_SAMPLES)]
    scale = (passed(draws[0]) - zero) / draws[0]
    wanted = -scale * draws[1] + zero
    difference = (passed(-draws[1]) - wanted).abs().max()
    return scale if bool(difference <= _TOLERANCE * wanted.abs().max().clamp(min=1e-6)) else None


def _finding(subject: Subject, shuffle: Shuffle, order: Tensor, score: Score) -> Finding:
    groups, phases = order.shape
    name, weight = subject.spelled(shuffle.layer), layer_weight(shuffle.module)
    assert weight is not None
    behind = f" behind {', '.join(shuffle.between)}" if shuffle.between else ""
    if in_turn(order) and weight.ndim > 2:
        factor = scale_factor(phases, weight.ndim - 2)
        fix = f"uc.upsample.equalised_phases_({name}, scale_factor={factor})"
        if not computed_by(shuffle.module):
            fix = f"uc.upsample.icnr_({name}.weight, scale_factor={factor}) before training, or {fix} after it"
    elif torch.equal(order, torch.arange(order.numel()).reshape(phases, groups).T):
        fix = f"w = {name}.weight.data.unflatten(0, ({phases}, {groups})); w.copy_(w.mean(0, keepdim=True))"
    else:
        fix = f"the same kernel in {name}.weight[[{', '.join(map(str, order[0].tolist()))}]], and so on"
    if shuffle.between:
        fix += "; and of what lies between the same values in all phases"
    return Finding(
        "unequal-phases",
        shuffle.layer.name,
        f"makes the {phases} phases of a pixel shuffle{behind}, which pass unequal amounts of a constant: {score}",
        fix,
    )


def scale_factor(phases: int, axes: int) -> int | tuple[int, ...]:
    """A factor of a shuffle with so many phases: the same along all axes, or all of it along the first.

    >>> scale_factor(4, 2), scale_factor(27, 3), scale_factor(2, 2)
    (2, 3, (2, 1))
    """
    same = round(phases ** (1 / axes))
    return same if same**axes == phases else (phases, *(1 for _ in range(axes - 1)))


def in_turn(order: Tensor) -> bool:
    """Whether the phases of a channel lie side by side, as torch's pixel shuffle takes them.

    >>> in_turn(torch.tensor([[0, 1], [2, 3]])), in_turn(torch.tensor([[0, 2], [1, 3]]))
    (True, False)
    """
    return torch.equal(order, torch.arange(order.numel()).reshape(order.shape))
