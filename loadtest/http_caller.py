"""Requests over HTTP, as a storefront sends them."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote, urlencode

from loadtest.answers import ALWAYS_FINDS, EMPTY, NOT_WRITTEN, Answer
from loadtest.record import ANSWERED, REFUSED
from loadtest.workload import Ask, Kind

LIMIT = 20
_BOUNDARY = "lookalike-load-test"
_MULTIPART = f"multipart/form-data; boundary={_BOUNDARY}"
_JSON = "application/json"


class HttpCaller:
    """Sends requests through locust's `FastHttpSession`."""

    protocol = "HTTP"

    def __init__(self, session: Any, timeout_s: float, api_key: str) -> None:  # noqa: ANN401 - locust's session has no types here
        self._session = session
        self._headers = {"X-Timeout-Ms": str(max(1, round(timeout_s * 1000)))}
        if api_key:
            self._headers["Authorization"] = f"Bearer {api_key}"

    def send(self, ask: Ask) -> Answer:
        """See the protocol."""
        method, path, body, content_type = request_of(ask)
        headers = {**self._headers, "Content-Type": content_type} if body else self._headers
        # catch_response without a `with` block: locust counts nothing, since its own time would
        # begin when the request is sent, not when it was due.
        response = self._session.request(
            method, path, data=body, headers=headers, catch_response=True
        )
        content: bytes = response.content or b""
        return Answer(outcome_of(ask.kind, response.status_code, content), len(content))


def request_of(ask: Ask) -> tuple[str, str, bytes | None, str]:
    """Method, path, body and the body's type."""
    match ask.kind:
        case Kind.IMAGE | Kind.HYBRID:
            return "POST", "/v1/search/image", _form(ask), _MULTIPART
        case Kind.TEXT:
            query = urlencode({"q": ask.text, "limit": LIMIT})
            return "GET", f"/v1/search?{query}", None, ""
        case Kind.FILTERED:
            body = {"query": [{"text": ask.text}], "filter": ask.filter, "limit": LIMIT}
            return "POST", "/v1/search", json.dumps(body).encode(), _JSON
        case Kind.SIMILAR:
            assert ask.item is not None
            path = f"/v1/items/{quote(ask.item.id, safe='')}/similar?limit={LIMIT}"
            return "GET", path, None, ""
        case Kind.UPSERT:
            assert ask.item is not None
            item = {
                "title": ask.item.title,
                "pictures": [ask.item.picture],
                "category": ask.item.category,
                "brand": ask.item.brand,
            }
            return "PUT", f"/v1/items/{ask.own_id}", json.dumps(item).encode(), _JSON


def outcome_of(kind: Kind, status: int, content: bytes) -> str:
    """What a response means. Answers are looked at, but not parsed: the generator needs its CPU."""
    if status == 429:
        return REFUSED
    if status == 0:
        return "no connection"
    if status != 200:
        return f"HTTP {status}"
    if kind in ALWAYS_FINDS and b'"hits":[{' not in content:
        return EMPTY
    if kind is Kind.UPSERT and b'"status":"indexed"' not in content:
        return NOT_WRITTEN
    return ANSWERED


def _form(ask: Ask) -> bytes:
    assert ask.picture is not None
    fields = {"limit": str(LIMIT)} | ({"text": ask.text} if ask.text else {})
    parts = [
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    parts.append(
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="photo.jpg"\r\n'
        "Content-Type: image/jpeg\r\n\r\n"
    )
    head = "".join(parts).encode()
    return b"".join((head, ask.picture.read_bytes(), f"\r\n--{_BOUNDARY}--\r\n".encode()))
