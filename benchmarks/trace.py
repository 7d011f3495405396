"""How long does a trace take, and are its MACs torchvision's? Every torchvision classifier and segmenter, some of timm.

Correctness first: the MACs of each torchvision model at its weights' own size against the figure published with the
weights (multiply–accumulates, to three decimals of 10⁹; convolutions, linear layers and attention count). Then time:
the trace of each model after one warm-up, models built outside the clock. ``quick`` takes a handful.
"""

from __future__ import annotations

import statistics
import time
from typing import Any

import torch
import torchvision
from torch import nn
from torchvision.models import get_model, get_model_weights, list_models

import unconv as uc
from benchmarks.harness import goal

COLUMNS = {
    "model": "model",
    "layers": "layers",
    "parameters": "parameters",
    "gmacs": "10⁹ MACs",
    "published_gmacs": "published",
    "seconds": "trace, s",
    "bounded_fields": "layers with upper-bound fields",
}
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
    compared = [row for row in rows if "published_gmacs" in row]
    differing = [row for row in compared if not row["macs_equal"]]
    return {
        "columns": COLUMNS,
        "rows": rows,
        "notes": "Differences that are known: "
        + "; ".join(f"{name}: {why}" for name, why in KNOWN_DIFFERENCES.items()),
        "models traced": len(rows),
        "MACs equal to the published": f"{len(compared) - len(differing)} of {len(compared)}",
        "not equal (ours / published)": ", ".join(
            f"{row['model']} {row['gmacs'] / row['published_gmacs']:.4f}" for row in differing
        )
        or "none",
        "operations not known": ", ".join(sorted({name for row in rows for name in row["unknown"]})) or "none",
        "seconds in all": sum(row["seconds"] for row in rows),
        "seconds, median": statistics.median(row["seconds"] for row in rows),
        "goals": [
            goal("ResNet-50, s", next(row["seconds"] for row in rows if row["model"] == "resnet50"), 1.0, False),
            goal("models whose MACs differ without a known reason", len(unexplained(differing)), 0, False),
        ],
    }


def unexplained(rows: list[dict[str, Any]]) -> list[str]:
    """Models whose MACs differ from the published ones for no reason that is written down."""
    names = [str(row["model"]) for row in rows]
    return [name for name in names if not any(name.startswith(known) for known in KNOWN_DIFFERENCES)]


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
