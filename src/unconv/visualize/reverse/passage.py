"""Forward to a layer with the reverse rule in place, back from any of its units: one pass forward serves many units."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from unconv.errors import ModelError, UnconvError
from unconv.visualize.cone.convolution import way_back
from unconv.visualize.cone.schedule import Needed
from unconv.visualize.reverse.coverage import Coverage, read_coverage
from unconv.visualize.reverse.rule_mode import RuleMode
from unconv.visualize.reverse.rules import find_rule


class Arrived(BaseException):
    """Ends the forward pass behind the last layer; a BaseException, so that no model's ``except`` holds it."""


@dataclass(frozen=True, eq=False)
class Passage:
    """A forward pass that stopped at some layers, ready to go back from any unit of them.

    Args:
        rule: name of the reverse rule that its rectifiers follow on the way back.
        images: the input, ``(batch, channel, *size)``.
        values: what each layer returned, ``(batch, unit, *position)``, by the layer's name.

    >>> model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU())
    >>> passage = run_forward(model, torch.ones(4, 1, 8, 8), ["0"], "guided")
    >>> passage.values["0"].shape, passage.back("0", torch.zeros(4, 2, 6, 6)).shape
    (torch.Size([4, 2, 6, 6]), torch.Size([4, 1, 8, 8]))
    """

    rule: str
    images: Tensor
    values: dict[str, Tensor]

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


def run_forward(model: nn.Module, images: Tensor, layers: Sequence[str], rule: str) -> Passage:
    """Run a model up to the last of some layers with its rectifiers following a reverse rule.

    The model runs in evaluation mode with frozen parameters and is given back as it was, also when it fails.

    Args:
        model: any module that takes the images as its one argument.
        images: ``(batch, channel, *size)``, floating point, as the model wants them (normalised).
        layers: names as in ``model.named_modules()``; a layer that is called several times counts with its first call.
        rule: name of a reverse rule, as in :data:`~unconv.visualize.reverse.rules.REVERSE_RULES`.

    Raises:
        ModelError: unknown layers, layers that are not called or do not return a tensor, a model that fails,
            TorchScript.
        UnconvError: unknown rules, images of the wrong type.
    """
    find_rule(rule)
    check_images(images)
    check_open(model)
    modules = {layer: find_layer(model, layer) for layer in layers}
    values: dict[str, Tensor] = {}
    with ExitStack() as stack:
        stack.enter_context(at_rest(model))
        for layer, module in modules.items():
            check_hooks(layer, module)
            handle = module.register_forward_hook(keep(values, layer, len(modules)))
            stack.callback(handle.remove)
        leaf = run_hooked(model, images, rule)
    for layer in layers:
        if layer in values:
            check_way_back(layer, values[layer])
        check_value(model, layer, values.get(layer), len(images))
    return Passage(rule, leaf, values)


def run_hooked(model: nn.Module, images: Tensor, rule: str) -> Tensor:
    """Run a model whose hooks take what they want, and return the leaf that gradients flow back to."""
    if any(tensor.is_inference() for tensor in (*model.parameters(), *model.buffers())):
        raise ModelError(
            f"model: the weights of {type(model).__name__} were made in inference mode, where no gradient comes back; "
            "make or load it outside of torch.inference_mode()"
        )
    with (
        torch.inference_mode(False),
        torch.enable_grad(),
        torch.compiler.set_stance("force_eager"),
        RuleMode(rule),
    ):
        leaf = images.detach().clone().requires_grad_()
        try:
            # A copy of the leaf, so that a model may change its input in place.
            model(leaf.clone())
        except Arrived:
            pass
        except UnconvError:
            raise
        except Exception as failure:
            raise forward_failure(model, leaf, failure) from failure
    return leaf


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


def keep(values: dict[str, Tensor], layer: str, expected: int | None) -> Callable[[nn.Module, Any, Any], None]:
    """A hook that keeps what a layer's first call returns, and ends the pass once so many layers are kept."""

    def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
        if layer in values:
            return
        check_tensor(layer, output)
        # Later in-place operations work on the output, not on this copy of the moment.
        values[layer] = output.clone()
        if len(values) == expected:
            raise Arrived

    return hook


def check_tensor(layer: str, output: Any) -> None:
    """Refuse what a layer has returned where it is no tensor.

    >>> check_tensor("1", torch.zeros(2, 5))
    """
    if not isinstance(output, Tensor):
        raise ModelError(f"layer {layer!r}: returns a {type(output).__name__}, not a tensor; choose a layer inside it")


def check_way_back(layer: str, value: Tensor) -> None:
    """Refuse what autograd cannot follow back to the images.

    >>> check_way_back("1", torch.zeros(2, 5, requires_grad=True))
    """
    if not value.requires_grad:
        raise ModelError(
            f"layer {layer!r}: nothing leads back from it to the images; it is computed without gradient "
            "(torch.no_grad, detach or integers)"
        )


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


def all_finite(values: Tensor) -> bool:
    """Whether all values are finite: those of a finite sum are, and a sum takes a tenth of the time.

    >>> all_finite(torch.tensor([1.0, torch.nan])), all_finite(torch.full((2,), 3e38))
    (False, True)
    """
    return bool(values.sum().isfinite()) or bool(values.isfinite().all())


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


SCRIPTED = "is TorchScript, which cannot be watched inside; use the module that it was made from"


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


def find_layer(model: nn.Module, layer: Any) -> nn.Module:
    """The module of that name; the message for an unknown one names those that look alike.

    >>> find_layer(nn.Sequential(nn.ReLU()), "0")
    ReLU()
    """
    modules: dict[str, nn.Module] = dict(model.named_modules(remove_duplicate=False))
    if isinstance(layer, str) and layer in modules:
        return modules[layer]
    names = [name for name in modules if name]
    near = difflib.get_close_matches(str(layer), names, n=3, cutoff=0.3) or names[:3]
    hint = f"; the nearest names are {', '.join(near)}" if near else "; it has no layers"
    raise ModelError(f"layer {layer!r}: {type(model).__name__} has no layer of that name{hint}")


@contextmanager
def at_rest(model: nn.Module) -> Iterator[None]:
    """Hold a model in evaluation mode with frozen parameters, and give back every flag as it was.

    >>> model = nn.Dropout().train()
    >>> with at_rest(model):
    ...     model.training
    False
    >>> model.training
    True
    """
    training = [(module, module.training) for module in model.modules()]
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    try:
        for module, _ in training:
            module.training = False
        for parameter in trainable:
            parameter.requires_grad_(False)
        yield
    finally:
        for module, flag in training:
            module.training = flag
        for parameter in trainable:
            # Where weights made in inference mode may be changed at all.
            with torch.inference_mode(parameter.is_inference()):
                parameter.requires_grad_(True)
