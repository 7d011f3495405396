"""Sparse coding and dictionary learning: kernels D and sparse feature maps Z with D·Z close to the image."""
