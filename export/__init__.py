"""Offline: from an open_clip model to a release that Triton serves. The only place with PyTorch."""
