"""As much of NVIDIA's `tensorrt` as the builder uses, without a GPU.

`FakeTensorRT` stands for the module. What a build was given is in `builds`; what goes wrong is set
by its fields.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from types import SimpleNamespace
from typing import Any

Shape = tuple[int, ...]
Profile = dict[str, tuple[Shape, Shape, Shape]]


class DataType(Enum):
    UINT8 = "uint8"
    INT64 = "int64"
    FLOAT = "float32"
    HALF = "float16"


class FakeLogger:
    WARNING = 1

    def __init__(self, min_severity: int) -> None:
        self.min_severity = min_severity


@dataclass
class Build:
    """One build: the network's flags, its graph, its profile and the timings that it began with."""

    flags: int
    graph: str = ""
    profile: Profile = field(default_factory=dict)
    timings: bytes = b""


class TimingCache:
    def __init__(self, content: bytes) -> None:
        self.content = content

    def serialize(self) -> bytes:
        return self.content + b" and new"


class Config:
    def __init__(self, fake: FakeTensorRT) -> None:
        self._fake = fake
        self._cache = TimingCache(b"")

    def create_timing_cache(self, serialized_timing_cache: bytes) -> TimingCache:
        return TimingCache(serialized_timing_cache)

    def set_timing_cache(self, cache: TimingCache, ignore_mismatch: bool) -> bool:
        assert not ignore_mismatch, "another GPU's timings choose the wrong kernels"
        if cache.content == self._fake.foreign_timings:
            return False
        self._cache = cache
        self._fake.builds[-1].timings = cache.content
        return True

    def get_timing_cache(self) -> TimingCache:
        return self._cache

    def add_optimization_profile(self, profile: OptimizationProfile) -> int:
        self._fake.builds[-1].profile = profile.shapes
        return 0


class OptimizationProfile:
    def __init__(self) -> None:
        self.shapes: Profile = {}

    def set_shape(self, name: str, least: Shape, usual: Shape, most: Shape) -> None:
        self.shapes[name] = (least, usual, most)


@dataclass
class Engine:
    """What `deserialize_cuda_engine` gives."""

    tensors: dict[str, tuple[DataType, Shape]]
    profile: Profile

    @property
    def num_io_tensors(self) -> int:
        return len(self.tensors)

    def get_tensor_name(self, index: int) -> str:
        return list(self.tensors)[index]

    def get_tensor_dtype(self, name: str) -> DataType:
        return self.tensors[name][0]

    def get_tensor_shape(self, name: str) -> Shape:
        return self.tensors[name][1]

    def get_tensor_profile_shape(self, name: str, index: int) -> list[Shape]:
        assert index == 0
        return list(self.profile[name])


@dataclass
class FakeTensorRT:
    """The module. Engines have the size of `engine_bytes` and the tensors of `tensors`, by graph
    input; `parser_errors` make the parser fail, `builds_nothing` the builder."""

    tensors: dict[str, dict[str, tuple[DataType, Shape]]]
    engine_bytes: int
    parser_errors: tuple[str, ...] = ()
    builds_nothing: bool = False
    loads: bool = True
    foreign_timings: bytes | None = None
    builds: list[Build] = field(default_factory=list)
    __version__: str = "11.4.0.106"

    Logger = FakeLogger
    DataType = DataType
    NetworkDefinitionCreationFlag = SimpleNamespace(STRONGLY_TYPED=1)

    def Builder(self, logger: FakeLogger) -> Any:  # noqa: N802 - TensorRT's name
        assert logger.min_severity == FakeLogger.WARNING

        def create_network(flags: int) -> Build:
            self.builds.append(Build(flags))
            return self.builds[-1]

        return SimpleNamespace(
            create_network=create_network,
            create_builder_config=lambda: Config(self),
            create_optimization_profile=OptimizationProfile,
            build_serialized_network=self._built,
        )

    def OnnxParser(self, network: Build, _logger: FakeLogger) -> Any:  # noqa: N802 - TensorRT's name
        def parse_from_file(path: str) -> bool:
            network.graph = path
            return not self.parser_errors

        return SimpleNamespace(
            parse_from_file=parse_from_file,
            num_errors=len(self.parser_errors),
            get_error=lambda index: self.parser_errors[index],
        )

    def Runtime(self, _logger: FakeLogger) -> Any:  # noqa: N802 - TensorRT's name
        def deserialize_cuda_engine(plan: bytes) -> Engine | None:
            assert len(plan) == self.engine_bytes
            profile = self.builds[-1].profile
            (name,) = profile
            return Engine(self.tensors[name], profile) if self.loads else None

        return SimpleNamespace(deserialize_cuda_engine=deserialize_cuda_engine)

    def _built(self, network: Build, _config: Config) -> bytearray | None:
        assert network is self.builds[-1]
        return None if self.builds_nothing else bytearray(self.engine_bytes)
