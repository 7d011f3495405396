"""A pass forward through a model, up to some of its layers; and what is refused on the way, each in one line."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from unconv.errors import ModelError, UnconvError
from unconv.network.run.outputs import describe_output, main_output
from unconv.network.run.unwrap_compiled import unwrap_compiled

Hook = Callable[[nn.Module, Any, Any], Any]

SCRIPTED = "is TorchScript, which cannot be watched inside; use the module that it was made from"


class Arrived(BaseException):
    """Ends a pass behind its last layer; a BaseException, so that no model's ``except`` holds it."""


class OutOfTime(BaseException):
    """Ends a pass whose time is up; a BaseException, so that no model's ``except`` holds it."""


def run_to_layers(
    model: nn.Module, images: Tensor, layers: Sequence[str], see: Callable[[str, Any], None], *, stop: bool = True
) -> Any:
    """Run a model until some layers have been called, and show what each returns when it is called first.

    The model runs as it is: mode, gradients and precision are the caller's.

    Args:
        model: any module that takes the images as its one argument.
        images: as the model wants them.
        layers: names as in ``model.named_modules()``.
        see: is called with a layer's name and its value, at the moment at which the layer returns it.
        stop: whether the pass ends once all layers were called.

    Returns:
        What the model returns; None where the pass ended before.

    Raises:
        ModelError: unknown layers, layers in TorchScript, and a model that fails, in one line.

    >>> model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten())
    >>> run_to_layers(model, torch.rand(1, 3, 8, 8), ["1"], lambda layer, value: print(layer, value.shape))
    1 torch.Size([1, 4, 6, 6])
    """
    with stopping(model, layers, see, stop=stop):
        return run_model(model, images)


@contextmanager
def stopping(
    model: nn.Module, layers: Sequence[str], see: Callable[[str, Any], None] | None = None, *, stop: bool = True
) -> Iterator[None]:
    """Hooks that end a pass, by :class:`Arrived`, once some layers have been called; none ends it where there are none.

    Raises as :func:`hooked` does.

    >>> model = nn.Sequential(nn.ReLU(), nn.Flatten(5))
    >>> with stopping(model, ["0"]):
    ...     run_model(model, torch.rand(1))
    """
    called: set[str] = set()
    names = tuple(dict.fromkeys(layers))

    def hook(layer: str) -> Hook:
        def seen(_module: nn.Module, _inputs: Any, output: Any) -> None:
            if layer in called:
                return
            called.add(layer)
            if see is not None:
                see(layer, output)
            if stop and len(called) == len(names):
                raise Arrived

        return seen

    with hooked(model, [(layer, hook(layer)) for layer in names]):
        yield


@contextmanager
def hooked(model: nn.Module, hooks: Sequence[tuple[str, Hook]]) -> Iterator[None]:
    """Hooks behind some layers, taken away again whatever happens.

    Raises ModelError for unknown layers, and for those in TorchScript, which take none.

    >>> model = nn.Sequential(nn.ReLU())
    >>> with hooked(model, [("0", lambda module, inputs, output: output + 1)]):
    ...     model(torch.zeros(1))
    tensor([1.])
    """
    with ExitStack() as stack:
        for layer, hook in hooks:
            module = find_layer(model, layer)
            check_hooks(layer, module)
            stack.callback(module.register_forward_hook(hook).remove)
        yield


def run_model(model: nn.Module, images: Tensor, shown: Tensor | None = None) -> Any:
    """What a model returns for images; None where a hook has ended the pass.

    Raises ModelError, in one line, where the model fails; it names the shape of ``shown`` where the images are but
    stand-ins for these.
    """
    try:
        return model(images)
    except Arrived:
        return None
    except UnconvError:
        raise
    except Exception as failure:
        raise forward_failure(model, images if shown is None else shown, failure) from failure


def forward_failure(model: nn.Module, images: Tensor, failure: Exception) -> ModelError:
    """The error for a model that fails on images, in one line.

    >>> forward_failure(nn.ReLU(), torch.ones(1, 3, 8, 8), RuntimeError("sizes differ"))
    ModelError('forward: ReLU fails on images of shape 1×3×8×8, torch.float32: sizes differ')
    """
    shape = "×".join(map(str, images.shape))
    return ModelError(
        f"forward: {type(model).__name__} fails on images of shape {shape}, {images.dtype}: {first_line(failure)}"
    )


def first_line(failure: Exception) -> str:
    """What an error of torch or of a model says, in one line.

    >>> first_line(RuntimeError("sizes differ\\nTip: ...")), first_line(KeyError())
    ('sizes differ', 'KeyError')
    """
    return (str(failure).strip() or type(failure).__name__).splitlines()[0]


def find_layer(model: nn.Module, layer: Any) -> nn.Module:
    """The module of that name; the message for an unknown one names those that look alike.

    A compiled model's layers are known by their names in the model that it was made from, too.

    >>> find_layer(nn.Sequential(nn.ReLU()), "0")
    ReLU()
    """
    modules: dict[str, nn.Module] = dict(model.named_modules(remove_duplicate=False))
    if isinstance(layer, str) and layer in modules:
        return modules[layer]
    plain = unwrap_compiled(model)
    if plain is not model:
        return find_layer(plain, layer)
    names = [name for name in modules if name]
    near = difflib.get_close_matches(str(layer), names, n=3, cutoff=0.3) or names[:3]
    hint = f"; the nearest names are {', '.join(near)}" if near else "; it has no layers"
    raise ModelError(f"layer {layer!r}: {type(model).__name__} has no layer of that name{hint}")


def check_open(model: nn.Module) -> None:
    """Refuse TorchScript: it runs its layers and rectifiers where neither hooks nor rules see them.

    >>> check_open(nn.ReLU())
    """
    if isinstance(model, torch.jit.ScriptModule):
        raise ModelError(f"model: {SCRIPTED}")


def takes_hooks(module: nn.Module) -> bool:
    """Whether torch lets a module be watched: traced parts of a model can be, scripted ones cannot.

    >>> takes_hooks(nn.ReLU())
    True
    """
    return not isinstance(module, torch.jit._script.RecursiveScriptModule)


def check_hooks(layer: str, module: nn.Module) -> None:
    """Refuse a layer that cannot be watched.

    >>> check_hooks("0", nn.ReLU())
    """
    if not takes_hooks(module):
        raise ModelError(f"layer {layer!r}: {SCRIPTED}, or choose a layer around it")


def check_images(images: Any) -> None:
    """Refuse what is not a batch of floating-point images."""
    if not isinstance(images, Tensor):
        raise UnconvError(f"images: a tensor (batch, channel, *size) is needed, not a {type(images).__name__}")
    if images.ndim < 2 or images.numel() == 0:
        raise UnconvError(
            f"images: shape {tuple(images.shape)} is not a batch (batch, channel, *size); images[None] adds it"
        )
    if not images.is_floating_point():
        raise UnconvError(f"images: {images.dtype} is not floating point; images.float() / 255 and normalise")
    if not all_finite(images):
        raise UnconvError("images: contain NaN or infinite values; remove or replace them")


def check_value(model: nn.Module, layer: str, value: Tensor | None, batch: int) -> None:
    """Refuse what a layer has returned where it is no finite ``(batch, unit, ...)``.

    >>> check_value(nn.ReLU(), "1", torch.zeros(2, 5), batch=2)
    """
    if value is None:
        raise not_called(model, layer)
    check_shape(layer, value, batch)
    if not all_finite(value):
        raise ModelError(f"layer {layer!r}: contains NaN or infinite values; check the weights and the images")


def not_called(model: nn.Module, layer: str) -> ModelError:
    """The error for a layer that a pass has not come by.

    >>> not_called(nn.ReLU(), "1")
    ModelError("layer '1': is not called when ReLU runs; choose another layer")
    """
    return ModelError(f"layer {layer!r}: is not called when {type(model).__name__} runs; choose another layer")


def check_shape(layer: str, value: Tensor, batch: int) -> None:
    """Refuse what is not ``(batch, unit, ...)``.

    >>> check_shape("1", torch.zeros(2, 5), batch=2)
    """
    if value.ndim < 2 or value.shape[0] != batch:
        raise ModelError(
            f"layer {layer!r}: returns shape {tuple(value.shape)} for {batch} images, not (batch, unit, ...); "
            "choose another layer"
        )


def check_tensor(layer: str, output: Any) -> Tensor:
    """The tensor that stands for what a layer has returned, as :func:`main_output` tells it; ModelError without one.

    >>> check_tensor("1", (torch.zeros(2), None))
    tensor([0., 0.])
    """
    tensor = main_output(output).tensor
    if tensor is None:
        raise ModelError(f"layer {layer!r}: returns {describe_output(output)}, not a tensor; choose a layer inside it")
    return tensor


def check_way_back(layer: str, value: Tensor) -> None:
    """Refuse what autograd cannot follow back to the images.

    >>> check_way_back("1", torch.zeros(2, 5, requires_grad=True))
    """
    if not value.requires_grad:
        raise ModelError(
            f"layer {layer!r}: nothing leads back from it to the images; it is computed without gradient "
            "(torch.no_grad, detach or integers)"
        )


def all_finite(values: Tensor) -> bool:
    """Whether all values are finite: those of a finite sum are, and a sum takes a tenth of the time.

    >>> all_finite(torch.tensor([1.0, torch.nan])), all_finite(torch.full((2,), 3e38))
    (False, True)
    """
    return bool(values.sum().isfinite()) or bool(values.isfinite().all())
