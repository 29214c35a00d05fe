"""Whether an answer is a good match: its best cosine against the release's cut-off."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.domain.plan import BestScore, SearchPlan
from gateway.domain.query import Hit, Query
from gateway.domain.vectors import Vector
from gateway.services.active_release import ActiveRelease
from gateway.services.golden_set import kind_of


def cutoff_of(query: Query, active: ActiveRelease, by: Vector | BestScore | None) -> float | None:
    """The least cosine of a good match; None where there is no cosine, or nothing calibrated."""
    cutoffs = active.loaded.cutoffs
    if not cutoffs or by is None or isinstance(by, BestScore):
        return None
    return cutoffs.get(kind_of(query.parts))


def nearest_alone(plan: SearchPlan, by: Vector | BestScore | None) -> SearchPlan | None:
    """The plan of a search for the one nearest picture among what the filter lets through; None
    where the first hit of `plan` says as much. A diversified page starts with the nearest, too;
    scores that are fused or boosted are no cosines."""
    cosines = plan.lexical is None or plan.second is not None
    if by is None or isinstance(by, BestScore) or (cosines and not plan.boosts and not plan.offset):
        return None
    return SearchPlan(
        dense=by,
        lexical=None,
        filter=plan.filter,
        limit=1,
        offset=0,
        min_score=None,
        fields=("id",),
        exclude_items=plan.exclude_items,
        nearest=plan.nearest,
    )


def reaches(hits: Sequence[Hit], cutoff: float) -> bool:
    """Whether the first hit, if there is one, has the cosine `cutoff` or more."""
    return bool(hits) and hits[0].score >= cutoff
