"""Dictionary learning: from images to kernels, through additive statistics."""
