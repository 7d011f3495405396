"""Looking into a network: one feature map sent back to the pixels."""

from typing import TYPE_CHECKING

from unconv._lazy import lazy_names

if TYPE_CHECKING:
    from unconv.visualize.fidelity.verdict import Fidelity as Fidelity
    from unconv.visualize.report.see import see as see
    from unconv.visualize.reverse.project import Projection as Projection, project as project
    from unconv.visualize.reverse.project_units import (
        Pick as Pick,
        WindowProjections as WindowProjections,
        project_units as project_units,
    )
    from unconv.visualize.reverse.rules import REVERSE_RULES as REVERSE_RULES, Rule as Rule
    from unconv.visualize.scan.top_activations import TopActivations as TopActivations
    from unconv.visualize.scan.unit_places import UnitPlaces as UnitPlaces

_HOME = {
    "Projection": "unconv.visualize.reverse.project",
    "project": "unconv.visualize.reverse.project",
    "Pick": "unconv.visualize.reverse.project_units",
    "WindowProjections": "unconv.visualize.reverse.project_units",
    "project_units": "unconv.visualize.reverse.project_units",
    "REVERSE_RULES": "unconv.visualize.reverse.rules",
    "Rule": "unconv.visualize.reverse.rules",
    "Fidelity": "unconv.visualize.fidelity.verdict",
    "TopActivations": "unconv.visualize.scan.top_activations",
    "UnitPlaces": "unconv.visualize.scan.unit_places",
    "see": "unconv.visualize.report.see",
}

__getattr__, __dir__, __all__ = lazy_names(__name__, _HOME)
