"""How many of what: arithmetic on `gateway.domain.capacity`, and nothing else."""

from __future__ import annotations

import math

from gateway.domain.capacity import (
    GPU_TFLOPS,
    MODELS,
    Asked,
    Constants,
    Demand,
    Gateways,
    Gpu,
    Gpus,
    Index,
    Plan,
    Rebuild,
)

FEWEST_PODS = 2
FEWEST_GPUS = 2
# The fewest of which one may go while the others still agree.
FEWEST_NODES = 3

FULL_TOKENS = 77
_FP32_BYTES, _INT8_BYTES = 4, 1
_GB = 1e9
_WITH_PICTURE = (Asked.IMAGE, Asked.HYBRID)
_WITH_WORDS = (Asked.TEXT, Asked.HYBRID)


def plan(demand: Demand, constants: Constants) -> Plan:
    """What carries `demand`."""
    gpus = _gpus(demand, constants)
    return Plan(
        gateways=_gateways(demand, constants),
        gpus=gpus,
        plain=_index(demand, constants, _FP32_BYTES),
        quantised=_index(demand, constants, _INT8_BYTES),
        rebuild=_rebuild(demand, constants, gpus),
    )


def _share(demand: Demand, kinds: tuple[Asked, ...]) -> float:
    return sum(demand.mix.get(kind, 0.0) for kind in kinds)


def _gateways(demand: Demand, constants: Constants) -> Gateways:
    decoding = demand.qps * _share(demand, _WITH_PICTURE) * constants.upload_decode_ms / 1000
    cores = demand.qps * constants.search_cpu_ms / 1000 + decoding
    pods = math.ceil(cores / constants.engine_use / demand.pod_cores)
    return Gateways(max(FEWEST_PODS, pods), cores, decoding)


def _gpus(demand: Demand, constants: Constants) -> Gpus:
    model = MODELS[demand.model]
    pictures_s = model.a100_pictures_s * GPU_TFLOPS[demand.gpu] / GPU_TFLOPS[Gpu.A100]
    # A text of so many tokens costs that part of one of 77.
    text_gflop = model.text_gflop * constants.text_tokens / FULL_TOKENS
    texts_s = pictures_s * model.image_gflop / text_gflop
    pictures = demand.qps * _share(demand, _WITH_PICTURE) / pictures_s
    asked_anew = 1 - constants.text_cache_hits
    texts = demand.qps * _share(demand, _WITH_WORDS) * asked_anew / texts_s
    busy = pictures + texts
    count = math.ceil(busy / constants.engine_use) + 1  # one may be lost
    return Gpus(max(FEWEST_GPUS, count), pictures_s, texts_s, busy)


def _index(demand: Demand, constants: Constants, bytes_a_number: int) -> Index:
    """Shards as few as memory allows: each search asks every shard, so that more of them cost more
    cores. Copies as many as the load asks for, since each search asks one copy of a shard."""
    points = demand.items * demand.pictures_per_item
    numbers = points * MODELS[demand.model].dim * demand.releases
    memory_gb = numbers * bytes_a_number * constants.vector_overhead / _GB
    shards = max(1, math.ceil(memory_gb / (demand.node_gb * constants.node_memory_use)))
    core_ms = _search_core_ms(demand, constants, points / shards)
    cores_a_shard = demand.qps * core_ms / 1000
    carried = demand.node_cores * constants.engine_use
    copies = max(demand.replicas, math.ceil(cores_a_shard / carried))
    payload_gb = points * constants.payload_bytes * demand.releases / _GB
    kept_gb = numbers * _FP32_BYTES / _GB + payload_gb
    if bytes_a_number != _FP32_BYTES:
        kept_gb += numbers * bytes_a_number / _GB
    return Index(
        shards=shards,
        copies=copies,
        nodes=max(FEWEST_NODES, shards * copies),
        memory_gb=memory_gb * copies,
        disk_gb=kept_gb * constants.disk_times * copies,
        cores=cores_a_shard * shards,
    )


def _search_core_ms(demand: Demand, constants: Constants, points: float) -> float:
    """Milliseconds of a core that a search of the mix takes on one shard of so many points. The
    graph's depth, and with it the cost, grows with the logarithm (Malkov and Yashunin, 2016)."""
    depth = math.log(max(points, 2)) / math.log(constants.vector_points)
    words = constants.words_core_ms * _share(demand, _WITH_WORDS)
    return constants.vector_core_ms * depth + words


def _rebuild(demand: Demand, constants: Constants, gpus: Gpus) -> Rebuild:
    pictures = demand.items * demand.pictures_per_item
    left = gpus.count - gpus.busy
    return Rebuild(
        gpu_hours=pictures / (gpus.pictures_s * left) / 3600,
        decode_hours=pictures * constants.catalogue_decode_ms / 1000 / demand.build_cores / 3600,
    )
