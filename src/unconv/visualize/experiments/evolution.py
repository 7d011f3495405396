"""Feature evolution while a network is trained (Zeiler & Fergus 2013, section 4.1, figure 4)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from unconv.arguments import tell_wrong_arguments
from unconv.choices import ReverseRule
from unconv.describe import by_size, counted, listed, spread
from unconv.errors import UnconvError, printable
from unconv.models.load.open_model import AnyModel
from unconv.models.load.weights.contents import contents_of
from unconv.models.load.weights.files import WeightsPath, read_weights
from unconv.models.load.weights.finite import check_finite
from unconv.models.load.weights.fit import fit_weights
from unconv.network.run.held_inputs import Inputs, Keywords
from unconv.network.run.model_state import preserve
from unconv.network.run.name_layers import AnyLayer, name_layer
from unconv.results import Plotted, Tabled, draw_with
from unconv.visualize.experiments.labelled_network import as_batch, check_count, open_network
from unconv.visualize.experiments.partial_forward import forward_values
from unconv.visualize.layers import check_feature_maps
from unconv.visualize.reverse.project import peaks, project
from unconv.visualize.unit_choice import Units, read_units

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Units that the text of a result names.
UNITS = 10
# Units that are followed where none is named.
STRONGEST = 6

Checkpoint: TypeAlias = str | PathLike[str] | Mapping[str, Tensor] | Callable[[nn.Module], Any]


@dataclass(frozen=True, eq=False, repr=False)
class Evolution(Plotted, Tabled):
    """For each checkpoint and unit, the image that excites the unit most, and what the unit sends back to its pixels.

    Attributes:
        checkpoints: their names.
        layer: whose units they are.
        units: which ones.
        rule: of the way back.
        images: which image it is, ``(checkpoint, unit)``.
        positions: where in the feature map the unit is strongest, ``(checkpoint, unit, 2)``.
        activations: how strong, ``(checkpoint, unit)``.
        projections: ``(checkpoint, unit, channel, height, width)``.
        moved: ‖p_t − p_{t−1}‖ / ‖p_t‖, how much a projection differs from that of the checkpoint before,
            ``(checkpoint, unit)``; NaN in the first row, and where a projection is zero.
        notes: what was done to fit the weights of a checkpoint, with its name in front.
    """

    checkpoints: tuple[str, ...]
    layer: str
    units: tuple[int, ...]
    rule: str
    images: Int[Tensor, "checkpoint unit"]
    positions: Int[Tensor, "checkpoint unit 2"]
    activations: Float[Tensor, "checkpoint unit"]
    projections: Float[Tensor, "checkpoint unit channel height width"]
    moved: Float[Tensor, "checkpoint unit"]
    notes: tuple[str, ...] = ()

    def plot(self) -> Figure:
        """Draw it, as :func:`~unconv.visualize.experiments.figures.pictures.plot_evolution` does.

        Raises MissingExtraError where matplotlib is not installed.
        """
        figure: Figure = draw_with("unconv.visualize.experiments.figures.pictures:plot_evolution", self)
        return figure

    def _heading(self) -> str:
        units, stages = counted(len(self.units), "unit"), counted(len(self.checkpoints), "checkpoint")
        return f"Evolution of {units} of {self.layer} over {stages}"

    def _facts(self) -> Iterator[tuple[str, str]]:
        yield "checkpoints", listed(self.checkpoints)
        yield "rule", self.rule
        yield "projections", by_size(self.projections.shape[2:])
        for place, unit in enumerate(self.units[:UNITS]):
            images = listed(map(str, self.images[:, place].tolist()))
            yield f"unit {unit}", f"activation {spread(self.activations[:, place])}; images {images}"
        if len(self.units) > UNITS:
            yield "units", f"{len(self.units) - UNITS} more"
        if self.notes:
            yield "notes", "; ".join(self.notes)

    def _rows(self) -> Iterator[Mapping[str, Any]]:
        for stage, checkpoint in enumerate(self.checkpoints):
            for place, unit in enumerate(self.units):
                yield {
                    "checkpoint": checkpoint,
                    "unit": unit,
                    "image": int(self.images[stage, place]),
                    "position": tuple(self.positions[stage, place].tolist()),
                    "activation": float(self.activations[stage, place]),
                    "moved": float(self.moved[stage, place]),
                }


@tell_wrong_arguments
def evolution(
    model: AnyModel,
    checkpoints: Sequence[Checkpoint] | Mapping[str, Checkpoint],
    images: Any,
    layer: AnyLayer,
    units: Units | int | None = None,
    *,
    top_units: int | None = None,
    rule: ReverseRule = "deconvnet",
    batch_size: int = 16,
    inputs: Inputs = None,
    kwargs: Keywords = None,
) -> Evolution:
    """Follow some units of a layer over checkpoints: their strongest image, and its projection.

    Zeiler & Fergus 2013, section 4.1 and figure 4: a sudden jump in what is seen comes from a change of the image that
    excites the unit most; ``moved`` says how large it is.

    Args:
        model: a MODEL string, a loaded model or a module that takes images as its one argument; it gets its own weights
            back.
        checkpoints: in the order of training, by name or not; each a file (as load_model takes them, ``last.pt:ema``
            for a part of one), a state dict, or a function that changes the module in place, from where the function
            before left it.
        images: (batch, channel, height, width), as the model wants them; or pictures
            (files, folders, Pillow's, arrays), which go through the transform of a loaded model.
        layer: returns feature maps; its name, or the module itself.
        units: which ones, by index; ``"all"``.
        top_units: how many instead: the strongest ones at the last checkpoint, 6 where neither is given.
        rule: name of a reverse rule, as in :data:`~unconv.visualize.reverse.rules.REVERSE_RULES`.
        batch_size: images computed together.
        inputs: what the model takes behind the image, one or several, ``...`` marking where else the image goes; see
            :func:`~unconv.network.run.held_inputs.hold_inputs`.
        kwargs: arguments by keyword, likewise.

    Raises:
        ModelError: weights that do not fit or are not finite, files that cannot be read, unknown layers.
        UnconvError: no checkpoint, units that are not there.

    >>> model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU())
    >>> born = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    >>> grown = {name: 2 * tensor for name, tensor in born.items()}
    >>> found = evolution(model, {"epoch 1": born, "epoch 2": grown}, torch.rand(4, 3, 12, 12), "1", units=[0, 5])
    >>> found.projections.shape, torch.allclose(found.activations[1], 2 * found.activations[0])
    (torch.Size([2, 2, 3, 12, 12]), True)
    """
    asked = read_units("evolution", units, top_units) or STRONGEST
    network = open_network(model, "evolution", inputs, kwargs)
    module = network.module
    layer = name_layer(module, layer)
    batch = as_batch(network, images, "evolution")
    check_count("evolution", batch_size=batch_size)
    with preserve(module, parameters=True):
        stages = _stages(module, checkpoints)
        chosen = _units(module, stages[-1], batch, layer, asked, batch_size)
        found, notes = [], []
        for stage in stages:
            notes += [f"{stage.name}: {note}" for note in stage.load(module)]
            found.append(_look(module, batch, layer, chosen, rule, batch_size))
    projections = torch.stack([projection for _, _, _, projection in found])
    step = (projections[1:] - projections[:-1]).flatten(2).norm(dim=2)
    size = projections[1:].flatten(2).norm(dim=2)
    first = projections.new_full((1, len(chosen)), torch.nan)
    return Evolution(
        checkpoints=tuple(stage.name for stage in stages),
        layer=layer,
        units=chosen,
        rule=rule,
        images=torch.stack([image for image, _, _, _ in found]),
        positions=torch.stack([position for _, position, _, _ in found]),
        activations=torch.stack([activation for _, _, activation, _ in found]),
        projections=projections,
        moved=torch.cat([first, step / torch.where(size > 0, size, torch.nan)]),
        notes=tuple(notes),
    )


@dataclass(frozen=True, eq=False)
class _Stage:
    """A checkpoint: its name, and where its weights are."""

    name: str
    weights: WeightsPath | Mapping[str, Tensor]

    def load(self, module: nn.Module) -> tuple[str, ...]:
        """Give a module the weights; what was done to fit them."""
        file = self.weights if isinstance(self.weights, WeightsPath) else None
        contents = contents_of(self.weights) if file is None else read_weights(file.path)
        where = f"evolution: weights of checkpoint {self.name!r}"
        kind, name, part = type(module).__name__, printable(file.path) if file else "FILE", file.part if file else ""
        _, notes = fit_weights(lambda _classes: module, contents, dict, where, kind, part=part, file=name)
        check_finite(module, f"evolution: checkpoint {self.name!r}")
        return notes


def _stages(module: nn.Module, checkpoints: Sequence[Checkpoint] | Mapping[str, Checkpoint]) -> list[_Stage]:
    if len(checkpoints) == 0:
        raise UnconvError("evolution: no checkpoint; give one or more, in the order of training")
    if isinstance(checkpoints, Mapping):
        named = list(checkpoints.items())
    else:
        named = [(_name(one, number), one) for number, one in enumerate(checkpoints, start=1)]
    stages = []
    for name, checkpoint in named:
        if isinstance(checkpoint, str | PathLike):
            stages.append(_Stage(name, WeightsPath.read(checkpoint)))
        elif isinstance(checkpoint, Mapping):
            stages.append(_Stage(name, checkpoint))
        elif callable(checkpoint):
            checkpoint(module)
            stages.append(_Stage(name, _copy(module)))
        else:
            raise UnconvError(
                f"evolution: checkpoint {name!r} is a {type(checkpoint).__name__}; give a file, a state dict or a "
                "function"
            )
    return stages


def _name(checkpoint: Any, number: int) -> str:
    if not isinstance(checkpoint, str | PathLike):
        return f"checkpoint {number}"
    file = WeightsPath.read(checkpoint)
    return printable(f"{file.path.stem}:{file.part}" if file.part else file.path.stem)


def _copy(module: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}


def _units(
    module: nn.Module, last: _Stage, batch: Tensor, layer: str, units: int | str | Sequence[int], batch_size: int
) -> tuple[int, ...]:
    """The units that are asked for, or the strongest ones at the last checkpoint."""
    last.load(module)
    values, _, _ = _strongest(module, batch, layer, batch_size)
    if isinstance(units, int):
        return tuple(values.argsort(descending=True, stable=True)[:units].tolist())
    if isinstance(units, str):
        return tuple(range(len(values)))
    for unit in units:
        if not 0 <= unit < len(values):
            raise UnconvError(
                f"evolution: unit {unit} is not in layer {layer!r}, which has units 0 to {len(values) - 1}"
            )
    return tuple(units)


def _strongest(
    module: nn.Module, batch: Tensor, layer: str, batch_size: int
) -> tuple[Float[Tensor, " unit"], Int[Tensor, " unit"], Int[Tensor, "unit 2"]]:
    """For every unit its largest value in any image, which image and where; the first wins a tie."""
    values, places = [], []
    for part in torch.split(batch, batch_size):
        maps = forward_values(module, part, [layer])[0][layer]
        check_feature_maps(layer, maps.shape)
        flat = maps.flatten(0, 1)
        values.append(flat.flatten(1).amax(1).reshape(maps.shape[:2]))
        places.append(torch.tensor(peaks(flat)).reshape(*maps.shape[:2], 2))
    best, image = torch.cat(values).max(0)
    return best, image, torch.cat(places)[image, torch.arange(len(image))]


def _look(
    module: nn.Module,
    batch: Tensor,
    layer: str,
    units: tuple[int, ...],
    rule: ReverseRule,
    batch_size: int,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Of each unit at one checkpoint: image, position, activation and projection."""
    values, images, places = (found[list(units)] for found in _strongest(module, batch, layer, batch_size))
    projections = []
    for unit, image, place in zip(units, images.tolist(), places.tolist(), strict=True):
        found = project(module, batch[image : image + 1], layer, unit, tuple(place), rule)
        projections.append(found.image[0])
    return images, places, values, torch.stack(projections)
