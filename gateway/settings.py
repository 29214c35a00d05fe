"""The gateway's settings: environment variables `LOOKALIKE_…`, a `.env` file, or flags of the CLI.

Read by `cli` and `bootstrap` only, and never at import.
"""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict


class Store(StrEnum):
    """Where the catalogue's index lives."""

    EDGE = "edge"  # Qdrant's engine inside this process, on a folder
    CLUSTER = "cluster"  # Qdrant servers


Seconds = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


def _names(value: object) -> object:
    if isinstance(value, str):
        return tuple(name.strip() for name in value.split(",") if name.strip())
    return value


class Settings(BaseSettings):
    """Everything that can be set, with the values that suit one machine."""

    model_config = SettingsConfigDict(
        env_prefix="LOOKALIKE_", env_file=".env", extra="forbid", frozen=True
    )

    host: str = Field("127.0.0.1", description="Address that HTTP listens on.")
    port: int = Field(8080, ge=0, le=65535, description="Port that HTTP listens on.")
    grpc_port: int = Field(
        8081, ge=0, le=65535, description="Port that gRPC listens on; 0 takes a free one."
    )

    model_repository: Path = Field(
        Path("model_repository"), description="The folder that Triton serves, read-only here."
    )
    triton: str = Field("127.0.0.1:8001", description="Triton's gRPC address (a gRPC target).")

    store: Store = Field(Store.EDGE, description="edge: in this process. cluster: Qdrant servers.")
    edge_folder: Path = Field(
        Path(".lookalike/index"), description="Where the edge store keeps its files."
    )
    qdrant_host: str = Field("127.0.0.1", description="Where Qdrant is, for the cluster store.")
    qdrant_grpc_port: int = Field(6334, ge=1, le=65535, description="Qdrant's gRPC port.")
    qdrant_api_key: SecretStr | None = Field(None, description="Qdrant's API key, if it has one.")
    qdrant_tls: bool = Field(False, description="Whether Qdrant speaks TLS.")
    qdrant_replicas: Count = Field(1, description="Copies of each shard of a new collection.")
    qdrant_write_consistency: Count = Field(
        1, description="Copies that must have a write before it is confirmed."
    )

    admin_key: SecretStr | None = Field(
        None, description="What calls that change releases must show; unset: none are answered."
    )

    pictures_folder: Path | None = Field(
        None,
        description="Catalogue pictures named by a path are read below this folder; unset: none.",
    )
    fetch_pictures: bool = Field(
        False, description="Whether catalogue pictures named by an http(s) address are fetched."
    )

    fetch_query_images: bool = Field(
        False, description="Whether a query may name a picture by URL, for the gateway to fetch."
    )
    query_image_hosts: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_names)] = Field(
        (),
        description="The only hosts that such pictures come from, with commas between; "
        "`*.shop.example` is all below one. Unset: any public one.",
    )

    fusion_vector_weight: float = Field(
        1.0, ge=0, description="What the nearest vectors' ranks count in a hybrid search."
    )
    fusion_text_weight: float = Field(
        1.0, ge=0, description="What full text's ranks count; `lookalike evaluate tune` finds both."
    )

    default_timeout_s: Seconds = Field(2.0, description="A request's time if it names none.")
    max_timeout_s: Seconds = Field(30.0, description="The most time that a request may ask for.")
    max_in_flight: Count = Field(256, description="Requests worked on at once; more are refused.")
    decode_threads: Count = Field(
        default_factory=lambda: os.cpu_count() or 1, description="Threads that decode pictures."
    )
    text_cache_entries: Count = Field(10_000, description="Vectors of texts kept in memory.")
    max_picture_bytes: Count = Field(10 * 2**20, description="Largest encoded picture.")
    max_picture_pixels: Count = Field(25_000_000, description="Largest picture in pixels.")
