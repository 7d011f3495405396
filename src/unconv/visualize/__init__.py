"""Looking into a network: one feature map sent back to the pixels."""
