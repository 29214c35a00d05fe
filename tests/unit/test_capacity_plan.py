"""The plan's arithmetic, where its constants are from, and the example that is printed."""

from __future__ import annotations

import json
import math
import re
from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from gateway.cli.plan import parse_mix
from gateway.domain.capacity import MODELS, Asked, Constants, Demand, Gpu, Model
from gateway.domain.errors import StartupProblem
from gateway.services.capacity_plan import FEWEST_NODES, plan
from tests.integration.processes import ROOT, lookalike

SCALING = ROOT / "docs" / "scaling.md"
BENCH = (ROOT / "docs" / "performance.md").read_text()
KNOWN = Constants()
SHOP = Demand(items=50e6, qps=5000, mix=parse_mix("image=0.3"), gpu=Gpu.L4)

demands = st.builds(
    Demand,
    items=st.floats(1, 1e9),
    qps=st.floats(0, 1e5),
    mix=st.floats(0, 1).map(lambda share: parse_mix(f"image={share}")),
    gpu=st.sampled_from(Gpu),
    model=st.sampled_from(Model),
    pictures_per_item=st.floats(0.1, 10),
    releases=st.integers(1, 3),
    replicas=st.integers(1, 3),
)


@settings(deadline=None)  # the machine may be busy
@given(demands, st.floats(1, 100))
def test_more_to_do_never_takes_less(demand: Demand, times: float) -> None:
    now = plan(demand, KNOWN)
    for more in (
        replace(demand, qps=demand.qps * times),
        replace(demand, items=demand.items * times),
    ):
        then = plan(more, KNOWN)
        assert then.gateways.pods >= now.gateways.pods
        assert then.gpus.count >= now.gpus.count
        assert then.plain.memory_gb >= now.plain.memory_gb * (1 - 1e-9)


@settings(deadline=None)  # the machine may be busy
@given(demands)
def test_one_of_each_may_be_lost(demand: Demand) -> None:
    found = plan(demand, KNOWN)
    assert found.gateways.pods >= 2
    assert found.gpus.count - 1 >= found.gpus.busy
    for index in (found.plain, found.quantised):
        assert index.nodes >= FEWEST_NODES
        assert index.copies >= demand.replicas


@settings(deadline=None)  # the machine may be busy
@given(demands)
def test_what_a_server_holds_and_does_fits_it(demand: Demand) -> None:
    for index in (plan(demand, KNOWN).plain, plan(demand, KNOWN).quantised):
        parts = index.shards * index.copies
        assert index.memory_gb / parts <= demand.node_gb * KNOWN.node_memory_use * (1 + 1e-9)
        assert index.cores / parts <= demand.node_cores * KNOWN.engine_use * (1 + 1e-9)


@settings(deadline=None)  # the machine may be busy
@given(demands)
def test_a_quarter_of_a_vector_takes_a_quarter_of_the_memory(demand: Demand) -> None:
    found = plan(demand, KNOWN)
    a_copy = [index.memory_gb / index.copies for index in (found.plain, found.quantised)]
    assert a_copy[0] == pytest.approx(4 * a_copy[1])
    assert found.quantised.shards <= found.plain.shards


def test_memory_is_qdrant_s_formula() -> None:
    """A million vectors of 1,024 numbers: 6.144 GB in its guide."""
    shop = replace(SHOP, items=1e6, releases=1, replicas=1, qps=0)
    found = plan(shop, KNOWN).plain
    assert found.memory_gb == pytest.approx(6.144 * MODELS[Model.B32].dim / 1024)


def test_a_gpu_s_rate_is_the_published_one_on_its_own_gpu() -> None:
    for model, figures in MODELS.items():
        found = plan(replace(SHOP, gpu=Gpu.A100, model=model), KNOWN)
        assert found.gpus.pictures_s == figures.a100_pictures_s


def test_similar_items_need_no_model() -> None:
    found = plan(replace(SHOP, mix={Asked.SIMILAR: 1.0}), KNOWN)
    assert found.gpus.busy == 0
    assert found.gateways.decoding_cores == 0


def test_a_new_model_takes_as_long_as_the_slower_of_the_two() -> None:
    few, many = (plan(replace(SHOP, build_cores=cores), KNOWN).rebuild for cores in (1, 1000))
    assert few.hours == few.decode_hours > few.gpu_hours
    assert many.hours == many.gpu_hours > many.decode_hours


def _bench_ms(upload: str, side_px: int = 224) -> float:
    found = re.search(rf"\| {upload}, {side_px} px +\| +gateway \| +([\d.]+)", BENCH)
    assert found is not None
    return float(found[1])


def test_the_measured_constants_are_those_of_the_benchmark() -> None:
    image, words = (re.search(rf"\| {of} +\| ([\d.]+) \(", BENCH) for of in ("image", "words"))
    assert image is not None
    assert words is not None
    dearest = max(float(image[1]) - _bench_ms("vga", 64), float(words[1]))
    assert math.isclose(dearest, KNOWN.search_cpu_ms, abs_tol=0.05)
    shares = {"thumbnail": 0.3, "vga": 0.4, "2mp": 0.2, "phone": 0.1}
    mean = sum(share * _bench_ms(upload) for upload, share in shares.items())
    assert math.isclose(mean, KNOWN.upload_decode_ms, abs_tol=0.05)
    assert math.isclose(_bench_ms("2mp"), KNOWN.catalogue_decode_ms, abs_tol=0.05)
    assert math.isclose(8 / 1542 * 1000, KNOWN.vector_core_ms, abs_tol=0.05)


def test_every_constant_says_where_it_is_from() -> None:
    for one in fields(Constants):
        assert one.metadata["unit"]
        assert one.metadata["source"]


@pytest.mark.parametrize(
    "command",
    re.findall(r"^\$ lookalike (plan .*)$", SCALING.read_text(), re.MULTILINE),
)
def test_the_printed_example_is_what_is_printed(command: str) -> None:
    run = lookalike({}, *command.split(), columns=80)
    assert run.returncode == 0, run.stderr
    lines = [line.rstrip() for line in run.stdout.splitlines()]
    assert max(map(len, lines)) <= 80
    assert "\n".join([f"$ lookalike {command}", *lines]) in SCALING.read_text()


def test_a_constant_of_ones_own_counts(tmp_path: Path) -> None:
    file = tmp_path / "own.json"
    file.write_text(json.dumps({"upload_decode_ms": 6.94}))
    usual = ("plan", "--items", "1e6", "--qps", "5000", "--mix", "image=100%")
    plain, own, both = (
        lookalike({}, *usual, *more, columns=80).stdout
        for more in ((), ("--constants", str(file)), ("--constants", str(file), "--set",
                                                      "upload_decode_ms=1"))
    )  # fmt: skip
    pods = [int(re.search(r"gateways +(\d+)", said)[1]) for said in (plain, own, both)]  # type: ignore[index] # it is there
    assert pods[0] > pods[1] > pods[2]


MISTAKES = [
    ("video=1", "the kinds: image, text, hybrid, similar"),
    ("image=2", "2 is no share"),
    ("image=0.7,similar=0.7", "add up to 1.4"),
    ("image=0.2,text=0.2", "add up to 0.4"),
]


@pytest.mark.parametrize(("mix", "words"), MISTAKES, ids=[mix for mix, _ in MISTAKES])
def test_a_mix_that_is_none_is_told(mix: str, words: str) -> None:
    with pytest.raises(StartupProblem, match=words):
        parse_mix(mix)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("decode=1", "no constant 'decode'"),
        ("payload_bytes=many", "payload_bytes: 'many' is no number"),
        ("engine_use=0", "engine_use must be more than 0"),
    ],
)
def test_a_constant_that_is_none_is_told(given: str, words: str) -> None:
    from gateway.cli import app

    run = CliRunner().invoke(app, ["plan", "--items", "1", "--qps", "1", "--set", given])
    assert isinstance(run.exception, StartupProblem)
    assert words in run.exception.detail
