"""Changing the upsamplers of a model: findings mended, layers of a kind exchanged."""
