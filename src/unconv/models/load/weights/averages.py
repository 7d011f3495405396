"""Averages of the weights over a training (EMA, SWA): where a weight file has them, and under which names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice
from operator import ne

from torch import Tensor

from unconv.models.load.weights.candidates import splits
from unconv.models.load.weights.contents import Contents

EMA = "ema"
_AVERAGED = re.compile(r"(?:^|_)(?:ema|swa|averaged?|avg|shadow)(?:_|$|\d)", re.IGNORECASE)
# Of how many steps torch's AveragedModel has made its mean, and what Lightning's callback keeps that under.
AVERAGED_MODEL, LIGHTNING = "n_averaged", "averaging_state"
# What MMCV's names of averages begin with; and numbers that stand among latent diffusion's.
MMCV, LATENT = "ema_", ("decay", "num_updates")


def is_averaged(place: str) -> bool:
    """Whether a place says of its weights that they are averages over the training.

    >>> is_averaged("state_dict_ema.module"), is_averaged("model.avgpool"), is_averaged("schema.0")
    (True, False, False)
    """
    return any(_AVERAGED.search(part) for part in place.split("."))


def averaged_places(contents: Contents) -> tuple[str, ...]:
    """Where a file has averages over the training that no name but the counter of torch's AveragedModel tells.

    >>> import torch
    >>> averaged_places(Contents({"n_averaged": torch.tensor(3), "module.fc.bias": torch.zeros(1)}, ("",)))
    ('module',)
    """
    around = [name.rpartition(".")[0] for name in contents.tensors if name.rpartition(".")[2] == AVERAGED_MODEL]
    # Lightning's callback has them changed places: the averages are its state dict.
    return tuple("state_dict" if place == LIGHTNING else f"{place}.module".lstrip(".") for place in around)


def spread_averages(contents: Contents) -> Contents:
    """Averages that a file keeps under names without dots, under the names of the weights that they are of.

    Latent diffusion's code (``model_ema.fcbias``) and MMCV's hook (``ema_fc_bias``) write them so, of parameters alone;
    what has no average is that of the weights.

    >>> import torch
    >>> names = ("model.fc.bias", "model.norm.mean", "model.norm.bias", "model_ema.fcbias", "model_ema.normbias")
    >>> list(spread_averages(Contents({name: torch.zeros(1) for name in names}, ())).tensors)[3:]
    ['model_ema.fc.bias', 'model_ema.norm.mean', 'model_ema.norm.bias']
    """
    squeezed: dict[tuple[str, str], dict[str, str]] = {}
    for name in contents.tensors:
        holder, _, last = name.rpartition(".")
        if is_averaged(holder.rpartition(".")[2]):
            squeezed.setdefault((holder, ""), {})[last] = name
        elif last.startswith(MMCV):
            squeezed.setdefault((f"{holder}.{MMCV}".lstrip("."), "_"), {})[last.removeprefix(MMCV)] = name
    tensors: Mapping[str, Tensor] = contents.tensors
    about: dict[str, str] = {}
    for (place, joint), names in squeezed.items():
        names = {short: name for short, name in names.items() if short not in LATENT}
        for root, full in _full_names(contents.tensors, names, joint):
            tensors = _spread(tensors, place, names, root, full)
            about[place] = f"of parameters alone; what else their layers have is that of {root or 'the file itself'}"
    return replace(contents, tensors=dict(tensors), about=about)


def _full_names(
    tensors: Mapping[str, Tensor], names: Mapping[str, str], joint: str
) -> Iterator[tuple[str, dict[str, str]]]:
    """The prefix under which the weights of all averages stand, and their names there; nothing where they are these."""
    under: dict[str, dict[str, str]] = {}
    for name in tensors:
        if not is_averaged(name.rpartition(".")[0]):
            for prefix, rest in splits(name):
                if (short := rest.replace(".", joint)) in names:
                    under.setdefault(prefix, {})[short] = rest
    complete = ((prefix, full) for prefix, full in under.items() if len(full) == len(names))
    return ((prefix, full) for prefix, full in islice(complete, 1) if any(map(ne, full, full.values())))


def _spread(
    tensors: Mapping[str, Tensor], place: str, names: Mapping[str, str], root: str, full: Mapping[str, str]
) -> dict[str, Tensor]:
    """With averages by full names, and what their layers have besides."""
    layers = {name.rpartition(".")[0] for name in full.values()}
    front = f"{root}." if root else ""
    gone = {*names.values(), *(f"{place}.{number}" for number in LATENT)}
    found = {name: tensor for name, tensor in tensors.items() if name not in gone}
    for name in tensors:
        rest = name.removeprefix(front)
        if name.startswith(front) and rest.rpartition(".")[0] in layers:
            found[f"{place}.{rest}"] = tensors[name]
    return found | {f"{place}.{full[short]}": tensors[name] for short, name in names.items()}
