"""What is evaluated: something that answers a golden query."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from gateway.domain.deadline import Deadline
from gateway.domain.query import LegWeights, Mode, SearchResult
from gateway.services.golden_set import GoldenQuery
from gateway.services.retrieval_metrics import DEPTH
from gateway.services.search import SearchService

# A first request may wait for a model to warm up.
QUERY_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Method:
    """How the queries are run. `mode` None: as each query says; `weights` None: as the gateway is
    set; `rescore`: with the second stage, also where the query does not ask for it."""

    name: str
    mode: Mode | None = None
    weights: LegWeights | None = None
    rescore: bool = False


AS_ASKED = Method("as asked")


class Subject(Protocol):
    """One release, as a storefront would meet it."""

    @property
    def release(self) -> str:
        """The release's id."""
        ...

    async def search(self, golden: GoldenQuery, method: Method) -> SearchResult:
        """The first DEPTH items for a query.

        Raises InvalidQuery for a query that cannot be answered, and what the backends raise.
        """
        ...

    async def item(self, item_id: str) -> Mapping[str, Any]:
        """An item's fields; NotFound if the catalogue does not have it."""
        ...


class ReleaseInProcess:
    """A release searched by the production service in this process."""

    def __init__(self, release: str, service: SearchService) -> None:
        self.release = release
        self.service = service

    async def search(self, golden: GoldenQuery, method: Method) -> SearchResult:
        """See `Subject`."""
        query = replace(
            golden.query,
            mode=golden.query.mode if method.mode is None else method.mode,
            weights=method.weights,
            rescore=method.rescore or golden.query.rescore,
            limit=DEPTH,
            offset=0,
            fields=("title",),
        )
        return await self.service.search(query, Deadline.after(QUERY_TIMEOUT_S))

    async def item(self, item_id: str) -> Mapping[str, Any]:
        """See `Subject`."""
        return await self.service.item(item_id, Deadline.after(QUERY_TIMEOUT_S))
