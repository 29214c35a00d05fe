"""All services of one gateway process, as the edges call them."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.services.active_release import ActiveReleases
from gateway.services.catalog import CatalogService
from gateway.services.item_pictures import ItemPictures
from gateway.services.readiness import ReadinessCheck
from gateway.services.release_lifecycle import ReleaseLifecycle
from gateway.services.search import SearchService
from gateway.services.shadow import Shadow
from gateway.telemetry import Metrics
from gateway.telemetry.tracing import NO_TRACES, Tracer


@dataclass(frozen=True, slots=True)
class Gateway:
    """Assembled by `gateway.bootstrap`, or by a test with fakes behind the ports."""

    search: SearchService
    catalog: CatalogService
    pictures: ItemPictures
    releases: ActiveReleases
    readiness: ReadinessCheck
    lifecycle: ReleaseLifecycle
    shadow: Shadow
    metrics: Metrics
    timeouts: Timeouts
    tracer: Tracer = NO_TRACES


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds that a request has: if it names none, at most, and the same for a write (which
    embeds, and may be a stream of items)."""

    default_s: float = 2.0
    most_s: float = 30.0
    write_s: float = 30.0
    write_most_s: float = 3_600.0
