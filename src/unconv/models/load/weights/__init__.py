"""Weight files: read without running anything of theirs, and fitted to a network."""
