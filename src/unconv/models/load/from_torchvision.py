"""``torchvision:NAME``: torchvision's networks that classify pictures and videos or segment, with their transforms."""

from __future__ import annotations

import contextlib
import io
import re
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from unconv.errors import MissingExtraError, ModelError, one_line
from unconv.models.load.preprocess import Preprocess
from unconv.models.load.recipe import Recipe, nearest
from unconv.models.load.transforms import read_preset

# Published with a change of scale inside the network that their builders add only together with the weights.
_RESCALING = ("googlenet", "inception_v3")
# Published DenseNet files still carry the names of the first release.
_OLD_DENSENET = re.compile(r"^(.*denselayer\d+\.(?:norm|relu|conv))\.([12])\.(weight|bias|running_mean|running_var)$")


def torchvision_models() -> tuple[str, ...]:
    """Names after ``torchvision:``.

    >>> "resnet50" in torchvision_models()
    True
    """
    try:
        from torchvision import models
    except ImportError as error:
        raise MissingExtraError("torchvision:NAME", "torchvision", "demo") from error
    modules = (models, models.segmentation, models.video)
    return tuple(name for module in modules for name in models.list_models(module=module))


def imagenet_classes() -> tuple[str, ...]:
    """The 1000 class names of ImageNet, as torchvision ships them with its weights.

    >>> imagenet_classes()[281:283]
    ('tabby', 'tiger cat')
    """
    try:
        from torchvision.models import ResNet18_Weights
    except ImportError as error:
        raise MissingExtraError("ImageNet class names", "torchvision", "demo") from error
    return tuple(ResNet18_Weights.DEFAULT.meta["categories"])


def torchvision_recipe(name: str) -> Recipe:
    """How to make a torchvision network by name; raises ModelError for a name that is none.

    >>> torchvision_recipe("resnet50").preprocess.resize
    (232, 232)
    """
    known = torchvision_models()
    if name not in known:
        raise ModelError(_unknown(name, known))
    from torchvision import models

    weights = models.get_model_weights(name).DEFAULT
    preprocess, notes = _preprocess(weights.transforms(), _clip_length(weights))
    return Recipe(
        name=f"torchvision:{name}",
        build=lambda classes: _build(name, classes),
        pretrained=lambda: _pretrained(name, weights),
        weights=f"torchvision's {weights}",
        preprocess=preprocess,
        classes=lambda: tuple(weights.meta["categories"]),
        names=current_densenet_names,
        notes=notes,
        paper=_paper(models.get_model_builder(name).__doc__ or ""),
    )


def _paper(text: str) -> str:
    """The paper that the documentation of a network links to.

    >>> _paper("from `Deep Residual Learning <https://arxiv.org/abs/1512.03385>`__.")
    'Deep Residual Learning, arXiv:1512.03385'
    """
    link = re.search(r"`+([^`<]+?)\s*<https?://(?:www\.)?arxiv\.org/(?:abs|pdf)/([\d.]+\d)", text)
    return f"{' '.join(link[1].split())}, arXiv:{link[2]}" if link else ""


def _unknown(name: str, known: tuple[str, ...]) -> str:
    from torchvision import models

    if not name:
        return "torchvision: no name after the colon; torchvision:resnet50 is one"
    if name in models.list_models():
        return (
            f"torchvision:{name}: neither classifies nor segments; a Python file with a function that returns "
            "it can be given as FILE.py:FUNCTION"
        )
    return f"torchvision:{name}: torchvision has no such network{nearest(name, known, 'torchvision:')}"


def _clip_length(weights: Any) -> int | None:
    """The frames of a clip that the weights of a video network were measured with; None for networks of pictures."""
    told = re.search(r"clip_len=(\d+)", weights.meta.get("_docs", ""))
    return None if told is None else int(told[1])


def _preprocess(transform: Any, frames: int | None) -> tuple[Preprocess, tuple[str, ...]]:
    if frames is not None:
        known = read_preset(transform)
        assert known is not None
        return replace(known[0], size=(frames, *known[0].size)), known[1]
    resize = transform.resize_size[0]
    crop = getattr(transform, "crop_size", None)
    notes: tuple[str, ...] = ()
    if crop is None:
        # Segmentation keeps the whole picture; one size for all is what a batch and a trace need.
        crop = [resize]
        notes = (f"torchvision keeps the whole picture, here the central {resize}x{resize} of it is used",)
    preprocess = Preprocess(
        size=(crop[0], crop[0]),
        resize=(resize, resize),
        mean=tuple(transform.mean),
        std=tuple(transform.std),
        interpolation=transform.interpolation.value,
    )
    return preprocess, notes


def _build(name: str, classes: int | None) -> nn.Module:
    from torchvision import models

    options: dict[str, Any] = {} if classes is None else {"num_classes": classes}
    if name in models.list_models(module=models.segmentation):
        # Else the backbone's weights are downloaded.
        options["weights_backbone"] = None
    if name in _RESCALING:
        options |= {"init_weights": True, "transform_input": True}
    network: nn.Module = models.get_model(name, weights=None, **options)
    return network


def _pretrained(name: str, weights: Any) -> nn.Module:
    from torchvision import models

    try:
        # torch.hub announces downloads on the standard output, which belongs to results; its progress bar remains.
        with contextlib.redirect_stdout(io.StringIO()):
            network: nn.Module = models.get_model(name, weights=weights, progress=sys.stderr.isatty())
    except (OSError, RuntimeError) as error:
        raise ModelError(
            f"torchvision:{name}: its weights could not be fetched from {weights.url} ({one_line(error)}); "
            "give weights=FILE or random_weights=True"
        ) from error
    return network


def current_densenet_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Names of today's torchvision for the tensors of its published DenseNet files, all others untouched.

    >>> import torch
    >>> list(current_densenet_names({"features.denseblock1.denselayer2.norm.1.bias": torch.zeros(1)}))
    ['features.denseblock1.denselayer2.norm1.bias']
    """
    return {_OLD_DENSENET.sub(r"\1\2.\3", key): value for key, value in state.items()}
