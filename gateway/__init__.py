"""Lookalike's online half: a thin gateway between a storefront, NVIDIA Triton and Qdrant."""

__version__ = "0.1.0"
