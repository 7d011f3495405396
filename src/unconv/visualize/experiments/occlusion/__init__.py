"""Occlusion: which parts of a picture the scores of a classifier depend on."""
