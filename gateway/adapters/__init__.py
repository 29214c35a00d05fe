"""The outside world behind the ports: Triton, Qdrant, release files, pictures."""
