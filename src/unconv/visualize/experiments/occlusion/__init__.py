"""Occlusion: which parts of a picture the scores of a classifier depend on."""

from unconv.visualize.experiments.occlusion.sensitivity import OcclusionMaps as OcclusionMaps, occlusion as occlusion
