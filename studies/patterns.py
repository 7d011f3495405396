"""What checkerboard a trained network's upsampling layers show, on pictures that it was not trained on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from torch import Tensor, nn

from unconv.data.scenes import fashion_scenes
from unconv.models.load.resolve import load_model
from unconv.operators.checkerboard import stride_pattern
from unconv.upsample.upsamplers import Doubling

PICTURES = 32


def upsamplers(network: nn.Module) -> Iterator[tuple[str, Doubling]]:
    """The layers that double the size, by name."""
    for name, module in network.named_modules():
        if isinstance(module, Doubling):
            yield name, module


def segmentation_patterns(model: str, weights: Path, garments: Path | None = None) -> dict[str, Any]:
    """Amplitude at the stride's frequencies by that of everything: of each upsampler's output, of the scores.

    Means of channels are taken out first, for a constant is no picture.
    """
    loaded = load_model(model, weights=weights)
    network, preprocess = loaded.module, loaded.preprocess
    drawn = fashion_scenes("test", size=preprocess.size, folder=garments).draw(range(PICTURES)).pictures
    pictures = preprocess.normalise(drawn.to(torch.float32) / 255)
    outputs: dict[str, Tensor] = {}
    with ExitStack() as hooks, torch.inference_mode():
        for name, layer in upsamplers(network):
            hook = layer.register_forward_hook(lambda _m, _i, output, name=name: outputs.__setitem__(name, output))
            hooks.callback(hook.remove)
        scores = network(pictures)
    by_layer = {name: _pattern(output) for name, output in outputs.items()}
    return {"layers": by_layer, "mean": fmean(by_layer.values()), "scores": _pattern(scores)}


def _pattern(maps: Tensor) -> float:
    inside = maps[..., 2:-2, 2:-2]
    return stride_pattern(inside - inside.mean((-2, -1), keepdim=True), stride=2)
