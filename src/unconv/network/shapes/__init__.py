"""explain_shapes: which layer to change when sizes do not meet."""
