"""unconv train and sample: classification, segmentation, generation."""
