"""A projection as a value: what is asked for, of which images, and what came back, drawn too."""
