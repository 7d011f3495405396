"""Geometries of convolutions and poolings: sizes, relations, receptive fields; the standard library alone."""
