"""The trace: a forward pass under fake tensors becomes a graph of geometries."""
