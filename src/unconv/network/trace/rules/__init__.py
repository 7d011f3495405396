"""Rules of the trace, one an operation of torch: how positions of its output depend on its input."""
