"""Plots of dictionaries, codes and results."""
