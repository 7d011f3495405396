"""Where a layer is made: the line of a Python file that constructs it."""
