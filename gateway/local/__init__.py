"""One machine: Triton from its wheel, a sample catalogue, one process tree."""
