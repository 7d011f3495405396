"""The experiments of Zeiler & Fergus (2013), each as a function that returns data, and another that draws it."""

from typing import TYPE_CHECKING

from unconv._lazy import lazy_names

if TYPE_CHECKING:
    from unconv.visualize.experiments.correspondence import (
        Correspondence as Correspondence,
        correspondence as correspondence,
    )
    from unconv.visualize.experiments.evolution import Evolution as Evolution, evolution as evolution
    from unconv.visualize.experiments.figures.curves import (
        plot_correspondence as plot_correspondence,
        plot_invariance as plot_invariance,
        plot_transfer as plot_transfer,
    )
    from unconv.visualize.experiments.figures.occlusion import plot_occlusion as plot_occlusion
    from unconv.visualize.experiments.figures.pictures import (
        plot_evolution as plot_evolution,
        plot_first_layer as plot_first_layer,
    )
    from unconv.visualize.experiments.first_layer import FirstLayer as FirstLayer, first_layer as first_layer
    from unconv.visualize.experiments.invariance import Invariance as Invariance, invariance as invariance
    from unconv.visualize.experiments.occlusion.sensitivity import (
        OcclusionMaps as OcclusionMaps,
        occlusion as occlusion,
    )
    from unconv.visualize.experiments.transfer import Transfer as Transfer, transfer as transfer

_HOME = {
    "Correspondence": "unconv.visualize.experiments.correspondence",
    "correspondence": "unconv.visualize.experiments.correspondence",
    "Evolution": "unconv.visualize.experiments.evolution",
    "evolution": "unconv.visualize.experiments.evolution",
    "plot_correspondence": "unconv.visualize.experiments.figures.curves",
    "plot_invariance": "unconv.visualize.experiments.figures.curves",
    "plot_transfer": "unconv.visualize.experiments.figures.curves",
    "plot_occlusion": "unconv.visualize.experiments.figures.occlusion",
    "plot_evolution": "unconv.visualize.experiments.figures.pictures",
    "plot_first_layer": "unconv.visualize.experiments.figures.pictures",
    "FirstLayer": "unconv.visualize.experiments.first_layer",
    "first_layer": "unconv.visualize.experiments.first_layer",
    "Invariance": "unconv.visualize.experiments.invariance",
    "invariance": "unconv.visualize.experiments.invariance",
    "OcclusionMaps": "unconv.visualize.experiments.occlusion.sensitivity",
    "occlusion": "unconv.visualize.experiments.occlusion.sensitivity",
    "Transfer": "unconv.visualize.experiments.transfer",
    "transfer": "unconv.visualize.experiments.transfer",
}

__getattr__, __dir__, __all__ = lazy_names(__name__, _HOME)
