"""Figures of dictionaries, codes, convergence and results, by matplotlib; a notebook shows them by itself."""

from unconv.sparse.plots.codes import plot_codes
from unconv.sparse.plots.dictionary import plot_dictionary
from unconv.sparse.plots.results import plot_before_after, plot_convergence

__all__ = ["plot_before_after", "plot_codes", "plot_convergence", "plot_dictionary"]
