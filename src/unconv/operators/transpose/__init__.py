"""The transposed convolution in its forms, and the choice of the fastest."""
