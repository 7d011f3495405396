"""A geometry becomes frames, and frames become pictures."""
