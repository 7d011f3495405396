"""The structure of a model, however it is held: its graph, audit, windows and layers."""
