"""A gateway that is running already, as what is evaluated: its public HTTP API and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn
from urllib.parse import quote

import httpx

from gateway.domain.errors import (
    BackendUnavailable,
    InvalidQuery,
    NotFound,
    Overloaded,
    SpaceMismatch,
    StartupProblem,
    Unauthorized,
)
from gateway.domain.query import Hit, Mode, SearchResult
from gateway.services.golden_set import GoldenQuery
from gateway.services.retrieval_metrics import DEPTH
from gateway.services.subject import QUERY_TIMEOUT_S, Method

# How the API names its own answer to an unknown item; another server's 404 does not say this.
NOT_FOUND_TYPE = "urn:lookalike:not-found"
LAST_PORT = 65_535


def gateway_url(text: str) -> str:
    """`text`, if it is the address of an HTTP server; StartupProblem otherwise."""
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL as exc:
        raise StartupProblem(f"{text} is no address: {exc}.") from exc
    if url.scheme not in ("http", "https") or not url.host or (url.port or 0) > LAST_PORT:
        raise StartupProblem(f"{text} is no address of a gateway: write http://HOST:PORT.")
    return text


class RemoteGateway:
    """A release that a gateway keeps in step, whether it is the active one or not. The gateway's
    URL is the client's base URL."""

    def __init__(self, release: str, client: httpx.AsyncClient) -> None:
        self.release = release
        self._client = client

    async def check(self) -> None:
        """Raises BackendUnavailable if there is no gateway or no release is active, NotFound if
        this one has no collection there."""
        answer = await self._call("GET", "/v1/search?q=check&mode=text&limit=1", None)
        self._require_release(self._member(answer, "release"))

    async def search(self, golden: GoldenQuery, method: Method) -> SearchResult:
        """See `Subject`. NotFound if the gateway does not keep the release any more."""
        body = golden.request() | {"limit": DEPTH, "offset": 0, "fields": ["title"]}
        if method.mode is not None:
            body["mode"] = str(method.mode)
        if method.weights is not None:
            body["weights"] = {"vector": method.weights.dense, "text": method.weights.lexical}
        if method.rescore:
            body["rescore"] = True
        answer = await self._call("POST", "/v1/search", body)
        self._require_release(self._member(answer, "release"))
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
        answer = await self._call("GET", f"/v1/items/{quote(item_id, safe='')}", None)
        self._member(answer, "id")
        return answer

    async def _call(self, verb: str, path: str, body: Mapping[str, Any] | None) -> dict[str, Any]:
        headers = {"X-Timeout-Ms": str(int(QUERY_TIMEOUT_S * 1000)), "X-Release": self.release}
        try:
            response = await self._client.request(
                verb, path, json=body, headers=headers, timeout=QUERY_TIMEOUT_S
            )
        except httpx.HTTPError as exc:
            reason = str(exc).rstrip(".") or type(exc).__name__
            raise BackendUnavailable(f"{self._url} cannot be reached: {reason}.") from exc
        try:
            answer = response.json()
        except ValueError as exc:
            raise self._no_gateway("its answer is no JSON") from exc
        if not isinstance(answer, dict):
            raise self._no_gateway("its answer is no JSON object")
        if response.status_code == httpx.codes.OK:
            return answer
        self._refuse(response, answer)

    def _refuse(self, response: httpx.Response, problem: Mapping[str, Any]) -> NoReturn:
        """The gateway's problem as the error that it was there."""
        detail = str(problem.get("detail", f"status {response.status_code}"))
        match response.status_code:
            case httpx.codes.NOT_FOUND if problem.get("type") == NOT_FOUND_TYPE:
                raise NotFound(detail)
            case httpx.codes.NOT_FOUND:
                raise self._no_gateway(detail.rstrip("."))
            case httpx.codes.UNAUTHORIZED | httpx.codes.FORBIDDEN:
                raise Unauthorized(detail)
            case httpx.codes.UNPROCESSABLE_ENTITY | httpx.codes.REQUEST_ENTITY_TOO_LARGE:
                raise InvalidQuery(detail)
            case httpx.codes.TOO_MANY_REQUESTS:
                wait_s = response.headers.get("Retry-After", "")
                raise Overloaded(detail, retry_after_s=float(wait_s) if wait_s.isdigit() else 1.0)
            case _:
                raise BackendUnavailable(f"{self._url} says: {detail}")

    def _require_release(self, found: str) -> None:
        if found != self.release:
            raise SpaceMismatch(
                f"{self._url} answers with release {found}, not with {self.release} as it was "
                "asked to: is it older than this command?"
            )

    def _member(self, answer: Mapping[str, Any], name: str) -> str:
        if name not in answer:
            raise self._no_gateway(f"its answer has no {name!r}")
        return str(answer[name])

    def _no_gateway(self, why: str) -> BackendUnavailable:
        return BackendUnavailable(f"{self._url} is no Lookalike gateway: {why}.")

    @property
    def _url(self) -> str:
        return str(self._client.base_url).rstrip("/")
