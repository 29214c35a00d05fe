"""A search's answer as it travels."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from gateway.api.item_schemas import AttributeIn, ItemShown
from gateway.domain.query import Hit, Mode, SearchResult


class HitOut(BaseModel):
    """An item that answers, by its best picture."""

    id: str
    score: float = Field(description="Cosine, BM25 sum, or fused, as the mode and options say.")
    picture: str
    item: ItemShown
    group: AttributeIn | list[AttributeIn] | None = Field(None, description="With group_by.")
    others: list[str] | None = Field(None, description="Further members of the group.")
    scores: dict[str, float] | None = Field(
        None, description="With scores: `vector`, the best cosine, and `text`, the BM25 sum."
    )


class FacetCountOut(BaseModel):
    """How many items of the result set have a value."""

    value: str | int | bool
    count: int


class SearchOut(BaseModel):
    """A search's answer, wholly from one release."""

    hits: list[HitOut]
    release: str
    mode: Mode
    confident: bool | None = Field(
        description="Whether the best cosine reaches the release's calibrated cut-off; null if "
        "there is none."
    )
    degraded: bool = Field(description="Of full text alone, because the model was away.")
    request_id: str
    timings: dict[str, float] = Field(description="Seconds by stage.")
    facets: dict[str, list[FacetCountOut]] | None = None
    query_token: str | None = None


def answer(result: SearchResult, request_id: str) -> dict[str, Any]:
    """A search's answer, ready for JSON. What was not asked for is left out."""
    shown: dict[str, Any] = {
        "hits": [_hit(hit) for hit in result.hits],
        "release": result.release,
        "mode": result.mode,
        "confident": result.confident,
        "degraded": result.degraded,
        "request_id": request_id,
        "timings": dict(result.timings),
    }
    if result.facets:
        shown["facets"] = {
            field: [{"value": each.value, "count": each.count} for each in counts]
            for field, counts in result.facets.items()
        }
    if result.query_token is not None:
        shown["query_token"] = result.query_token
    return shown


def _hit(hit: Hit) -> dict[str, Any]:
    shown = {"id": hit.item_id, "score": hit.score, "picture": hit.picture, "item": hit.item}
    if hit.group is not None:
        shown |= {"group": hit.group, "others": hit.others}
    if hit.scores is not None:
        shown["scores"] = hit.scores
    return shown
