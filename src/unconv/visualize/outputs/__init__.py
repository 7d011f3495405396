"""Outputs of a network: the readings that they have, and the probabilities that they end in."""
