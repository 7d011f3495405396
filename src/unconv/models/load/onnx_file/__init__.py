"""Networks in ONNX files: read, checked, and run node by node by torch."""
