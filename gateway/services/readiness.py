"""Ready means: this gateway would answer a search rightly now."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

from gateway.domain.deadline import Deadline
from gateway.domain.errors import LookalikeError, SpaceMismatch
from gateway.domain.loaded_release import LoadedRelease
from gateway.domain.ports import CatalogIndex, Inference
from gateway.services.active_release import ActiveReleases, check_space
from gateway.services.verification import verify
from gateway.telemetry import Metrics

log = logging.getLogger(__name__)

CHECK_TIMEOUT_S = 2.0
# Probes come every few seconds from every balancer; the model need not prove itself to each.
PROOF_VALID_S = 5.0


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether to send searches here, and if not, why not."""

    ready: bool
    release: str | None
    reason: str | None


class ReadinessCheck:
    """Checks the store, the guard between model and collection, and one golden input per tower."""

    def __init__(
        self,
        releases: ActiveReleases,
        inference: Inference,
        index: CatalogIndex,
        metrics: Metrics,
    ) -> None:
        self._releases = releases
        self._inference = inference
        self._index = index
        self._metrics = metrics
        self._latest: Readiness | None = None
        self._proven: tuple[str, float] | None = None  # fingerprint, monotonic seconds
        self._draining = False

    def drain(self) -> None:
        """From now on: not ready, so that balancers look elsewhere."""
        self._draining = True

    @property
    def draining(self) -> bool:
        """Whether this gateway is on its way out, and its clients should look elsewhere."""
        return self._draining

    async def check(self) -> Readiness:
        """Never raises for a backend's fault: that is what it reports."""
        if self._draining:
            return self._found(Readiness(False, None, "The gateway is shutting down."))
        try:
            active = self._releases.active()
            info = await self._index.describe(active.collection.name)
            if info is None:
                return self._found(Readiness(False, active.id, "The active collection is gone."))
            check_space(active.loaded, info)
            await self._prove(active.loaded)
        except LookalikeError as exc:
            mismatch = isinstance(exc, SpaceMismatch)
            return self._found(Readiness(False, None, exc.detail), mismatch)
        return self._found(Readiness(True, active.id, None))

    def _found(self, now: Readiness, mismatch: bool = False) -> Readiness:
        self._metrics.ready.set(now.ready)
        self._metrics.space_mismatch.set(mismatch)
        if now != self._latest:
            level = logging.INFO if now.ready or self._draining else logging.WARNING
            log.log(level, "%s", "ready" if now.ready else f"not ready: {now.reason}")
        self._latest = now
        return now

    async def _prove(self, loaded: LoadedRelease) -> None:
        fingerprint = loaded.release.fingerprint
        if self._proven is not None:
            proven, at_s = self._proven
            if proven == fingerprint and time.monotonic() - at_s < PROOF_VALID_S:
                return
        self._proven = None
        parity = await verify(self._inference, loaded, Deadline.after(CHECK_TIMEOUT_S), most=1)
        if not parity.passed:
            raise LookalikeError(
                f"Triton's vectors are not those of release {parity.release}: cosine "
                f"{min(parity.image.least, parity.text.least):.4f} to PyTorch's."
            )
        self._proven = (fingerprint, time.monotonic())
