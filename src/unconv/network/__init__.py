"""A torch model seen as a graph of geometries."""
