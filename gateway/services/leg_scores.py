"""What each leg of a search thinks of the items of its page, for people who ask why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from gateway.domain.deadline import Deadline
from gateway.domain.filters import Filter, MatchAny
from gateway.domain.plan import SearchPlan
from gateway.domain.ports import CatalogIndex
from gateway.domain.query import Exact, Hit
from gateway.services.side_by_side import side_by_side

VECTOR, TEXT = "vector", "text"


async def with_leg_scores(
    index: CatalogIndex, collection: str, plan: SearchPlan, hits: Sequence[Hit], deadline: Deadline
) -> list[Hit]:
    """The hits with the best cosine (or best_score) and the BM25 sum of each item, as far as `plan`
    has these legs; a leg that does not find an item is left out of its scores.

    Asked of the store once a leg, among the page's items alone: a ranking has only its own numbers.
    """
    if not hits:
        return []
    legs = {VECTOR: replace(plan, lexical=None), TEXT: replace(plan, dense=None)}
    present = {
        name: _alone(leg, hits)
        for name, leg in legs.items()
        if leg.dense is not None or leg.lexical is not None
    }
    async with side_by_side() as group:
        tasks = {
            name: group.create_task(index.search(collection, leg, deadline))
            for name, leg in present.items()
        }
    scores: Mapping[str, Mapping[str, float]] = {
        name: {hit.item_id: hit.score for hit in task.result()} for name, task in tasks.items()
    }
    return [
        replace(
            hit,
            scores={
                name: found[hit.item_id] for name, found in scores.items() if hit.item_id in found
            },
        )
        for hit in hits
    ]


def _alone(leg: SearchPlan, hits: Sequence[Hit]) -> SearchPlan:
    """One leg among the page's items, with nothing that changes its numbers."""
    return replace(
        leg,
        filter=Filter(must=(MatchAny("id", tuple(hit.item_id for hit in hits)),)),
        limit=len(hits),
        offset=0,
        min_score=None,
        fields=("id",),
        exclude_items=(),
        nearest=Exact(),
        second=None,
        boosts=(),
        group_by=None,
    )
