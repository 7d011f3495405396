"""What one unit can have seen, and nothing else: convolutions, boxes and kernels cut to its cone."""
