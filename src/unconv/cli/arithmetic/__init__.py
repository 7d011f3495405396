"""unconv arithmetic: sizes, relations, drawings and solutions of convolutions."""
