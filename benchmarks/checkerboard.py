"""Does the score of a layer's weights foretell the pattern in its outputs? Thirty-six small networks, trained.

Each enlarges photographs of scikit-image, by 2 or by 3, with one transposed convolution behind a convolution with a
rectifier: six kernels, three first weights, trained for a little or for longer. Three scores are compared with the
pattern measured in the outputs for pictures that it was not trained on, the amplitude at the stride's frequencies by
that of all (`stride_pattern`): of the weights alone; with the mean of what comes in behind a picture of ones, as the
audit takes it; and with that of what comes in for actual pictures.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import skimage.data
import torch
import torch.nn.functional as F
from scipy.stats import spearmanr
from torch import Tensor, nn

from benchmarks.harness import goal
from unconv.network.audit.channel_means import channel_means
from unconv.operators.checkerboard import checkerboard_score, stride_pattern
from unconv.upsample.initialise import equalised_

THREADS = 1
TARGET = 0.8
KERNELS = ((2, 2), (3, 2), (4, 2), (5, 2), (3, 3), (4, 3))
STARTS = ("random", "positive", "equalised")
STEPS = (20, 300)
CHANNELS, PATCH, BATCH = 16, 16, 32
TRAINED_ON = ("chelsea", "coffee", "rocket", "brick")
TRIED_ON = ("astronaut", "camera")

COLUMNS = {
    "kernel": "kernel",
    "stride": "stride",
    "start": "first weights",
    "steps": "steps",
    "loss": "error, mean square",
    "weights": "score of the weights",
    "ones": "score behind ones",
    "inputs": "score with inputs",
    "pattern": "pattern measured",
}


def run(quick: bool = False) -> dict[str, Any]:
    """All networks; a quick run trains for less long, and half of them."""
    torch.set_num_threads(THREADS)
    train, tried = photographs(TRAINED_ON), photographs(TRIED_ON)
    rows = []
    for (kernel, stride), start, steps in product(KERNELS, STARTS, (STEPS[0],) if quick else STEPS):
        rows.append(network(kernel, stride, start, steps, train, tried))
        print(rows[-1], flush=True)
    measured = [row["pattern"] for row in rows]
    by_weights = float(spearmanr([row["weights"] for row in rows], measured).statistic)
    by_ones = float(spearmanr([row["ones"] for row in rows], measured).statistic)
    by_inputs = float(spearmanr([row["inputs"] for row in rows], measured).statistic)
    return {
        "threads": THREADS,
        "notes": f"Spearman's rank correlation with the pattern, over {len(rows)} networks: {by_weights:.3f} for the "
        f"score of the weights alone, {by_ones:.3f} behind a picture of ones, {by_inputs:.3f} with the mean of what "
        "comes in.",
        "columns": COLUMNS,
        "rows": rows,
        "goals": [
            goal("Spearman, score of the weights", round(by_weights, 3), TARGET),
            goal("Spearman, score behind a picture of ones", round(by_ones, 3), TARGET),
            goal("Spearman, score with inputs", round(by_inputs, 3), TARGET),
        ],
    }


def network(
    kernel: int, stride: int, start: str, steps: int, train: list[Tensor], tried: list[Tensor]
) -> dict[str, Any]:
    """One network: trained, and its pattern measured."""
    generator = torch.Generator().manual_seed(1000 * kernel + 100 * stride + STARTS.index(start))
    torch.manual_seed(generator.initial_seed())
    enter = nn.Conv2d(1, CHANNELS, 3, padding=1)
    up = nn.ConvTranspose2d(CHANNELS, 1, kernel, stride=stride)
    with torch.no_grad():
        if start == "positive":
            up.weight.abs_()
    if start == "equalised":
        equalised_(up.weight, stride)
    model = nn.Sequential(enter, nn.ReLU(), up)
    optimiser = torch.optim.Adam(model.parameters(), 3e-3)
    for _ in range(steps):
        large = patches(train, PATCH * stride, generator)
        loss = F.mse_loss(cropped(model(F.avg_pool2d(large, stride)), stride, kernel, large), large)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with torch.no_grad():
        patterns, means = [], []
        for picture in tried:
            whole = picture[..., : picture.shape[-2] // stride * stride, : picture.shape[-1] // stride * stride]
            small = F.avg_pool2d(whole, stride)
            features = model[1](enter(small))
            means.append(features.mean((0, 2, 3)))
            # Borders, where taps are missing, and the bias are no part of the pattern.
            inner = (up(features) - up.bias)[..., kernel:-kernel, kernel:-kernel]
            patterns.append(stride_pattern(inner, stride))
        mean = torch.stack(means).mean(0)
    ones = channel_means(model, [torch.ones(1, 1, PATCH, PATCH)], [up])[up]
    return {
        "kernel": kernel,
        "stride": stride,
        "start": start,
        "steps": steps,
        "loss": float(f"{loss.item():.3g}"),
        "weights": float(f"{checkerboard_score(up.weight, stride):.4g}"),
        "ones": float(f"{checkerboard_score(up.weight, stride, inputs=ones):.4g}"),
        "inputs": float(f"{checkerboard_score(up.weight, stride, inputs=mean):.4g}"),
        "pattern": float(f"{float(np.mean(patterns)):.4g}"),
    }


def photographs(names: tuple[str, ...]) -> list[Tensor]:
    """Grey pictures in [0, 1], (1, 1, height, width)."""
    found = []
    for name in names:
        picture = torch.from_numpy(getattr(skimage.data, name)()).float() / 255
        grey = picture if picture.ndim == 2 else picture.mean(2)
        found.append(grey[None, None])
    return found


def patches(pictures: list[Tensor], size: int, generator: torch.Generator) -> Tensor:
    """A batch of squares from anywhere, (batch, 1, size, size)."""
    found = []
    for _ in range(BATCH):
        picture = pictures[int(torch.randint(len(pictures), (), generator=generator))]
        top = int(torch.randint(picture.shape[-2] - size, (), generator=generator))
        left = int(torch.randint(picture.shape[-1] - size, (), generator=generator))
        found.append(picture[0, :, top : top + size, left : left + size])
    return torch.stack(found)


def cropped(output: Tensor, stride: int, kernel: int, like: Tensor) -> Tensor:
    """The output, brought to the size of the target: what a kernel adds at the borders is shared out."""
    surplus = max(kernel - stride, 0)
    before = surplus // 2
    return output[..., before : before + like.shape[-2], before : before + like.shape[-1]]
