"""A search as it travels, its translation to the domain, and its answer."""

from __future__ import annotations

from pydantic import ConfigDict, Field, model_validator

from gateway.api.boost_schemas import BoostIn
from gateway.api.filter_schemas import FilterIn
from gateway.api.schemas import Strict, picture_bytes
from gateway.domain.query import (
    MAX_BOOSTS,
    MAX_FACETS,
    MAX_LEG_WEIGHT,
    MAX_LIMIT,
    MAX_PARTS,
    MAX_URL_CHARS,
    Crop,
    Fusion,
    ImagePart,
    ItemPart,
    LegWeights,
    Mode,
    Query,
    QueryPart,
    Strategy,
    TextPart,
    TokenPart,
    UrlPart,
    VectorPart,
)


class PartIn(Strict):
    """One part of a query: exactly one of text, image, image_url, item, vector, token."""

    text: str | None = Field(None, description="Words.", examples=["red shoe"])
    image: str | None = Field(None, description="A picture: base64, or a base64 data URI.")
    image_url: str | None = Field(
        None,
        description="A picture's http(s) URL, where the gateway is set to fetch them.",
        max_length=MAX_URL_CHARS,
    )
    item: str | None = Field(None, description="An item's id: more like this.")
    vector: list[float] | None = Field(None, description="A raw vector of the active release.")
    token: str | None = Field(
        None, description="The query_token of an earlier answer: the same query again."
    )
    weight: float = Field(1.0, allow_inf_nan=False, description="Negative: less like this.")
    crop: tuple[float, float, float, float] | None = Field(
        None, description="With a picture: left, top, right, bottom as fractions from 0 to 1."
    )

    @model_validator(mode="after")
    def _one_kind(self) -> PartIn:
        kinds = ("text", "image", "image_url", "item", "vector", "token")
        given = [kind for kind in kinds if getattr(self, kind) is not None]
        if len(given) != 1:
            raise ValueError(f"give exactly one of {', '.join(kinds)}")
        if self.crop is not None and self.image is None and self.image_url is None:
            raise ValueError("crop goes with image or image_url")
        return self

    def to_domain(self, at: str) -> QueryPart:
        """The part as the domain knows it; InvalidQuery if the image is not base64."""
        if self.text is not None:
            return TextPart(self.text, self.weight)
        if self.item is not None:
            return ItemPart(self.item, self.weight)
        if self.vector is not None:
            return VectorPart(tuple(self.vector), self.weight)
        if self.token is not None:
            return TokenPart(self.token, self.weight)
        crop = None if self.crop is None else Crop(*self.crop)
        if self.image_url is not None:
            return UrlPart(self.image_url, self.weight, crop)
        return ImagePart(picture_bytes(self.image or "", f"{at}.image"), self.weight, crop)


class WeightsIn(Strict):
    """What each leg's ranks count in fusion; 0 leaves a leg out."""

    vector: float = Field(1.0, ge=0, le=MAX_LEG_WEIGHT)
    text: float = Field(1.0, ge=0, le=MAX_LEG_WEIGHT)

    def to_domain(self) -> LegWeights:
        """The weights as the domain knows them."""
        return LegWeights(self.vector, self.text)


class OptionsIn(Strict):
    """Everything of a search but what is looked for."""

    mode: Mode = Mode.AUTO
    filter: FilterIn | None = None
    limit: int = Field(20, ge=1, le=MAX_LIMIT)
    offset: int = Field(0, ge=0)
    min_score: float | None = Field(
        None, ge=-1, le=1, description="Least cosine of a hit to the query's vector."
    )
    fields: list[str] | None = Field(None, description="Item fields to return; all if unset.")
    fusion: Fusion = Field(
        Fusion.RRF, description="How words and vectors become one ranking in mode hybrid."
    )
    weights: WeightsIn | None = Field(
        None, description="What each counts, with fusion rrf; the gateway's own if unset."
    )
    strategy: Strategy = Field(
        Strategy.WEIGHTED_SUM, description="How several parts become one search among vectors."
    )
    rescore: bool = Field(False, description="Order the candidates by their exact cosine.")
    diversity: float = Field(
        0.0, ge=0, le=1, description="0: by likeness. Up to 1: unlike the hits above it."
    )
    boosts: list[BoostIn] = Field(
        default=[], max_length=MAX_BOOSTS, description="What else moves an item up."
    )
    group_by: str | None = Field(
        None, description="A field: one hit for each of its values. Unset: one for each item."
    )

    facets: list[str] = Field(
        default=[],
        max_length=MAX_FACETS,
        description="Fields whose values are counted over the items of the best 1,024 pictures.",
    )

    scores: bool = Field(
        False, description="Whether each hit carries `scores`: the item's in each leg."
    )

    return_query: bool = Field(
        False, description="Whether the answer carries query_token, to send the query again by."
    )

    def query_of(self, parts: tuple[QueryPart, ...]) -> Query:
        """These options on `parts`, as the domain knows them."""
        return Query(
            parts=parts,
            mode=self.mode,
            filter=None if self.filter is None else self.filter.to_domain(),
            limit=self.limit,
            offset=self.offset,
            min_score=self.min_score,
            fields=None if self.fields is None else tuple(self.fields),
            fusion=self.fusion,
            weights=None if self.weights is None else self.weights.to_domain(),
            strategy=self.strategy,
            rescore=self.rescore,
            diversity=self.diversity,
            boosts=tuple(boost.to_domain() for boost in self.boosts),
            group_by=self.group_by,
            facets=tuple(self.facets),
            scores=self.scores,
            return_query=self.return_query,
        )


class SearchIn(OptionsIn):
    """One search."""

    query: list[PartIn] = Field(min_length=1, max_length=MAX_PARTS)

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "query": [{"text": "red shoe"}],
                    "filter": {"must": [{"key": "price", "range": {"lte": 80}}]},
                    "limit": 5,
                },
                {
                    "query": [{"text": "shoe"}, {"text": "red", "weight": -0.5}],
                    "fusion": "dbsf",
                    "boosts": [
                        {
                            "kind": "proximity",
                            "field": "price",
                            "weight": 0.3,
                            "target": 60,
                            "scale": 20,
                        }
                    ],
                    "facets": ["category", "brand"],
                    "return_query": True,
                },
                {
                    "query": [{"text": "hat"}],
                    "mode": "vector",
                    "diversity": 0.3,
                    "group_by": "brand",
                    "fields": ["title", "price"],
                },
            ]
        }
    )

    def to_domain(self) -> Query:
        """The query as the domain knows it; InvalidQuery for an image that is not base64."""
        return self.query_of(tuple(p.to_domain(f"query[{n}]") for n, p in enumerate(self.query)))
