"""Benchmarks: `make bench`. Every figure is a median of several runs, with its spread."""
