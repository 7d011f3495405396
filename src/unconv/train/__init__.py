"""Training: a loop that knows neither network nor task, and the tasks."""
