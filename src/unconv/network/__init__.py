"""A torch model seen as a graph of geometries."""

from typing import TYPE_CHECKING

from unconv._lazy import lazy_names

if TYPE_CHECKING:
    from unconv.models.structure.windows import windows_of as windows_of
    from unconv.network.audit.audit import Audit as Audit
    from unconv.network.audit.finding import Finding as Finding
    from unconv.network.shapes.explain_shapes import ShapeError as ShapeError, explain_shapes as explain_shapes
    from unconv.network.trace.graph import Graph as Graph, Layer as Layer
    from unconv.network.windows import Windows as Windows
    from unconv.network.working_sizes import WorkingSizes as WorkingSizes

_HOME = {
    "Graph": "unconv.network.trace.graph",
    "Layer": "unconv.network.trace.graph",
    "Windows": "unconv.network.windows",
    "windows_of": "unconv.models.structure.windows",
    "WorkingSizes": "unconv.network.working_sizes",
    "Audit": "unconv.network.audit.audit",
    "Finding": "unconv.network.audit.finding",
    "ShapeError": "unconv.network.shapes.explain_shapes",
    "explain_shapes": "unconv.network.shapes.explain_shapes",
}

__getattr__, __dir__, __all__ = lazy_names(__name__, _HOME)
