"""What both stores' score formulas have in common.

Qdrant computes a formula over the score of the stage before and the payload. A field that a point
lacks must have a default, or the whole search fails; these defaults give a signal of 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gateway.domain.boosts import Boost, Flagged, Fresh, Near, Popular
from gateway.domain.plan import SearchPlan

SCORE = "$score"
HALF = 0.5  # a decay's value at the distance `scale` from its target
DAY_S = 86_400.0

# How many half-lives or scales away a missing value is put: the decay is 0 in double precision.
_FAR = 2_000.0


def boost_defaults(boosts: Sequence[Boost]) -> Mapping[str, float | str]:
    """What the formula takes for a field that an item does not have."""
    defaults: dict[str, float | str] = {}
    for boost in boosts:
        match boost:
            case Flagged():
                pass
            case Popular(field):
                defaults[field] = 0.0
            case Fresh(field):
                defaults[field] = "0001-01-01T00:00:00Z"
            case Near(field, target=target, scale=scale):
                defaults[field] = target + _FAR * scale
    return defaults


def instant(plan: SearchPlan) -> str:
    """The moment from which freshness counts, as RFC 3339."""
    assert plan.at is not None, "a plan that boosts by freshness says when it is"
    return plan.at.isoformat()
