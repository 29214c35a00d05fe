"""Who may change releases."""

from __future__ import annotations

import hashlib
import hmac
from typing import Annotated

from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.requests import Request

from gateway.domain.errors import Unauthorized

_bearer = HTTPBearer(auto_error=False, description="The gateway's LOOKALIKE_ADMIN_KEY.")


class AdminKey:
    """The one key; its digest is kept, not the key."""

    def __init__(self, key: str | None) -> None:
        self._digest = None if key is None else _digest(key)

    def check(self, shown: str | None) -> None:
        """Unauthorized unless `shown` is the key. Takes as long for any wrong one."""
        if self._digest is None:
            raise Unauthorized(
                "This gateway answers no admin calls: it was started without LOOKALIKE_ADMIN_KEY."
            )
        if shown is None:
            raise Unauthorized("Send the admin key: `Authorization: Bearer …`.")
        if not hmac.compare_digest(_digest(shown), self._digest):
            raise Unauthorized("That is not the admin key.")


def require_admin(
    request: Request,
    shown: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> None:
    """A dependency of every admin call."""
    key: AdminKey = request.app.state.admin
    key.check(None if shown is None else shown.credentials)


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
