"""The admin calls of a running gateway, over its HTTP API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import httpx

from gateway.domain.errors import (
    BackendUnavailable,
    Conflict,
    InvalidQuery,
    LookalikeError,
    NotFound,
    Unauthorized,
)

# An activation compares whole collections, a retirement waits for searches under way.
TIMEOUT_S = 600.0

_MEANINGS: Mapping[int, type[LookalikeError]] = {
    401: Unauthorized,
    403: Unauthorized,
    404: NotFound,
    409: Conflict,
    422: InvalidQuery,
}


class AdminApi:
    """A gateway at `url`. Raises what the gateway says, and BackendUnavailable without one."""

    def __init__(self, url: str, key: str | None) -> None:
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        self._client = httpx.Client(base_url=url, headers=headers, timeout=TIMEOUT_S)

    def close(self) -> None:
        """Lets go of the connection."""
        self._client.close()

    def get(self, path: str) -> dict[str, Any]:
        """What stands at `/v1/releases{path}`."""
        return self._call("GET", path, None)

    def post(self, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The answer to `body`."""
        return self._call("POST", path, body or {})

    def put(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to `body`."""
        return self._call("PUT", path, body)

    def delete(self, path: str) -> None:
        """Deletes what stands there."""
        self._call("DELETE", path, None)

    def _call(self, verb: str, path: str, body: Mapping[str, Any] | None) -> dict[str, Any]:
        where = self._client.base_url
        try:
            response = self._client.request(verb, f"/v1/releases{path}", json=body)
            answer: dict[str, Any] = response.json() if response.content else {}
        except (httpx.HTTPError, httpx.InvalidURL) as exc:
            raise BackendUnavailable(
                f"No gateway answers at {where}: {exc or type(exc).__name__}. Start one with "
                "`lookalike serve`, or say where it is with --gateway."
            ) from exc
        except ValueError as exc:
            raise BackendUnavailable(f"{where} is no Lookalike gateway.") from exc
        if response.is_success:
            return answer
        detail = str(answer.get("detail", f"status {response.status_code}"))
        kind = _MEANINGS.get(response.status_code)
        if kind is not None:
            raise kind(detail)
        raise BackendUnavailable(detail)


def path_of(release_id: str, rest: str = "") -> str:
    """The path of a release's resource."""
    return f"/{quote(release_id, safe='')}{rest}"
