"""First-layer filters: dead, dominant and aliased ones (Zeiler & Fergus 2013, section 4.1)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from unconv.arguments import tell_wrong_arguments
from unconv.describe import by_size, counted, listed, spread
from unconv.errors import ModelError
from unconv.models.load.open_model import AnyModel
from unconv.network.run.forward import find_layer
from unconv.network.run.held_inputs import Inputs, Keywords
from unconv.network.run.name_layers import AnyLayer, name_layer
from unconv.results import Plotted, Tabled, draw_with
from unconv.visualize.experiments.labelled_network import as_batch, open_network
from unconv.visualize.experiments.partial_forward import forward_values

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# A filter is called weak below, and dominant above, these parts of the median norm.
WEAK, DOMINANT = 0.1, 4.0


@dataclass(frozen=True, eq=False, repr=False)
class FirstLayer(Plotted, Tabled):
    """The filters of a network's first convolution, and figures of each.

    Attributes:
        layer: its name.
        filters: ``(filter, channel, height, width)``.
        stride: (down, across).
        norm: ‖w‖₂ of each filter.
        mean: sum of a filter's weights by ‖w‖₂ · √(number of weights): ±1 for a filter that is the same everywhere (a
            blur), 0 for one that answers nothing to a flat image.
        aliasing: energy of a filter's spectrum beyond the Nyquist frequency of its stride, as a part of all its energy:
            what is folded onto other frequencies when a white image is filtered and subsampled. 0 at stride 1.
        weak: norm below ``WEAK`` times the median.
        dominant: norm above ``DOMINANT`` times the median: with one such filter the others hardly count.
        silent: never above zero in the images given; none where no image is.
        images: how many were given.
    """

    layer: str
    filters: Float[Tensor, "filter channel height width"]
    stride: tuple[int, int]
    norm: Float[Tensor, " filter"]
    mean: Float[Tensor, " filter"]
    aliasing: Float[Tensor, " filter"]
    weak: Bool[Tensor, " filter"]
    dominant: Bool[Tensor, " filter"]
    silent: Bool[Tensor, " filter"]
    images: int

    def plot(self) -> Figure:
        """Draw it, as :func:`~unconv.visualize.experiments.figures.pictures.plot_first_layer` does.

        Raises MissingExtraError where matplotlib is not installed.
        """
        figure: Figure = draw_with("unconv.visualize.experiments.figures.pictures:plot_first_layer", self)
        return figure

    def _heading(self) -> str:
        return f"FirstLayer {self.layer}: {len(self.filters)} filters {by_size(self.filters.shape[1:])}"

    def _facts(self) -> Iterator[tuple[str, str]]:
        yield "stride", by_size(self.stride)
        yield "norm", spread(self.norm)
        low, high = float(self.aliasing.min()), float(self.aliasing.max())
        yield "aliasing", f"{self.total_aliasing:.1%} of all energy, by filter {low:.1%} to {high:.1%}"
        watched = f"; silent ones looked for in {counted(self.images, 'image')}" if self.images else ""
        yield "dead", f"{int(self.dead.sum())}: {listed(self.dead.nonzero().flatten().tolist())}{watched}"
        yield "dominant", f"{int(self.dominant.sum())}: {listed(self.dominant.nonzero().flatten().tolist())}"

    def _rows(self) -> Iterator[Mapping[str, Any]]:
        for number in range(len(self.filters)):
            yield {
                "filter": number,
                "norm": float(self.norm[number]),
                "mean": float(self.mean[number]),
                "aliasing": float(self.aliasing[number]),
                "weak": bool(self.weak[number]),
                "dominant": bool(self.dominant[number]),
                "silent": bool(self.silent[number]),
            }

    @property
    def dead(self) -> Bool[Tensor, " filter"]:
        """Weak or silent."""
        return self.weak | self.silent

    @property
    def total_aliasing(self) -> float:
        """The same for all filters together: energies are summed first, so that strong filters count more."""
        energy = self.norm.double().square()
        return float((self.aliasing.double() * energy).sum() / energy.sum()) if float(energy.sum()) else 0.0


@tell_wrong_arguments
def first_layer(
    model: AnyModel,
    images: Any = None,
    layer: AnyLayer | None = None,
    *,
    inputs: Inputs = None,
    kwargs: Keywords = None,
) -> FirstLayer:
    """Look at the filters of a first convolution: which are dead, which drown the others, how much is aliased.

    Zeiler & Fergus 2013, section 4.1: of AlexNet's 11 × 11 filters with stride 4 some are dead, and the second layer
    shows aliasing; 7 × 7 with stride 2 mend both.

    The spectrum W(ω) = Σ_t w_t e^{−iω·t} of a filter is periodic; a stride s passes frequencies up to π/s per axis
    unharmed and folds the others onto them. ``aliasing`` is ∫_{outside} |W|² / ∫ |W|², outside being |ω_y| > π/s_y or
    |ω_x| > π/s_x, summed over the channels. White noise gives 1 − 1/(s_y s_x). Photographs hold less energy at high
    frequencies than white noise: it is a figure of the filter, not of what it makes of a photograph.

    Args:
        model: a MODEL string, a loaded model or a module that takes images as its one argument.
        images: (batch, channel, height, width) as the model wants them, to find filters that never fire.
        layer: a convolution, its name or the module itself; the first one unless given.
        inputs: what the model takes behind the image, one or several, ``...`` marking where else the image goes; see
            :func:`~unconv.network.run.held_inputs.hold_inputs`.
        kwargs: arguments by keyword, likewise.

    Raises:
        ModelError: a network without a two-dimensional convolution, a layer that is none.

    >>> model = nn.Sequential(nn.Conv2d(3, 8, 7, stride=2), nn.ReLU())
    >>> found = first_layer(model, torch.rand(2, 3, 32, 32))
    >>> found.layer, found.stride, found.aliasing.shape
    ('0', (2, 2), torch.Size([8]))
    """
    network = open_network(model, "first_layer", inputs, kwargs)
    module = network.module
    name, convolution = _convolution(module, layer)
    filters = convolution.weight.detach().float().cpu().clone()
    norm = filters.flatten(1).norm(dim=1)
    median = float(norm.median())
    silent = torch.zeros(len(filters), dtype=torch.bool)
    batch = None
    if images is not None:
        batch = as_batch(network, images, "first_layer")
        values = forward_values(module, batch, [name])[0][name]
        silent = (values.amax((0, 2, 3)) <= 0).cpu()
    stride = (int(convolution.stride[0]), int(convolution.stride[1]))
    return FirstLayer(
        layer=name,
        filters=filters,
        stride=stride,
        norm=norm,
        mean=filters.flatten(1).sum(1) / (norm * filters[0].numel() ** 0.5).clamp(min=torch.finfo(norm.dtype).tiny),
        aliasing=aliasing(filters, stride),
        weak=norm < WEAK * median,
        dominant=norm > DOMINANT * median,
        silent=silent,
        images=0 if batch is None else len(batch),
    )


def aliasing(
    filters: Float[Tensor, "filter channel height width"], stride: tuple[int, int]
) -> Float[Tensor, " filter"]:
    """Energy of each filter's spectrum beyond the Nyquist frequency of a stride, as a part of all; 0 for a zero filter.

    Exact: |W|² is a trigonometric polynomial with the autocorrelation r of the filter as coefficients, and its
    integral over |ω| ≤ π/s is Σ_τ r(τ) sin(πτ/s)/(πτ) in each axis.

    >>> impulse = torch.zeros(1, 1, 5, 5)
    >>> impulse[0, 0, 2, 2] = 1
    >>> aliasing(impulse, (2, 2)), aliasing(impulse, (1, 1))
    (tensor([0.7500]), tensor([0.]))
    """
    down, across = (_low_pass(size, step) for size, step in zip(filters.shape[2:], stride, strict=True))
    weights = filters.double()
    total = weights.square().sum((1, 2, 3))
    inside = torch.einsum("kcyx,yv,xu,kcvu->k", weights, down, across, weights)
    share = 1 - inside / torch.where(total > 0, total, 1)
    return torch.where(total > 0, share, 0).clamp(0, 1).to(filters.dtype)


def _low_pass(size: int, stride: int) -> Tensor:
    """(1/2π) ∫ e^{iω(t − t′)} over |ω| ≤ π/s, for all pairs of taps."""
    taps = torch.arange(size, dtype=torch.float64)
    return torch.sinc((taps[:, None] - taps[None]) / stride) / stride


def _convolution(module: nn.Module, layer: AnyLayer | None) -> tuple[str, nn.Conv2d]:
    if layer is None:
        found = [(name, part) for name, part in module.named_modules() if isinstance(part, nn.Conv2d)]
        if not found:
            raise ModelError(f"first_layer: {type(module).__name__} has no two-dimensional convolution")
        return found[0]
    name = name_layer(module, layer)
    part = find_layer(module, name)
    if not isinstance(part, nn.Conv2d):
        raise ModelError(f"first_layer: layer {name!r} is a {type(part).__name__}, not a two-dimensional convolution")
    return name, part
