"""A golden set: queries, and the items that a person would want to see for them."""

from __future__ import annotations

import base64
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

from gateway.domain.errors import InvalidQuery
from gateway.domain.query import ImagePart, Query, QueryPart, TextPart
from gateway.services.query_tokens import has_looks, has_words

T = TypeVar("T")


class QueryKind(StrEnum):
    """What a shopper gave."""

    TEXT = "text"
    IMAGE = "image"
    HYBRID = "hybrid"


@dataclass(frozen=True, slots=True)
class GoldenQuery:
    """One query and its right answers.

    `relevant` maps item ids to grades from 1; higher is better. `variant` says how the query was
    made or where it is from, such as `title` or `typo`. `body` is the query as the API's JSON,
    without the bytes of its pictures, which are in `query`.
    """

    id: str
    kind: QueryKind
    category: str
    variant: str
    relevant: Mapping[str, int]
    query: Query
    body: Mapping[str, Any]

    def request(self) -> dict[str, Any]:
        """The query as the search API takes it, its pictures in base64."""
        parts = []
        for written, part in zip(self.body["query"], self.query.parts, strict=True):
            if isinstance(part, ImagePart):
                parts.append(written | {"image": base64.b64encode(part.data).decode()})
            else:
                parts.append(written)
        return {**self.body, "query": parts}

    def words(self) -> str:
        """The words of the query, for a person to read."""
        return " ".join(p.text for p in self.query.parts if isinstance(p, TextPart))

    def picture(self) -> bytes | None:
        """The first picture of the query, encoded, if it has one."""
        return next((p.data for p in self.query.parts if isinstance(p, ImagePart)), None)


@dataclass(frozen=True, slots=True)
class GoldenSet:
    """The queries that are run, out of `total` in the file `name`."""

    name: str
    total: int
    queries: tuple[GoldenQuery, ...]


def kind_of(parts: Sequence[QueryPart]) -> QueryKind:
    """What the parts are: words, pictures (or items and vectors, which stand for them), or both.

    InvalidQuery if there are none.
    """
    words, looks = has_words(tuple(parts)), has_looks(tuple(parts))
    if words and looks:
        return QueryKind.HYBRID
    if words:
        return QueryKind.TEXT
    if looks:
        return QueryKind.IMAGE
    raise InvalidQuery("The query is empty.", field="query")


def drawn(rows: Sequence[T], most: int, seed: int) -> list[T]:
    """At most `most` of `rows` (all, if 0), drawn by `seed`, in the order of the file."""
    if most == 0 or len(rows) <= most:
        return list(rows)
    chosen = sorted(random.Random(seed).sample(range(len(rows)), most))
    return [rows[number] for number in chosen]


def halves(rows: Sequence[T], seed: int) -> tuple[list[T], list[T]]:
    """Two halves of `rows`, drawn by `seed`: one to tune on, one to report on."""
    order = list(range(len(rows)))
    random.Random(seed).shuffle(order)
    middle = len(rows) // 2
    first, second = sorted(order[:middle]), sorted(order[middle:])
    return [rows[number] for number in first], [rows[number] for number in second]
