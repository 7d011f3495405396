"""Sparse coding: images and a dictionary to sparse codes, with a certificate."""
