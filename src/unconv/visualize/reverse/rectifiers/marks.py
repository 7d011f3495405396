"""Rectifiers marked on autograd's graph: which nodes a reverse rule would replace, in a pass that replaces none."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import _disable_current_modes

from unconv.visualize.reverse.autograd_nodes import MARK
from unconv.visualize.reverse.rectifiers.detached import BEFORE, mark
from unconv.visualize.reverse.rectifiers.follow import Composite, Follower
from unconv.visualize.reverse.rectifiers.relu import changes_in_place
from unconv.visualize.reverse.rectifiers.spellings import recognise


class MarkRectifiers(TorchFunctionMode):
    """While active, the node of every rectifier that a reverse rule would take back is marked with its name.

    Every operation stays as torch has it, so that whatever else watches the pass sees it as the model wrote it.

    >>> import torch
    >>> x = torch.ones(2, requires_grad=True)
    >>> with MarkRectifiers():
    ...     y = x.clamp(0, 6)
    >>> y.grad_fn.metadata[MARK]
    'relu6'
    """

    def __init__(self) -> None:
        super().__init__()
        self._follower = Follower(_mark, goes_back=False)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        rectifier = _recognise(func, args, kwargs)
        if rectifier is None:
            return self._follower.call(func, args, kwargs)
        name, index = rectifier
        x = args[index] if args else kwargs["input"]
        # What is changed through a view is no node of its own afterwards.
        marked = x.requires_grad and not (changes_in_place(func, kwargs) and x._is_view())
        shape = x.shape
        result = self._follower.call(func, args, kwargs, rectifier=True)
        if marked and isinstance(result, Tensor) and result.shape == shape:
            mark(result, MARK, name)
        return result


def _mark(composite: Composite) -> Tensor:
    mark(composite.result, MARK, composite.curve.name)
    if composite.place is not None:
        mark(composite.result, BEFORE, composite.place.edge.node)
    return composite.result


def _recognise(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[str, int] | None:
    """The rectifier that a call is, found out behind the back of whatever records the pass.

    Bounds may be tensors: constants and weights are read, values that a pass on shapes does not know are none.
    """
    with _disable_current_modes():
        try:
            return recognise(func, tuple(map(_known, args)), {name: _known(value) for name, value in kwargs.items()})
        except DataDependentOutputException:
            return None


def _known(value: Any) -> Any:
    return value.constant if isinstance(value, FakeTensor) and value.constant is not None else value
