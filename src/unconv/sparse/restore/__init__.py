"""Denoising and inpainting with sparse codes."""
