"""Layers that several of the networks share."""
