"""What a shop wants to see higher up, besides what is alike: a typed score formula.

A boosted hit has the score `s + |s| · Σ weight · signal`. Signals lie between 0 and 1, so that a
weight of 0.2 is worth a fifth of the score, whatever scores are: cosines, BM25 sums or fused ranks.
An item that lacks the field has a signal of 0.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Flagged:
    """Signal 1 where the boolean field is true: what is in stock, say."""

    field: str
    weight: float


@dataclass(frozen=True, slots=True)
class Popular:
    """Signal x / (x + scale) of a number x: half at `scale`, and hardly more for huge numbers."""

    field: str
    weight: float
    scale: float


@dataclass(frozen=True, slots=True)
class Fresh:
    """Signal 2^(-age / half_life_days) of a date: 1 now, half after `half_life_days`.

    Age counts from the hour that the request came in, so that two pages agree.
    """

    field: str
    weight: float
    half_life_days: float


@dataclass(frozen=True, slots=True)
class Near:
    """Signal 2^(-((x - target) / scale)²) of a number x: 1 at `target`, half at `scale` from it."""

    field: str
    weight: float
    target: float
    scale: float


Boost = Flagged | Popular | Fresh | Near
