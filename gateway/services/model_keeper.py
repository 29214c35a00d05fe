"""The towers of every kept release loaded on every Triton, also after one of them was restarted."""

from __future__ import annotations

import asyncio
import logging

from gateway.domain.errors import BackendUnavailable
from gateway.domain.ports import ModelControl
from gateway.services.active_release import ActiveReleases

log = logging.getLogger(__name__)

INTERVAL_S = 10.0


class ModelKeeper:
    """Loads what is missing. What is there costs one small question to each server."""

    def __init__(self, releases: ActiveReleases, control: ModelControl) -> None:
        self._releases = releases
        self._control = control
        self._complaint: str | None = None

    async def follow(self) -> None:
        """Keeps the towers loaded until cancelled."""
        while True:
            await self.ensure()
            await asyncio.sleep(INTERVAL_S)

    async def ensure(self) -> None:
        """Loads the missing towers now. What cannot be loaded is logged, once for each reason:
        searches and readiness meet it themselves."""
        models = [m for kept in self._releases.all_kept() for m in kept.loaded.release.models]
        try:
            await self._control.load(models)
            self._complaint = None
        except BackendUnavailable as exc:
            if exc.detail != self._complaint:
                log.warning("%s", exc.detail)
            self._complaint = exc.detail
