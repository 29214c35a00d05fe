"""A small shop on the real edge store and the toy model, for tests of services and edges."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from gateway.adapters.bm25 import Bm25Model
from gateway.adapters.qdrant_edge import EdgeIndex
from gateway.adapters.query_pictures import QueryPictures
from gateway.api.http_api import create_app
from gateway.domain.access import Key, Scope
from gateway.domain.deadline import Deadline
from gateway.domain.items import Item, Location
from gateway.domain.loaded_release import LoadedRelease
from gateway.domain.payload import attribute_fields
from gateway.domain.ports import CatalogIndex
from gateway.domain.query import Query, SearchResult
from gateway.preprocess.image import PictureLimits
from gateway.services.access import Access
from gateway.services.active_release import ActiveRelease, ActiveReleases, PinnedRelease
from gateway.services.admission import Admission
from gateway.services.catalog import CatalogService
from gateway.services.encoder import Encoder, TextVectorCache
from gateway.services.gateway import Gateway, Timeouts
from gateway.services.indexing import Indexing
from gateway.services.item_pictures import ItemPictures
from gateway.services.item_writer import ItemWriter
from gateway.services.part_vectors import PartVectors
from gateway.services.readiness import ReadinessCheck
from gateway.services.release_build import ReleaseBuild
from gateway.services.release_lifecycle import ReleaseLifecycle
from gateway.services.search import SearchService
from gateway.services.shadow import Shadow
from gateway.services.towers import Towers
from gateway.telemetry import Metrics
from tests.fakes import (
    COLOURS,
    ColourFiles,
    ColourInference,
    ColourModels,
    MemoryPictures,
    colour_release,
    picture,
)

LIMITS = PictureLimits(max_bytes=200_000, max_pixels=4_000_000)
MAX_IN_FLIGHT = 4
ADMIN_KEY = "the shop's admin key"

BERLIN, PARIS = Location(52.52, 13.405), Location(48.8566, 2.3522)
ITEMS = (
    Item("red-shoe", "Red shoe", ("red.png",), "For running", "shoes", "Arbor", 50.0,
         {"size": (40, 41), "new": True, "material": "leather", "sold": 5,
          "added": "2026-03-01T00:00:00Z"}, BERLIN),
    Item("green-shoe", "Green shoe", ("green.png",), "", "shoes", "Bluefinch", 70.0,
         {"size": (42,), "new": False, "material": "canvas", "sold": 500,
          "added": "2020-01-01T12:00:00+02:00"}, PARIS),
    Item("blue-hat", "Blue hat", ("blue.png",), "", "hats", "Arbor", 20.0, {"new": False}),
    Item("yellow-hat", "Yellow hat", ("yellow.png", "red.png"), "", "hats", "Fernway", 30.0),
    Item("white-shirt", "White shirt", ("white.png",), "", "shirts", "Fernway", 35.5),
)  # fmt: skip


@dataclass(frozen=True)
class Shop:
    """The shop's parts, for a test to use and to break."""

    gateway: Gateway
    indexing: Indexing
    index: CatalogIndex
    inference: ColourInference
    pictures: MemoryPictures
    http: httpx.AsyncClient
    control: ColourModels


@asynccontextmanager
async def open_shop(
    folder: Path,
    items: Sequence[Item] = (),
    release_id: str = "colours-v1",
    load: Callable[[str], LoadedRelease] = colour_release,
) -> AsyncIterator[Shop]:
    """A shop on an index folder, behind HTTP without a network; `items` are indexed first."""
    index = EdgeIndex.open(folder)
    async with shop_on(index, items, release_id, load) as shop:
        yield shop
    await index.close()


@asynccontextmanager
async def shop_on(
    index: CatalogIndex,
    items: Sequence[Item] = (),
    release_id: str = "colours-v1",
    load: Callable[[str], LoadedRelease] = colour_release,
) -> AsyncIterator[Shop]:
    """The same on a store of the caller's, who closes it."""
    metrics = Metrics()
    inference = ColourInference()
    pictures = MemoryPictures({f"{name}.png": picture(name) for name in COLOURS})
    with ThreadPoolExecutor(2) as workers:
        encoder = Encoder(inference, LIMITS, workers, TextVectorCache(100, metrics))
        lexical = Bm25Model()
        releases = ActiveReleases(index, load, metrics)
        writer = ItemWriter(index, encoder, lexical)
        catalog = CatalogService(writer, pictures, releases, metrics)
        admission = Admission(MAX_IN_FLIGHT, metrics)
        named = QueryPictures(LIMITS.max_bytes, allowed=("127.0.0.1/32",))
        vectors = PartVectors(encoder, index, named)
        control = ColourModels()
        towers = Towers(inference, control)
        build = ReleaseBuild(index, releases, writer, pictures, towers)

        async def ask(query: Query, by: ActiveRelease, deadline: Deadline) -> SearchResult:
            room = Admission(MAX_IN_FLIGHT, Metrics())
            asked = SearchService(PinnedRelease(by), vectors, index, lexical, room)
            return await asked.search(query, deadline)

        shadow = Shadow(releases, ask, metrics)

        lifecycle = ReleaseLifecycle(index, releases, ColourFiles(load), build, towers, grace_s=0.0)
        gateway = Gateway(
            search=SearchService(
                releases, vectors, index, lexical, admission, observe=shadow.observe
            ),
            catalog=catalog,
            pictures=ItemPictures(releases, index, pictures, LIMITS, workers),
            releases=releases,
            readiness=ReadinessCheck(releases, inference, index, metrics),
            lifecycle=lifecycle,
            shadow=shadow,
            metrics=metrics,
            timeouts=Timeouts(),
        )
        indexing = Indexing(index, releases, catalog, towers)
        if items:
            await indexing.run(release_id, items, attribute_fields(items), lambda _: None)
        await releases.refresh()
        # raise_app_exceptions=False: an unexpected exception must become a 500, as on a server.
        app = create_app(gateway, LIMITS.max_bytes, Access((Key.of(ADMIN_KEY, Scope.ADMIN),)))
        transport = httpx.ASGITransport(app, False)
        async with httpx.AsyncClient(transport=transport, base_url="http://shop") as http:
            yield Shop(gateway, indexing, index, inference, pictures, http, control)
        await catalog.close()
        await shadow.close()
        await lifecycle.close()
        await named.close()
