"""The training loop: it knows neither network nor task."""
