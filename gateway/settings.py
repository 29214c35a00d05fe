"""The gateway's settings: environment variables `LOOKALIKE_…`, a `.env` file, or flags of the CLI.

Read by `cli` and `bootstrap` only, and never at import.
"""

from __future__ import annotations

import os
import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
)
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from gateway.domain.access import parse_keys
from gateway.telemetry.log_lines import LogFormat, LogLevel


class Store(StrEnum):
    """Where the catalogue's index lives."""

    EDGE = "edge"  # Qdrant's engine inside this process, on a folder
    CLUSTER = "cluster"  # Qdrant servers


PREFIX = "LOOKALIKE_"

Seconds = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


def _names(value: object) -> object:
    if isinstance(value, str):
        return tuple(name.strip() for name in value.split(",") if name.strip())
    return value


def _keys(value: SecretStr) -> SecretStr:
    parse_keys(value.get_secret_value())
    return value


Keys = Annotated[SecretStr, AfterValidator(_keys)]
Secret = Annotated[SecretStr, Field(min_length=1)]

# What Kubernetes puts into every pod for a service of this product's name.
_SERVICE_LINK = re.compile(r"_SERVICE_(HOST|PORT)|_PORT_\d+_")
_COLLECTOR = re.compile(r"https?://[^/\s]+:\d+/?")
_ORIGIN = re.compile(r"\*|https?://[^/\s]+")


class UnknownNames(PydanticBaseSettingsSource):
    """Environment variables with our prefix that are no setting, so that a slip of the pen is
    refused like any other extra name, and not passed over."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Known names are another source's."""
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        """The unknown ones."""
        known = {f"{PREFIX}{name}".upper() for name in self.settings_cls.model_fields}
        return {
            name.upper().removeprefix(PREFIX).lower(): value
            for name, value in os.environ.items()
            if name.upper().startswith(PREFIX)
            and name.upper() not in known
            and not _SERVICE_LINK.search(name.upper())
        }


class Settings(BaseSettings):
    """Everything that can be set, with the values that suit one machine."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=".env",
        extra="forbid",
        frozen=True,
        # Defaults are checked too: one may contradict what was set.
        validate_default=True,
        hide_input_in_errors=True,
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
    triton_key_file: Path | None = Field(
        None, description="A file that holds LOOKALIKE_TRITON_KEY instead."
    )
    triton_key: Secret | None = Field(
        None,
        description="What Triton wants to be shown before it loads a model, if it was started with "
        "--grpc-restricted-protocol=model-repository:admin-key=….",
    )

    store: Store = Field(Store.EDGE, description="edge: in this process. cluster: Qdrant servers.")
    edge_folder: Path = Field(
        Path(".lookalike/index"), description="Where the edge store keeps its files."
    )
    qdrant_host: str = Field("127.0.0.1", description="Where Qdrant is, for the cluster store.")
    qdrant_grpc_port: int = Field(6334, ge=1, le=65535, description="Qdrant's gRPC port.")
    qdrant_api_key_file: Path | None = Field(
        None, description="A file that holds LOOKALIKE_QDRANT_API_KEY instead."
    )
    qdrant_api_key: Secret | None = Field(None, description="Qdrant's API key, if it has one.")
    qdrant_tls: bool = Field(False, description="Whether Qdrant speaks TLS.")
    qdrant_shards: Count | None = Field(
        None,
        description="Parts of a new collection; unset: as many as there are servers. Each search "
        "asks every part: `lookalike plan` says how few are enough.",
    )
    qdrant_replicas: Count = Field(1, description="Copies of each shard of a new collection.")
    qdrant_write_consistency: Count = Field(
        1, description="Copies that must have a write before it is confirmed."
    )

    admin_key_file: Path | None = Field(
        None, description="A file that holds LOOKALIKE_ADMIN_KEY instead."
    )
    admin_key: Secret | None = Field(
        None, description="A key that opens everything; unset: see LOOKALIKE_KEYS."
    )
    keys_file: Path | None = Field(None, description="A file that holds LOOKALIKE_KEYS instead.")
    keys: Keys | None = Field(
        None, description="Keys with their scopes; unset: searching and writing are open to all."
    )
    client_key_file: Path | None = Field(
        None, description="A file that holds LOOKALIKE_CLIENT_KEY instead."
    )
    client_key: Secret | None = Field(
        None, description="The key that commands show to a running gateway; unset: the admin key."
    )
    rate_limit: Annotated[float, Field(gt=0)] | None = Field(
        None, description="Calls that each key may make in a second; unset: any number."
    )
    rate_burst: Count = Field(100, description="Calls that a key may make at once, if limited.")
    cors_origins: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_names)] = Field(
        (),
        description="Origins whose pages may call from a browser, with commas between; `*`: all.",
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

    degrade: bool = Field(
        False,
        description="Whether a search with words is answered by words alone while Triton is away.",
    )

    default_timeout_s: Seconds = Field(2.0, description="A request's time if it names none.")
    max_timeout_s: Seconds = Field(30.0, description="The most time that a request may ask for.")
    drain_s: float = Field(
        5.0, ge=0, description="How long it still answers after SIGTERM, for balancers to notice."
    )
    max_in_flight: Count = Field(
        256, description="Most requests worked on at once; fewer while they take long."
    )
    decode_threads: Count = Field(
        default_factory=lambda: os.cpu_count() or 1, description="Threads that decode pictures."
    )
    max_pixel_bytes: Count = Field(
        512 * 2**20, description="Decoded pixels in memory at once; pictures beyond are refused."
    )
    text_cache_entries: Count = Field(10_000, description="Vectors of texts kept in memory.")
    max_picture_bytes: Count = Field(10 * 2**20, description="Largest encoded picture.")
    max_picture_pixels: Count = Field(25_000_000, description="Largest picture in pixels.")

    log_format: LogFormat | None = Field(
        None,
        description="json or text, a line for each request; unset: text on a terminal, else json.",
    )
    log_level: LogLevel = Field(
        LogLevel.INFO, description="The least that is logged: debug, info, warning or error."
    )
    otlp_endpoint: str | None = Field(
        None,
        description="Where traces go by OTLP over gRPC: http://host:4317, or https. Unset: none.",
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags win over the environment, and that over `.env`."""
        return init_settings, env_settings, dotenv_settings, UnknownNames(settings_cls)

    # Each of these looks back at a field above it, so that what two fields do to each other is
    # told together with what is wrong with one.

    @field_validator(
        "triton_key", "qdrant_api_key", "admin_key", "keys", "client_key", mode="before"
    )
    @classmethod
    def _from_file(cls, value: object, info: ValidationInfo) -> object:
        path = info.data.get(f"{info.field_name}_file")
        if path is None:
            return value
        if value is not None:
            raise ValueError("is given twice: here and as a file")
        try:
            return path.read_text().strip()
        except (OSError, UnicodeDecodeError) as exc:
            reason = getattr(exc, "strerror", None) or "no text"
            raise ValueError(f"cannot be read from {path}: {reason}") from exc

    @field_validator("grpc_port")
    @classmethod
    def _two_ports(cls, value: int, info: ValidationInfo) -> int:
        if value != 0 and value == info.data.get("port"):
            raise ValueError("is the port of HTTP; gRPC needs one of its own")
        return value

    @field_validator("qdrant_write_consistency")
    @classmethod
    def _no_more_than_copies(cls, value: int, info: ValidationInfo) -> int:
        if value > info.data.get("qdrant_replicas", value):
            raise ValueError("is more than LOOKALIKE_QDRANT_REPLICAS: no write could be confirmed")
        return value

    @field_validator("rate_limit")
    @classmethod
    def _of_keys(cls, value: float | None, info: ValidationInfo) -> float | None:
        keys = info.data.get("keys", ...), info.data.get("admin_key", ...)
        if value is not None and keys == (None, None):
            raise ValueError("limits each key, and there is none: set LOOKALIKE_KEYS")
        return value

    @field_validator("cors_origins")
    @classmethod
    def _origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for origin in value:
            if not _ORIGIN.fullmatch(origin):
                raise ValueError(f"has {origin!r}; an origin is https://host or https://host:port")
        return value

    @field_validator("otlp_endpoint")
    @classmethod
    def _collector(cls, value: str | None) -> str | None:
        if value is not None and not _COLLECTOR.fullmatch(value):
            raise ValueError(f"is {value!r}; a collector's address is http://host:port, or https")
        return value

    @field_validator("fusion_text_weight")
    @classmethod
    def _some_weight(cls, value: float, info: ValidationInfo) -> float:
        if value == 0 == info.data.get("fusion_vector_weight"):
            raise ValueError("is 0 like LOOKALIKE_FUSION_VECTOR_WEIGHT: nothing would be found")
        return value

    @field_validator("max_timeout_s")
    @classmethod
    def _at_least_the_default(cls, value: float, info: ValidationInfo) -> float:
        if value < info.data.get("default_timeout_s", value):
            raise ValueError("is less than LOOKALIKE_DEFAULT_TIMEOUT_S")
        return value
