"""A gateway that is running already, as what is evaluated: its public HTTP API and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import httpx

from gateway.domain.errors import (
    BackendUnavailable,
    InvalidQuery,
    NotFound,
    SpaceMismatch,
    StartupProblem,
    Unauthorized,
)
from gateway.domain.query import Hit, Mode, SearchResult
from gateway.services.golden_set import GoldenQuery
from gateway.services.retrieval_metrics import DEPTH
from gateway.services.subject import QUERY_TIMEOUT_S, Method


class RemoteGateway:
    """The release that a gateway answers with. Its URL is the client's base URL."""

    def __init__(self, release: str, client: httpx.AsyncClient) -> None:
        self.release = release
        self._client = client

    async def search(self, golden: GoldenQuery, method: Method) -> SearchResult:
        """See `Subject`. SpaceMismatch if another release answers than the one evaluated."""
        if method.weights is not None:
            raise StartupProblem("A gateway's fusion weights cannot be set from outside.")
        body = golden.request() | {"limit": DEPTH, "offset": 0, "fields": ["title"]}
        if method.mode is not None:
            body["mode"] = str(method.mode)
        answer = await self._call("POST", "/v1/search", body)
        if answer["release"] != self.release:
            raise SpaceMismatch(
                f"{self._client.base_url} answers with release {answer['release']}, not with "
                f"{self.release}: activate it there first."
            )
        return SearchResult(
            hits=tuple(
                Hit(hit["id"], hit["score"], hit["picture"], hit["item"]) for hit in answer["hits"]
            ),
            release=answer["release"],
            mode=Mode(answer["mode"]),
            timings=answer["timings"],
        )

    async def item(self, item_id: str) -> Mapping[str, Any]:
        """See `Subject`."""
        return await self._call("GET", f"/v1/items/{quote(item_id, safe='')}", None)

    async def _call(self, verb: str, path: str, body: Mapping[str, Any] | None) -> dict[str, Any]:
        headers = {"X-Timeout-Ms": str(int(QUERY_TIMEOUT_S * 1000))}
        try:
            response = await self._client.request(
                verb, path, json=body, headers=headers, timeout=QUERY_TIMEOUT_S
            )
            answer: dict[str, Any] = response.json()
        except (httpx.HTTPError, httpx.InvalidURL) as exc:
            raise BackendUnavailable(
                f"{self._client.base_url} cannot be reached: {exc or type(exc).__name__}."
            ) from exc
        except ValueError as exc:
            raise BackendUnavailable(
                f"{self._client.base_url} is no Lookalike gateway: its answer is no JSON."
            ) from exc
        if response.status_code == httpx.codes.OK:
            return answer
        detail = str(answer.get("detail", f"status {response.status_code}"))
        match response.status_code:
            case httpx.codes.NOT_FOUND:
                raise NotFound(detail)
            case httpx.codes.UNAUTHORIZED | httpx.codes.FORBIDDEN:
                raise Unauthorized(detail)
            case httpx.codes.UNPROCESSABLE_ENTITY | httpx.codes.REQUEST_ENTITY_TOO_LARGE:
                raise InvalidQuery(detail)
            case _:
                raise BackendUnavailable(f"{self._client.base_url} says: {detail}")
