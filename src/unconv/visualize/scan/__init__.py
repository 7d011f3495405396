"""One pass over a collection: the strongest activations of every unit."""
