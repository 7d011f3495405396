"""Forward to a layer with the reverse rule in place, back from any of its units: one pass forward serves many units."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from unconv.errors import ModelError
from unconv.network.feature_maps import arrange_maps
from unconv.network.run.forward import (
    check_images,
    check_open,
    check_tensor,
    check_value,
    check_way_back,
    first_line,
    run_to_layers,
)
from unconv.network.run.model_state import at_rest
from unconv.visualize.cone.convolution import way_back
from unconv.visualize.cone.schedule import Needed
from unconv.visualize.reverse.coverage import Coverage, read_coverage
from unconv.visualize.reverse.rule_mode import RuleMode
from unconv.visualize.reverse.rules import find_rule


@dataclass(frozen=True, eq=False)
class Passage:
    """A forward pass that stopped at some layers, ready to go back from any unit of them.

    Args:
        rule: name of the reverse rule that its rectifiers follow on the way back.
        images: the input, ``(batch, channel, *size)``.
        values: what each layer returned, ``(batch, unit, *position)``, by the layer's name.
        orders: what was not as usual with the axes of a layer, in a line; "" where all was.

    >>> model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU())
    >>> passage = run_forward(model, torch.ones(4, 1, 8, 8), ["0"], "guided")
    >>> passage.values["0"].shape, passage.back("0", torch.zeros(4, 2, 6, 6)).shape
    (torch.Size([4, 2, 6, 6]), torch.Size([4, 1, 8, 8]))
    """

    rule: str
    images: Tensor
    values: dict[str, Tensor]
    orders: dict[str, str] = field(default_factory=dict)

    def back(
        self, layer: str, signal: Float[Tensor, "batch unit *position"], needed: Sequence[Needed] = ()
    ) -> Float[Tensor, "batch channel *size"]:
        """The signal at a layer, sent back to the pixels by the rule.

        ``needed`` says, where it is known, which cells of each convolution of the forward pass the signal can reach.
        """
        try:
            with way_back(needed):
                (image,) = torch.autograd.grad(self.values[layer], self.images, signal, retain_graph=True)
        except RuntimeError as failure:
            # Reentrant checkpointing cannot walk back to the images alone.
            advice = (
                "; use gradient checkpointing with use_reentrant=False, or none" if "eckpoint" in str(failure) else ""
            )
            raise ModelError(f"way back from layer {layer!r}: {first_line(failure)}{advice}") from failure
        return image

    def back_from_units(
        self, layer: str, units: Int[Tensor, " batch"], positions: Sequence[tuple[int, ...]]
    ) -> Float[Tensor, "batch channel *size"]:
        """Seed 1 at one unit of each image, 0 everywhere else, sent back to the pixels."""
        signal = torch.zeros_like(self.values[layer])
        for image, (unit, position) in enumerate(zip(units.tolist(), positions, strict=True)):
            signal[(image, unit, *position)] = 1
        return self.back(layer, signal)

    def coverage(self, layer: str) -> Coverage:
        """What lies between a layer and the pixels, and what the rule made of it."""
        return read_coverage(self.values[layer], self.rule)


def run_forward(
    model: nn.Module, images: Tensor, layers: Sequence[str], rule: str, *, arranged: bool = True
) -> Passage:
    """Run a model up to the last of some layers with its rectifiers following a reverse rule.

    The model runs in evaluation mode with frozen parameters and is given back as it was, also when it fails.

    Args:
        model: any module that takes the images as its one argument.
        images: ``(batch, channel, *size)``, floating point, as the model wants them (normalised).
        layers: names as in ``model.named_modules()``; a layer that is called several times counts with its first call.
        rule: name of a reverse rule, as in :data:`~unconv.visualize.reverse.rules.REVERSE_RULES`.
        arranged: whether values with their axes in another order, as channels last and tokens, are put into that of
            ``(batch, unit, *place)``.

    Raises:
        ModelError: unknown layers, layers that are not called or do not return a tensor, a model that fails,
            TorchScript, values in which units and places cannot be told apart.
        UnconvError: unknown rules, images of the wrong type.
    """
    find_rule(rule)
    check_images(images)
    check_open(model)
    values: dict[str, Tensor] = {}
    orders: dict[str, str] = {}

    def see(layer: str, output: Any) -> None:
        # Later in-place operations work on the output, not on this copy of the moment.
        values[layer] = check_tensor(layer, output).clone()

    with at_rest(model), follow_rule(model, rule):
        leaf = images.detach().clone().requires_grad_()
        # A copy of the leaf, so that a model may change its input in place.
        run_to_layers(model, leaf.clone(), layers, see)
    for layer in layers:
        if layer in values:
            check_way_back(layer, values[layer])
        if arranged and layer in values:
            with torch.inference_mode(False), torch.enable_grad():
                values[layer], orders[layer] = arrange_maps(model, layer, values[layer], tuple(images.shape))
        check_value(model, layer, values.get(layer), len(images))
    return Passage(rule, leaf, values, orders)


@contextmanager
def follow_rule(model: nn.Module, rule: str) -> Iterator[None]:
    """Gradients on, code as it is written, and the rectifiers of a pass following a reverse rule.

    Raises ModelError for a model whose weights no gradient comes back through.
    """
    if any(tensor.is_inference() for tensor in (*model.parameters(), *model.buffers())):
        raise ModelError(
            f"model: the weights of {type(model).__name__} were made in inference mode, where no gradient comes back; "
            "make or load it outside of torch.inference_mode()"
        )
    with torch.inference_mode(False), torch.enable_grad(), torch.compiler.set_stance("force_eager"), RuleMode(rule):
        yield
