"""What a deployment has to carry, and what is known of how much one machine carries.

Every number is named with its source, so that a reader can put a better one in its place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any


class Gpu(StrEnum):
    """NVIDIA's GPUs that shops rent."""

    T4 = "t4"
    L4 = "l4"
    A10 = "a10"
    A100 = "a100"
    H100 = "h100"


class Model(StrEnum):
    """CLIP models by size."""

    B32 = "ViT-B-32"
    B16 = "ViT-B-16"
    L14 = "ViT-L-14"


class Asked(StrEnum):
    """Kinds of searches, by what they cost."""

    IMAGE = "image"  # an uploaded picture
    TEXT = "text"
    HYBRID = "hybrid"  # a picture and words
    SIMILAR = "similar"  # more like an item: no model


@dataclass(frozen=True, slots=True)
class ModelFigures:
    """A model's size.

    `gflop` are of one picture, and of one text of 77 tokens (open_clip, docs/model_profile.csv).
    `a100_pictures_s` is clip-retrieval's on one A100 (docs/distributed_clip_inference.md), where
    resizing was the limit, so that it is low rather than high.
    """

    dim: int
    image_gflop: float
    text_gflop: float
    a100_pictures_s: float


MODELS: Mapping[Model, ModelFigures] = {
    Model.B32: ModelFigures(512, 8.82, 5.96, 2500),
    Model.B16: ModelFigures(512, 35.1, 5.96, 1100),
    Model.L14: ModelFigures(768, 162.0, 13.3, 312),
}

# Dense fp16 in NVIDIA's data sheets, TFLOPS.
GPU_TFLOPS: Mapping[Gpu, float] = {
    Gpu.T4: 65,
    Gpu.L4: 121,
    Gpu.A10: 125,
    Gpu.A100: 312,
    Gpu.H100: 989,
}

_BENCH = "`make bench`, docs/performance.md: "


def _known(value: float, unit: str, source: str) -> Any:  # noqa: ANN401 - a dataclass field stands for any type
    return field(default=value, metadata={"unit": unit, "source": source})


@dataclass(frozen=True, slots=True)
class Constants:
    """What the plan reckons with; each field's metadata has its unit and where it is from."""

    search_cpu_ms: float = _known(
        3.1, "ms of a core", _BENCH + "new words; a picture less its decoding is 2.06"
    )
    upload_decode_ms: float = _known(
        13.0,
        "ms of a core",
        _BENCH + "to 224 px, 30 % thumbnails, 40 % VGA, 20 % 2 MP, 10 % phone. From the page, "
        "which scales first, it is VGA's 9.43",
    )
    catalogue_decode_ms: float = _known(
        18.5, "ms of a core", _BENCH + "a picture of two megapixels to 224 px"
    )
    text_tokens: float = _known(
        16, "tokens", "a query of four to ten words is padded to 8 or 16; docs/releases.md"
    )
    text_cache_hits: float = _known(
        0.0, "share", "none, to be safe; lookalike_text_cache_total tells your own"
    )
    engine_use: float = _known(0.6, "share", "of a GPU or a core at peak: beyond, queues grow fast")
    vector_overhead: float = _known(
        1.5, "times", "links, versions, segments being merged: Qdrant's guide to capacity planning"
    )
    node_memory_use: float = _known(0.7, "share", "the rest is the system's and the payload's")
    payload_bytes: float = _known(1000, "bytes an item", "assumed: an item's JSON; count your own")
    disk_times: float = _known(
        3.0, "times", "vectors and payload, segments being merged, one snapshot"
    )
    vector_core_ms: float = _known(
        5.2,
        "ms of a core",
        "10 M vectors, 8 cores, 1,542 searches/s at precision 0.96: Qdrant's single node "
        "benchmark 2022, deep-image-96",
    )
    vector_points: float = _known(
        10e6, "points", "at which that was measured; the cost grows with their logarithm"
    )
    words_core_ms: float = _known(1.0, "ms of a core", "BM25's leg: assumed, not measured")


def constants_table() -> list[tuple[str, float, str, str]]:
    """Every constant's name, value, unit and source."""
    return [
        (one.name, one.default, one.metadata["unit"], one.metadata["source"])  # type: ignore[misc] # each has a default
        for one in fields(Constants)
    ]


@dataclass(frozen=True, slots=True)
class Demand:
    """What is asked of it.

    `mix` are shares of all searches, which add up to 1. `releases` are kept at the same time: the
    one that answers, and one that is being built or was before. `replicas` are copies of each
    shard. `pod_cores` and `build_cores` are a gateway's and those of the job that builds a
    release; `node_cores` and `node_gb` are one Qdrant server's.
    """

    items: float
    qps: float
    mix: Mapping[Asked, float]
    gpu: Gpu
    model: Model = Model.B32
    pictures_per_item: float = 1.0
    releases: int = 2
    replicas: int = 2
    pod_cores: int = 2
    build_cores: int = 8
    node_cores: int = 16
    node_gb: float = 64.0


@dataclass(frozen=True, slots=True)
class Gateways:
    """`cores` at work at the peak, and the part of them that decodes; `pods` with room."""

    pods: int
    cores: float
    decoding_cores: float


@dataclass(frozen=True, slots=True)
class Gpus:
    """`count` with room and one to lose; what one does in a second."""

    count: int
    pictures_s: float
    texts_s: float
    busy: float
    """GPUs at work at the peak."""


@dataclass(frozen=True, slots=True)
class Index:
    """A Qdrant cluster: `shards` times `copies` on `nodes`, and what memory and disk it takes over
    all of them, in GB (10^9 bytes)."""

    shards: int
    copies: int
    nodes: int
    memory_gb: float
    disk_gb: float
    cores: float


@dataclass(frozen=True, slots=True)
class Rebuild:
    """How long embedding the catalogue for a new release takes, in hours: by the GPUs left over
    from the peak, and by the cores that decode. The longer one decides."""

    gpu_hours: float
    decode_hours: float

    @property
    def hours(self) -> float:
        """The longer of the two."""
        return max(self.gpu_hours, self.decode_hours)


@dataclass(frozen=True, slots=True)
class Plan:
    """A deployment on paper."""

    gateways: Gateways
    gpus: Gpus
    plain: Index
    quantised: Index
    rebuild: Rebuild
