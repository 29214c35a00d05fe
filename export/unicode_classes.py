"""Letters and numbers as the `regex` module knows them, spelt out for other regex engines."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import cache

import regex

_SURROGATES = range(0xD800, 0xE000)


def _ranges(pattern: str) -> Iterator[tuple[int, int]]:
    matches = regex.compile(pattern).match
    start = previous = -2
    for code in range(sys.maxunicode + 1):
        if code in _SURROGATES or not matches(chr(code)):
            continue
        if code != previous + 1:
            if start >= 0:
                yield start, previous
            start = code
        previous = code
    yield start, previous


def _spelt(pattern: str) -> str:
    return "".join(rf"\x{{{low:x}}}-\x{{{high:x}}}" for low, high in _ranges(pattern))


@cache
def letters() -> str:
    """Every letter (Unicode category L), as the inside of a bracket expression."""
    return _spelt(r"\p{L}")


@cache
def numbers() -> str:
    """Every number (Unicode category N), as the inside of a bracket expression."""
    return _spelt(r"\p{N}")
