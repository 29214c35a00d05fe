"""The one composition root: settings in, a running set of services out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass

import httpx
from pydantic import SecretStr

from gateway.adapters.bm25 import Bm25Model
from gateway.adapters.picture_source import PictureFiles
from gateway.adapters.qdrant_edge import EdgeIndex
from gateway.adapters.query_pictures import NoQueryPictures, QueryPictures
from gateway.adapters.release_files import RepositoryFiles, list_releases, load_release
from gateway.adapters.triton import TritonInference
from gateway.adapters.triton_control import TritonModels
from gateway.domain.deadline import Deadline
from gateway.domain.errors import StartupProblem
from gateway.domain.loaded_release import LoadedRelease
from gateway.domain.ports import CatalogIndex, Inference, LexicalModel, PictureSource, Priority
from gateway.domain.query import LegWeights, Query, SearchResult
from gateway.preprocess.image import PictureLimits
from gateway.services.active_release import (
    ActiveRelease,
    ActiveReleases,
    AnsweringRelease,
    PinnedRelease,
)
from gateway.services.admission import Admission
from gateway.services.catalog import CatalogService
from gateway.services.encoder import Encoder, TextVectorCache
from gateway.services.gateway import Gateway, Timeouts
from gateway.services.index_drift import IndexDrift
from gateway.services.indexing import Indexing
from gateway.services.item_pictures import ItemPictures
from gateway.services.item_writer import ItemWriter
from gateway.services.model_keeper import ModelKeeper
from gateway.services.part_vectors import PartVectors
from gateway.services.pixel_room import PixelRoom
from gateway.services.readiness import ReadinessCheck
from gateway.services.release_build import ReleaseBuild
from gateway.services.release_lifecycle import ReleaseLifecycle
from gateway.services.remembered_inference import RememberedInference
from gateway.services.search import Observer, SearchService, WithoutModel
from gateway.services.shadow import MOST_AT_ONCE, Shadow
from gateway.services.towers import Towers
from gateway.settings import Settings, Store
from gateway.telemetry import Metrics
from gateway.telemetry.tracing import NO_TRACES, Tracer

# The share of a request's time that it may wait for others. A quarter keeps a model's batches full
# at ten requests a second and more, and answers in time where many texts need no model.
WAIT = 0.25


@dataclass(frozen=True, slots=True)
class Assembly:
    """The services, and below them what commands of the CLI use directly."""

    gateway: Gateway
    indexing: Indexing
    index: CatalogIndex
    towers: Towers
    inference: Inference
    pinned: Callable[[str], Awaitable[SearchService]]
    """Search by a release that need not be the active one; the towers are asked once an input."""


@dataclass(frozen=True, slots=True)
class _Searches:
    """What all search services of a process share."""

    index: CatalogIndex
    lexical: LexicalModel
    weights: LegWeights
    named: PictureSource

    def by(
        self,
        releases: AnsweringRelease,
        encoder: Encoder,
        admission: Admission,
        observe: Observer | None = None,
        without_model: WithoutModel = WithoutModel.REFUSE,
    ) -> SearchService:
        """One that answers by `releases`."""
        vectors = PartVectors(encoder, self.index, self.named)
        return SearchService(
            releases,
            vectors,
            self.index,
            self.lexical,
            admission,
            self.weights,
            observe,
            without_model,
        )


@asynccontextmanager
async def assemble(settings: Settings) -> AsyncIterator[Assembly]:
    """Everything wired and running, on this event loop; all of it closed at the end.

    Raises StartupProblem when the index folder or the Qdrant client cannot be opened.
    """
    metrics = Metrics()
    async with AsyncExitStack() as stack:
        index = _open_index(settings, metrics)
        stack.push_async_callback(index.close)
        inference = TritonInference(settings.triton, metrics)
        stack.push_async_callback(inference.close)
        metrics.backend_up.labels("triton").set_function(lambda: not inference.away)
        client = await stack.enter_async_context(httpx.AsyncClient(follow_redirects=True))
        workers = ThreadPoolExecutor(settings.decode_threads, thread_name_prefix="decode")
        stack.callback(workers.shutdown, cancel_futures=True)

        def load(release_id: str) -> LoadedRelease:
            return load_release(settings.model_repository, release_id)

        limits = PictureLimits(settings.max_picture_bytes, settings.max_picture_pixels)
        cache = TextVectorCache(settings.text_cache_entries, metrics)
        pixels = PixelRoom(settings.max_pixel_bytes)
        threads = settings.decode_threads
        live, job = Priority.INTERACTIVE, Priority.BULK
        encoder = Encoder(inference, limits, workers, cache, live, pixels, threads)
        lexical = Bm25Model()
        control = TritonModels(settings.triton, _secret(settings.triton_key))
        releases = ActiveReleases(index, load, metrics)
        pictures = PictureFiles(
            settings.pictures_folder,
            client if settings.fetch_pictures else None,
            settings.max_picture_bytes,
        )
        writer = ItemWriter(index, encoder, lexical)
        catalog = CatalogService(writer, pictures, releases, metrics)
        stack.push_async_callback(catalog.close)
        admission = Admission(settings.max_in_flight, metrics, settings.default_timeout_s * WAIT)
        weights = LegWeights(settings.fusion_vector_weight, settings.fusion_text_weight)
        searches = _Searches(index, lexical, weights, _query_pictures(settings, stack))
        remembered = RememberedInference(inference)
        remembering = Encoder(remembered, limits, workers, cache, live, pixels)

        async def pinned(release_id: str) -> SearchService:
            release = PinnedRelease(await releases.built(release_id))
            return searches.by(release, remembering, admission)

        # Copies for a candidate give way to live searches, and count in metrics of their own.
        aside = Metrics()
        bulk = Encoder(inference, limits, workers, TextVectorCache(1, aside), job, pixels)
        room = Admission(MOST_AT_ONCE, aside)

        async def ask(query: Query, candidate: ActiveRelease, deadline: Deadline) -> SearchResult:
            copies = searches.by(PinnedRelease(candidate), bulk, room)
            return await copies.search(query, deadline)

        shadow = Shadow(releases, ask, metrics)
        stack.push_async_callback(shadow.close)

        towers = Towers(inference, control)
        build = ReleaseBuild(index, releases, writer, pictures, towers)
        lifecycle = ReleaseLifecycle(
            index, releases, RepositoryFiles(settings.model_repository), build, towers
        )
        stack.push_async_callback(lifecycle.close)
        gateway = Gateway(
            search=searches.by(
                releases,
                encoder,
                admission,
                shadow.observe,
                WithoutModel.WORDS_ALONE if settings.degrade else WithoutModel.REFUSE,
            ),
            catalog=catalog,
            pictures=ItemPictures(releases, index, pictures, limits, workers),
            releases=releases,
            readiness=ReadinessCheck(releases, inference, index, metrics),
            lifecycle=lifecycle,
            shadow=shadow,
            metrics=metrics,
            timeouts=Timeouts(settings.default_timeout_s, settings.max_timeout_s),
            tracer=_traces(settings, stack),
        )
        await releases.refresh()
        drift = IndexDrift(index, releases, lifecycle, metrics)
        for following in (
            releases.follow(),
            ModelKeeper(releases, control).follow(),
            drift.follow(),
        ):
            stack.push_async_callback(_cancelled, asyncio.create_task(following))
        indexing = Indexing(index, releases, catalog, towers)
        yield Assembly(gateway, indexing, index, towers, inference, pinned)


def only_release(settings: Settings) -> str:
    """The id of the repository's release if it has exactly one; StartupProblem otherwise."""
    ids = list_releases(settings.model_repository)
    if len(ids) == 1:
        return ids[0]
    if not ids:
        raise StartupProblem(
            f"{settings.model_repository} holds no release. Export one with "
            f"`lookalike-export onnx`, or set LOOKALIKE_MODEL_REPOSITORY."
        )
    raise StartupProblem(
        f"{settings.model_repository} holds several releases ({', '.join(ids)}): say which with "
        f"--release."
    )


def _query_pictures(settings: Settings, stack: AsyncExitStack) -> PictureSource:
    if not settings.fetch_query_images:
        return NoQueryPictures()
    pictures = QueryPictures(settings.max_picture_bytes, settings.query_image_hosts)
    stack.push_async_callback(pictures.close)
    return pictures


def _traces(settings: Settings, stack: AsyncExitStack) -> Tracer:
    if settings.otlp_endpoint is None:
        return NO_TRACES
    try:
        from gateway.adapters.otlp_traces import OtlpTraces
    except ModuleNotFoundError as exc:
        raise StartupProblem(
            "LOOKALIKE_OTLP_ENDPOINT is set, but OpenTelemetry is not installed. Install it with "
            "`pip install 'lookalike[otel]'`, or unset it."
        ) from exc
    traces = OtlpTraces(settings.otlp_endpoint)
    stack.push_async_callback(asyncio.to_thread, traces.close)
    return traces


def _open_index(settings: Settings, metrics: Metrics) -> CatalogIndex:
    if settings.store is Store.EDGE:
        return EdgeIndex.open(settings.edge_folder)
    # Not for one machine: the client and what it imports take 40 MB.
    from gateway.adapters.qdrant_cluster import ClusterIndex
    from gateway.adapters.qdrant_cluster_client import ClusterOptions

    key = settings.qdrant_api_key
    cluster = ClusterIndex(
        ClusterOptions(
            host=settings.qdrant_host,
            grpc_port=settings.qdrant_grpc_port,
            tls=settings.qdrant_tls,
            api_key=_secret(key),
            shards=settings.qdrant_shards,
            replicas=settings.qdrant_replicas,
            write_consistency=settings.qdrant_write_consistency,
        )
    )
    metrics.backend_up.labels("qdrant").set_function(lambda: not cluster.away)
    return cluster


def _secret(value: SecretStr | None) -> str | None:
    return None if value is None else value.get_secret_value()


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
