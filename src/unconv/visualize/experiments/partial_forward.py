"""Runs a stretch of an unchanged model: in at one layer, out at another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from unconv.errors import UnconvError
from unconv.network.run.forward import (
    Arrived,
    Hook,
    check_images,
    check_open,
    check_tensor,
    check_value,
    hooked,
    run_model,
    run_to_layers,
)
from unconv.network.run.model_state import at_rest
from unconv.network.run.outputs import main_output


def run_through(
    model: nn.Module,
    value: Tensor,
    source: str | None = None,
    target: str | None = None,
    *,
    images: Tensor | None = None,
    before: AbstractContextManager[Any] | None = None,
    see: Callable[[Tensor], None] | None = None,
    layer: str | None = None,
) -> Any:
    """Run a model from the value of one layer to that of another.

    The model's own code decides the way. It is in evaluation mode already, gradients are off.

    Args:
        model: takes the image as its one argument.
        value: of the source, ``(batch, unit, *position)``; the image where there is none.
        source: layer whose value is given; everything must pass through it.
        target: layer whose value is returned; the model's output where there is none.
        images: what the part before the source runs on; ``value`` unless given.
        before: a context for the part before the source, closed there.
        see: is shown the value of ``layer`` on the way.
        layer: the layer to show.

    >>> model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten())
    >>> with torch.no_grad():
    ...     run_through(model, torch.rand(2, 4, 6, 6), "0", "2", images=torch.empty(0, 3, 8, 8)).shape
    torch.Size([2, 4, 3, 3])
    """
    kept: list[Any] = []
    with ExitStack() as skipping:

        def enter(_module: nn.Module, _inputs: Any, _output: Any) -> Tensor:
            skipping.close()
            return value

        def leave(_module: nn.Module, _inputs: Any, output: Any) -> None:
            kept.append(output)
            raise Arrived

        hooks: list[tuple[str | None, Hook]] = [(source, enter)]
        if see is not None:
            hooks.append((layer, _first(str(layer), see)))
        hooks.append((target, leave))
        with hooked(model, [(name, hook) for name, hook in hooks if name is not None]):
            if before is not None:
                skipping.enter_context(before)
            output = run_model(model, value if images is None else images, shown=value)
    return kept[0] if kept else output


class Shortcut:
    """Runs stretches of a model at no cost for what lies before them.

    That runs on no images at all. A model that cannot do with none, since it makes use of their number, has it run on
    tensors without content, which costs more.

    Args:
        model: takes the image as its one argument.
        image: one of those that values would come from, ``(1, channel, *size)``.

    >>> model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten())
    >>> with torch.no_grad():
    ...     Shortcut(model, torch.rand(1, 3, 8, 8)).run(torch.rand(2, 4, 6, 6), "0").shape
    torch.Size([2, 36])
    """

    def __init__(self, model: nn.Module, image: Tensor) -> None:
        self.model = model
        self.image = image
        self._fakes: FakeTensorMode | None = None
        self._held: list[Tensor] = []

    def run(self, value: Tensor, source: str | None, target: str | None = None, **shown: Any) -> Any:
        """What the model makes of a value: as :func:`run_through`."""
        if source is None:
            return run_through(self.model, value, None, target, **shown)
        if self._fakes is None:
            try:
                output = run_through(self.model, value, source, target, images=self.image[:0], **shown)
            except UnconvError:
                pass
            else:
                main = main_output(output).tensor
                if main is None or main.shape[:1] == value.shape[:1]:
                    return output
            self._fakes = FakeTensorMode(allow_non_fake_inputs=True)
            # The mode remembers what it made of a weight only while somebody holds it.
            weights = (*self.model.parameters(), *self.model.buffers())
            self._held.extend(self._fakes.from_tensor(weight) for weight in weights)
        with self._fakes:
            images = self.image.new_empty((len(value), *self.image.shape[1:]))
        return run_through(self.model, value, source, target, images=images, before=self._fakes, **shown)


def _first(layer: str, see: Callable[[Tensor], None]) -> Callable[[nn.Module, Any, Any], None]:
    """A hook that shows what a module returns when it is called first."""
    calls: list[None] = []

    def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
        if not calls:
            calls.append(None)
            see(check_tensor(layer, output))

    return hook


@contextmanager
def quiet(model: nn.Module) -> Iterator[None]:
    """A model in evaluation mode, as it is written, without gradients; then as before."""
    check_open(model)
    with at_rest(model), torch.no_grad(), torch.compiler.set_stance("force_eager"):
        yield


def forward_values(
    model: nn.Module, images: Tensor, layers: Sequence[str], output: bool = False
) -> tuple[dict[str, Tensor], Any]:
    """What some layers return for a batch, by name, and what the model returns if that is asked for too.

    A layer that is called several times counts with its first call. Raises ModelError for unknown layers, layers that
    are not called or return no tensor (batch, unit, ...), NaN, and for a model that fails.

    >>> model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten())
    >>> values, scores = forward_values(model, torch.rand(2, 3, 8, 8), ["1"], output=True)
    >>> values["1"].shape, scores.shape
    (torch.Size([2, 4, 6, 6]), torch.Size([2, 144]))
    """
    check_images(images)
    values: dict[str, Tensor] = {}

    def see(layer: str, value: Any) -> None:
        # Later in-place operations work on the value, not on this copy of the moment.
        values[layer] = check_tensor(layer, value).clone()

    with quiet(model):
        # A copy, so that a model may change its input in place.
        result = run_to_layers(model, images.clone(), layers, see, stop=not output)
    for layer in layers:
        check_value(model, layer, values.get(layer), len(images))
    return values, result
