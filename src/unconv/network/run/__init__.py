"""Running a model: the pass forward to a layer, and the model's state before and after."""
