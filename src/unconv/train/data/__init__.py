"""Examples for training: labelled, unlabelled and masked pictures, in batches."""
