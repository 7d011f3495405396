"""Which set of weights in a file is meant, where several fit a network; and what the file has besides."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from unconv.describe import counted, listed
from unconv.errors import ModelError, printable
from unconv.models.load.weights.averages import AVERAGED_MODEL, EMA, averaged_places, is_averaged
from unconv.models.load.weights.candidates import COUNTER, PLAIN, Candidate, OwnNames, is_plain
from unconv.models.load.weights.contents import Contents

# Tensors that are kept for a training or a count, by their own names and by those of what holds them.
_BOOKKEEPING = frozenset((COUNTER, "total_ops", "total_params", AVERAGED_MODEL))
_TRAINING = re.compile(r"(?:^|_)(?:loss|criteri|metric|optim|acc|accuracy|class_weights?|pos_weight)", re.IGNORECASE)


def part_of(contents: Contents, part: str, where: str) -> Contents:
    """A part of a file by its name, ``ema`` for averaged weights whatever they are called.

    Raises ModelError where the file has no such part, naming those that it has.

    >>> file = Contents({"model.fc.bias": torch.zeros(1), "params_ema.fc.bias": torch.ones(1)}, ("model", "params_ema"))
    >>> list(part_of(file, "ema", "weights").tensors)
    ['params_ema.fc.bias']
    """
    names = {name for name in contents.tensors if f".{part}." in f".{name}"}
    if not names and part.lower() == EMA:
        places = tuple(f"{place}." for place in averaged_places(contents))
        names = {name for name in contents.tensors if name.startswith(places) or is_averaged(name.rpartition(".")[0])}
        # The counter says what they are.
        names |= {name for name in contents.tensors if names and name.rpartition(".")[2] == AVERAGED_MODEL}
    if not names:
        held = Counter(name.partition(".")[0] for name in contents.tensors)
        tops = listed(f"{printable(top)} ({counted(count, 'tensor')})" for top, count in held.items())
        raise ModelError(f"{where}: no part {printable(part)!r} in the file; it holds {tops}")
    return replace(contents, tensors={name: tensor for name, tensor in contents.tensors.items() if name in names})


def choose(fits: Sequence[Candidate], where: str, wanted: str = "") -> Candidate:
    """The set that is meant: not the averaged one, and the one whose place says nothing else; or what was asked for.

    Raises ModelError where several sets fit and no name tells which is meant.

    >>> places = ("student", "state_dict", "ema")
    >>> sets = [Candidate(place, {"w": torch.rand(3)}, frozenset(), (), ()) for place in places]
    >>> choose(sets, "weights").place
    'state_dict'
    """
    plain = fits if wanted else [one for one in fits if not is_averaged(one.place)]
    pool = _distinct(plain or fits)
    named = [one for one in pool if is_plain(one.place)]
    if len(pool) > 1 and len(named) != 1:
        places = [printable(one.place) or "the file itself" for one in pool]
        raise ModelError(
            f"{where}: {len(pool)} sets of weights in it fit ({listed(places)}); say which: FILE:{places[-1]}"
        )
    return pool[0] if len(pool) == 1 else named[0]


def plain_set(contents: Contents, where: str) -> dict[str, Tensor]:
    """The weights of a file without a network to fit, by their names without the prefixes of wrappers.

    Raises ModelError where the file holds several sets and no name tells which is meant.

    >>> file = Contents({"net.module.fc.bias": torch.zeros(1), "optim.rate": torch.ones(1)}, ("net", "optim"))
    >>> list(plain_set(file, "weights"))
    ['fc.bias']
    """
    places = [place for place in contents.places if is_plain(place)] or list(contents.places)
    inside = {place: _under(contents, place) for place in places}
    places = [place for place in places if inside[place]]
    if len(places) != 1:
        raise ModelError(
            f"{where}: holds {counted(len(places), 'set')} of tensors ({listed(map(printable, places))}); "
            f"say which: FILE:{printable(places[-1]) if places else 'PART'}"
        )
    tensors = inside[places[0]]
    while (first := {name.partition(".")[0] for name in tensors}) <= PLAIN and len(first) == 1:
        tensors = {name.partition(".")[2]: tensor for name, tensor in tensors.items()}
    return tensors


def _under(contents: Contents, place: str) -> dict[str, Tensor]:
    """The tensors that a place holds itself, not those of places in it."""
    inner = tuple(f"{other}." for other in contents.places if other != place and f"{other}.".startswith(f"{place}."))
    front = f"{place}." if place else ""
    return {
        name[len(front) :]: tensor
        for name, tensor in contents.tensors.items()
        if name.startswith(front) and not name.startswith(inner)
    }


def _distinct(fits: Iterable[Candidate]) -> list[Candidate]:
    """Without those whose tensors an earlier one has too."""
    found: list[Candidate] = []
    for one in fits:
        if not any(_same(one, other) for other in found):
            found.append(one)
    return found


def _same(one: Candidate, other: Candidate) -> bool:
    return one.tensors.keys() == other.tensors.keys() and all(
        tensor.shape == other.tensors[name].shape and torch.equal(tensor, other.tensors[name])
        for name, tensor in one.tensors.items()
    )


def unexpected_names(one: Candidate, own: OwnNames) -> tuple[str, ...]:
    """Names under a set's place that a network of these names should have: it is another network's set.

    What stands beside the network under a name of its own (a loss, a metric, a head that the network has not) is none.

    >>> own = OwnNames.of(torch.nn.ModuleDict({"layer1": torch.nn.Linear(2, 2)}))
    >>> left = ("layer1.scale", "layer2.bias", "head.bias", "criterion.weight")
    >>> unexpected_names(Candidate("", {}, frozenset(), left, ()), own)
    ('layer1.scale', 'layer2.bias')
    """
    stems = {_stem(name) for name in own.all}
    return tuple(name for name in one.left if not _is_beside(name, stems) and name not in own.unsaved)


def _is_beside(name: str, stems: Collection[str]) -> bool:
    first, dot, _ = name.partition(".")
    if name.rpartition(".")[2] in _BOOKKEEPING or _TRAINING.search(first):
        return True
    return bool(dot) and _stem(name) not in stems


def _stem(name: str) -> str:
    """The first part of a name without numbers: ``layer3`` stands in a row with ``layer1``."""
    return re.sub(r"\d+", "", name.partition(".")[0])


def describe_choice(chosen: Candidate, fits: Sequence[Candidate], contents: Contents, file: str) -> tuple[str, ...]:
    """What was opened, stripped, left out and not taken, as notes.

    Args:
        chosen: the set that was taken.
        fits: all sets that fit.
        contents: of the file.
        file: its name, for what to write instead.
    """
    notes = [*_opened(chosen, contents), *chosen.turns]
    others = [one for one in fits if one is not chosen]
    averaged = [one for one in others if is_averaged(one.place)]
    counted_places = tuple(f"{place}." for place in averaged_places(contents))
    if is_averaged(chosen.place) or f"{chosen.place}.".startswith(counted_places):
        notes.append("these are averages of the weights over the training")
        notes += [told for place, told in contents.about.items() if f"{chosen.place}.".startswith(f"{place}.")]
    elif averaged:
        names = listed(printable(one.place) for one in averaged)
        notes.append(f"averaged weights are there too ({names}), not taken: {file}:{EMA} takes them")
    notes += [
        f"{printable(one.place) or 'the file itself'} fits too, not taken: {file}:{printable(one.place)} takes it"
        for one in others
        if one not in averaged and one.place and not _same(one, chosen)
    ]
    rest = set(contents.tensors).difference(chosen.names, *(one.names for one in others))
    rest -= {name for name in rest if name.rpartition(".")[2] in _BOOKKEEPING}
    if rest:
        tally = Counter(_holder(name, chosen.place) for name in contents.tensors if name in rest)
        told = listed(f"{printable(holder)} {count:,}" for holder, count in tally.items())
        notes.append(f"{counted(len(rest), 'other tensor')} of the file not taken: {told}")
    return tuple(notes)


def _opened(chosen: Candidate, contents: Contents) -> list[str]:
    """What stood around the set, and in front of its names."""
    around = [place for place in contents.places if f"{chosen.place}.".startswith(f"{place}.")]
    envelope = max(around, key=len, default="")
    prefix = chosen.place.removeprefix(envelope).removeprefix(".")
    notes = [f"weights taken from {printable(envelope)} of the file"] if envelope else []
    return notes + ([f"prefix {printable(prefix)}. stripped from its names"] if prefix else [])


def _holder(name: str, place: str) -> str:
    """The part of a name that tells it from those of a set."""
    parts, around = name.split("."), place.split(".") if place else []
    differing = (index for index, (part, other) in enumerate(zip(parts, around, strict=False)) if part != other)
    return parts[next(differing, min(len(around), len(parts) - 1))]
