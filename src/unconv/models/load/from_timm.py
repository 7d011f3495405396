"""``timm:NAME``: the networks of timm, with the data configuration of their weights."""

from __future__ import annotations

import contextlib
import importlib
import io
import math
import sys
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any

from torch import Tensor, nn

from unconv.errors import MissingExtraError, ModelError, one_line
from unconv.models.load.hugging_face.hub import cache_alone, hub_is_reachable
from unconv.models.load.preprocess import Preprocess
from unconv.models.load.recipe import Recipe, nearest


def timm_models() -> tuple[str, ...]:
    """Names after ``timm:``, without the tags that choose among published weights.

    >>> "resnet50" in timm_models()
    True
    """
    return tuple(_timm().list_models())


def _timm(part: str = "timm") -> Any:
    try:
        return importlib.import_module(part)
    except ImportError as error:
        raise MissingExtraError("timm:NAME", "timm", "timm") from error


def timm_recipe(name: str) -> Recipe:
    """How to make a timm network by name, ``resnet50`` or with a tag of its weights ``resnet50.a1_in1k``.

    Raises ModelError for a name that is none.

    >>> timm_recipe("resnet18").preprocess.interpolation
    'bicubic'
    """
    timm, known = _timm(), timm_models()
    architecture, _, tag = name.partition(".")
    if not name:
        raise ModelError("timm: no name after the colon; timm:resnet50 is one")
    if architecture not in known:
        raise ModelError(f"timm:{name}: timm has no such network{nearest(architecture, known, 'timm:')}")
    tags = timm.list_pretrained(f"{architecture}.*")
    if tag and name not in tags:
        raise ModelError(f"timm:{name}: {architecture} has no weights of this tag{nearest(name, tags, 'timm:')}")
    published = timm.get_pretrained_cfg(name)
    config = published.to_dict() if published is not None else {}
    source = config.get("hf_hub_id") or config.get("url")
    return Recipe(
        name=f"timm:{name}",
        build=lambda classes: _build(name, classes),
        pretrained=lambda: _pretrained(name, source),
        weights=f"timm's {architecture}.{config['tag']}" if config.get("tag") else f"timm's {name}",
        preprocess=_preprocess(name, config),
        classes=lambda: _classes(config),
        names=partial(_own_names, name, cache(partial(_build, name, None))),
    )


def _own_names(name: str, build: Callable[[], nn.Module], state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """timm's names for the tensors of the code that a network was first published with, where timm knows that."""
    timm = _timm()
    builder = timm.model_entrypoint(name.partition(".")[0])
    translate = getattr(sys.modules[builder.__module__], "checkpoint_filter_fn", None)
    if translate is None:
        return state
    try:
        found: Mapping[str, Any] = translate(dict(state), build())
    except Exception:
        # It is written for the files that were published alone.
        return state
    return {key: value for key, value in found.items() if isinstance(value, Tensor)}


def _preprocess(name: str, config: dict[str, Any]) -> Preprocess:
    data = _timm("timm.data").resolve_data_config({}, pretrained_cfg=config)
    crop_mode = data["crop_mode"]
    if crop_mode not in ("center", "squash"):
        raise ModelError(
            f"timm:{name}: its pictures are cropped in mode {crop_mode!r}; 'center' and 'squash' are known"
        )
    size = data["input_size"][1:]
    return Preprocess(
        size=size,
        resize=(math.floor(size[0] / data["crop_pct"]), math.floor(size[1] / data["crop_pct"])),
        mean=tuple(data["mean"]),
        std=tuple(data["std"]),
        interpolation=data["interpolation"],
        fit="stretch" if crop_mode == "squash" else "cover",
    )


def _classes(config: dict[str, Any]) -> tuple[str, ...] | None:
    names = _timm("timm.data")
    subset = names.infer_imagenet_subset(config)
    if subset is None:
        return None
    info = names.ImageNetInfo(subset)
    # WordNet lists synonyms, the usual name first.
    return tuple(info.index_to_description(index).split(",")[0] for index in range(info.num_classes()))


def _build(name: str, classes: int | None) -> nn.Module:
    options = {} if classes is None else {"num_classes": classes}
    network: nn.Module = _timm().create_model(name, pretrained=False, **options)
    return network


def _pretrained(name: str, source: str | None) -> nn.Module:
    way_out = "give weights=FILE or random_weights=True"
    if not source:
        raise ModelError(f"timm:{name}: published without weights; {way_out}")
    try:
        with cache_alone(not hub_is_reachable()), contextlib.redirect_stdout(io.StringIO()):
            network: nn.Module = _timm().create_model(name, pretrained=True)
    except Exception as error:
        # The hub's client, its HTTP library and torch.hub raise errors of many families.
        raise ModelError(
            f"timm:{name}: its weights could not be fetched from {source} ({one_line(error)}); {way_out}"
        ) from error
    return network
