"""Boosts as they travel, and their translation to the domain."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from gateway.api.schemas import Strict
from gateway.domain import boosts
from gateway.domain.query import MAX_BOOST_WEIGHT, MAX_HALF_LIFE_DAYS, MAX_SCALE


class _BoostIn(Strict):
    field: str = Field(description="A field that can be filtered.", examples=["attributes.sold"])
    weight: float = Field(
        ge=-MAX_BOOST_WEIGHT,
        le=MAX_BOOST_WEIGHT,
        description="The share of the score that a full signal adds; negative takes away.",
    )


class FlagIn(_BoostIn):
    """Adds `weight` of the score where a boolean is true: in stock, say."""

    kind: Literal["flag"]

    def to_domain(self) -> boosts.Boost:
        """The boost as the domain knows it."""
        return boosts.Flagged(self.field, self.weight)


class PopularityIn(_BoostIn):
    """Adds `weight` · x / (x + scale) of the score for a number x."""

    kind: Literal["popularity"]
    scale: float = Field(gt=0, le=MAX_SCALE, description="The number that is worth half.")

    def to_domain(self) -> boosts.Boost:
        """The boost as the domain knows it."""
        return boosts.Popular(self.field, self.weight, self.scale)


class FreshnessIn(_BoostIn):
    """Adds `weight` · 2^(-age / half_life_days) of the score for a date."""

    kind: Literal["freshness"]
    half_life_days: float = Field(
        gt=0, le=MAX_HALF_LIFE_DAYS, description="The age in days that is worth half."
    )

    def to_domain(self) -> boosts.Boost:
        """The boost as the domain knows it."""
        return boosts.Fresh(self.field, self.weight, self.half_life_days)


class ProximityIn(_BoostIn):
    """Adds `weight` · 2^(-((x - target) / scale)²) of the score for a number x, such as a price."""

    kind: Literal["proximity"]
    target: float = Field(ge=-MAX_SCALE, le=MAX_SCALE, description="The number that is best.")
    scale: float = Field(gt=0, le=MAX_SCALE, description="The distance that is worth half.")

    def to_domain(self) -> boosts.Boost:
        """The boost as the domain knows it."""
        return boosts.Near(self.field, self.weight, self.target, self.scale)


BoostIn = Annotated[FlagIn | PopularityIn | FreshnessIn | ProximityIn, Field(discriminator="kind")]
