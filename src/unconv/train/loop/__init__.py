"""The training loop: it knows neither network nor task."""

from unconv.train.loop.loop import fit as fit, run_learner as run_learner
from unconv.train.loop.settings import Settings as Settings
