"""What is trained: classifiers, segmenters and generators, with their losses."""
