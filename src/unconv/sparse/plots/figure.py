"""Figures of sparse codes: an image as a picture or as a curve."""

from __future__ import annotations

from matplotlib.axes import Axes
from torch import Tensor

from unconv.data.figure import BLUE, bare, ruled

ORANGE = "#d5834b"
# Rounding leaves [0, 1] by less than this.
SLACK = 0.05


def show(axes: Axes, image: Tensor, title: str) -> None:
    """A picture in [0, 1]; one that leaves it is scaled with 0 as mid-grey, as detail is. Signals are curves."""
    if image.ndim == 2:
        ruled(axes, title, "").plot(image.T.float().numpy(), linewidth=0.8, color=BLUE)
        return
    picture = image.float()
    if float(picture.min()) < -SLACK or float(picture.max()) > 1 + SLACK:
        picture = 0.5 + 0.5 * picture / picture.abs().flatten().kthvalue(max(1, int(0.995 * picture.numel()))).values
    picture = picture.clamp(0, 1)
    channels = picture[:3] if len(picture) >= 3 else picture[:1].expand(3, -1, -1)
    bare(axes, title).imshow(channels.permute(1, 2, 0).numpy(), interpolation="antialiased")
