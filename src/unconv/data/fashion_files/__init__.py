"""The files that Fashion-MNIST comes in."""
