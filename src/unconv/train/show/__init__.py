"""Measures and sheets of trained networks."""
