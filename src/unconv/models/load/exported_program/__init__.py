"""Programs that torch.export saved: read without torch's own loader, which unpickles, and run node by node."""
