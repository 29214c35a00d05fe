"""Frozen types and ports. No I/O, no framework, nothing but the words of the field."""
