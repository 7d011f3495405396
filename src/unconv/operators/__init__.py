"""C and Cᵀ: geometry, linear operators, and the forms of the transposed convolution."""
