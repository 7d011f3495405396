"""Failures of a trace, in one line that names the module."""

from __future__ import annotations

from collections.abc import Sequence

from torch._subclasses.fake_tensor import DataDependentOutputException, DynamicOutputShapeException
from torch.fx.experimental.symbolic_shapes import GuardOnDataDependentSymNode

from unconv.network.trace.failed import Failed
from unconv.network.trace.operation import JOINS, ModuleCall

# What a module says that it takes, and along which dimension of what comes in.
_TAKES = {
    "in_channels": ("channels", 1),
    "in_features": ("features in the last dimension", -1),
    "num_features": ("channels", 1),
    "num_channels": ("channels", 1),
    "normalized_shape": ("as its last dimensions", -1),
}


def explain_failure(error: Exception, stack: Sequence[ModuleCall], failed: Failed | None = None) -> str:
    """One line on what went wrong where; the innermost module is the last of the stack, ``failed`` the operation."""
    where = f"{stack[-1].path or 'the model'} ({stack[-1].kind})" if stack else "the model"
    if isinstance(error, (DataDependentOutputException, DynamicOutputShapeException, GuardOnDataDependentSymNode)):
        return (
            f"trace: {where} takes a path or a size from values ({_first_line(error)}); a trace knows shapes only: "
            "trace the part before it, uc.trace(model, size, layers=NAMES)"
        )
    if "scalar types: Long, Int" in str(error):
        return f"trace: {where} takes whole numbers, not {_got_type(error)}; say so with dtype=torch.int64"
    got = " and ".join("×".join(map(str, shape)) for shape in stack[-1].input_shapes) if stack else ""
    reason = _first_line(error)
    takes = _takes_other(stack[-1]) if stack else ""
    if takes:
        return f"trace: {where} got {got} (batch first) but takes {takes}: {reason}"
    joined = failed is not None and failed.operator.rstrip("_") in JOINS
    hint = "; unconv.audit with this size says which layers do not meet, and sizes that work" if joined else ""
    return f"trace: {where} failed" + (f" on {got} (batch first)" if got else "") + f": {reason}{hint}"


def _takes_other(run: ModuleCall) -> str:
    """What a module takes, where that is not what came in."""
    shape = run.input_shapes[0] if run.input_shapes else ()
    for key, (text, dim) in _TAKES.items():
        wanted = getattr(run.module, key, None)
        if wanted and isinstance(wanted, (int, tuple)) and len(shape) > 1:
            last = wanted if isinstance(wanted, int) else wanted[-1]
            return f"{wanted} {text}" if shape[dim] != last else ""
    return ""


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    # torch goes on with a list of all its backends.
    return lines[0].partition(". This could be because")[0] if lines else type(error).__name__


def _got_type(error: Exception) -> str:
    return str(error).rpartition("but got ")[2].split()[0]
