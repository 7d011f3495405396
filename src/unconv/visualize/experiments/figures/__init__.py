"""Figures of the experiments, as images."""
