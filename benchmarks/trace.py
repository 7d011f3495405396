"""How long does a trace take, and are its MACs torchvision's? Every torchvision classifier and segmenter, some of timm.

Correctness first: the MACs of each torchvision model at its weights' own size against the figure published with the
weights (multiply–accumulates, to three decimals of 10⁹; convolutions, linear layers and attention count). Then time:
the trace of each model after one warm-up, models built outside the clock. ``quick`` takes a handful.
"""

from __future__ import annotations

import statistics
import time
import warnings
from typing import Any

import torch
import torchvision
from torch import nn
from torchvision.models import get_model, get_model_weights, list_models

import unconv as uc

QUICK = ("alexnet", "vgg16", "resnet18", "resnet50", "googlenet", "densenet121", "swin_t", "vit_b_16", "fcn_resnet50")
TIMM = (
    *("resnetv2_50", "regnety_002", "ghostnet_100", "poolformer_s12", "convnextv2_atto", "hrnet_w18_small"),
    *("tf_efficientnet_b0", "nfnet_l0", "mobilevit_xxs", "coatnet_nano_rw_224", "deit_tiny_patch16_224"),
    *("pvt_v2_b0", "davit_tiny", "res2net50_14w_8s", "dpn68", "mobilenetv4_conv_small"),
)
KNOWN_DIFFERENCES = {
    "swin_v2": "the published figure includes the position-bias network, which runs on constants and not on the image"
}


def run(quick: bool = False) -> dict[str, Any]:
    """Trace every model; one row each, and the totals."""
    models = torchvision.models
    names = QUICK if quick else (*list_models(module=models), *list_models(module=models.segmentation))
    rows = [torchvision_row(name) for name in names]
    rows += [] if quick else timm_rows()
    seconds = [row["seconds"] for row in rows]
    return {
        "models": len(rows),
        "macs_compared": sum("published_gmacs" in row for row in rows),
        "macs_equal": sum(row.get("macs_equal", False) for row in rows),
        "not_equal": {
            row["model"]: row["gmacs"] / row["published_gmacs"] for row in rows if not row.get("macs_equal", True)
        },
        "known_differences": KNOWN_DIFFERENCES,
        "with_unknown_operations": {row["model"]: row["unknown"] for row in rows if row["unknown"]},
        "seconds_total": sum(seconds),
        "seconds_median": statistics.median(seconds),
        "seconds_most": max(seconds),
        "seconds_resnet50": next(row["seconds"] for row in rows if row["model"] == "resnet50"),
        "rows": rows,
    }


def torchvision_row(name: str) -> dict[str, Any]:
    """One torchvision model at the size of its weights."""
    weights = next(iter(get_model_weights(name)))
    extra: dict[str, Any] = {}
    if name in list_models(module=torchvision.models.segmentation):
        extra = {"weights_backbone": None, "num_classes": 21}
        if not name.startswith("lraspp"):
            extra["aux_loss"] = True  # the published figures include the auxiliary head
    if name in ("googlenet", "inception_v3"):
        extra = {"init_weights": False}
    transforms = weights.transforms()
    size = transforms.crop_size[0] if hasattr(transforms, "crop_size") else transforms.resize_size[0]
    if name.startswith("vit"):
        extra = {"image_size": size}
    # weights are never read, so none are made; the initialisation of regnets needs real ones
    with torch.device("cpu" if name.startswith("regnet") else "meta"):
        model = get_model(name, weights=None, **extra)
    row = timed_row(name, model, (3, size, size))
    published = weights.meta["_ops"]
    return row | {"published_gmacs": published, "macs_equal": abs(row["gmacs"] - published) < 1e-3}


def timm_rows() -> list[dict[str, Any]]:
    """Some models of timm, if it is installed."""
    try:
        import timm
    except ImportError:
        return []
    made = ((name, timm.create_model(name, pretrained=False)) for name in TIMM)
    return [timed_row(f"timm:{name}", model, tuple(model.default_cfg["input_size"])) for name, model in made]


def timed_row(name: str, model: nn.Module, size: tuple[int, ...]) -> dict[str, Any]:
    """Trace a model twice; the second counts."""
    uc.trace(model, size)
    start = time.perf_counter()
    graph = uc.trace(model, size)
    seconds = time.perf_counter() - start
    return {
        "model": name,
        "size": size,
        "layers": len(graph.layers),
        "parameters": graph.parameters,
        "gmacs": graph.macs / 1e9,
        "bounded_fields": sum(not layer.exact for layer in graph.layers),
        "unknown": sorted({layer.operator for layer in graph.layers if "not known to the trace" in layer.note}),
        "seconds": seconds,
    }


if __name__ == "__main__":
    import sys

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        result = run(quick="--quick" in sys.argv)
    for row in result.pop("rows"):
        published = f"{row['published_gmacs']:9.3f}" if "published_gmacs" in row else " " * 9
        print(f"{row['model']:32} {row['layers']:5} {row['gmacs']:9.3f} {published} 10⁹ MACs {row['seconds']:6.2f} s")
    for key, value in result.items():
        print(f"{key:24} {value:.2f}" if isinstance(value, float) else f"{key:24} {value}")
