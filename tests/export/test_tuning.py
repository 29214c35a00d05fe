"""What a measurement changes in a release's configs."""

from __future__ import annotations

import csv
import io
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from export.cli import main
from export.config_file import read_config, read_profile, write_profile
from export.errors import ExportRefused
from export.formats import Hardware
from export.perf_analyzer import Load, Measured, arguments, measure, read_report
from export.serving_profiles import image_profile
from export.triton_config import release_towers, text_tower_config
from export.tuning import batch_sizes_up_to, tuned
from gateway.adapters.release_files import read_manifest
from gateway.domain.release import TextClean, TextTower

# The columns of perf_analyzer's CSV, in the form that its documentation shows.
HEADER = (
    "Concurrency,Inferences/Second,Client Send,Network+Server Send/Recv,Server Queue,"
    "Server Compute Input,Server Compute Infer,Server Compute Output,Client Recv,p50 latency,"
    "p90 latency,p95 latency,p99 latency"
)
REPORT = f"{HEADER}\n4,138.25,182,1021,93,188,12013,21,3,13891,18795,19753,21018\n"
LOAD = Load("v1-text", "text", (16,), batch_size=8, concurrency=4)


def test_a_report_is_read_by_its_columns_names() -> None:
    assert read_report(REPORT, 8) == Measured(8, 138.25, 21018.0)
    swapped = io.StringIO()
    rows = list(csv.DictReader(REPORT.splitlines()))
    writer = csv.DictWriter(swapped, sorted(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    assert read_report(swapped.getvalue(), 8) == Measured(8, 138.25, 21018.0)


@pytest.mark.parametrize("report", ["", HEADER, "a,b\n1,2\n", f"{HEADER}\n4,fast\n"])
def test_another_report_is_refused(report: str) -> None:
    with pytest.raises(ExportRefused, match="Inferences/Second"):
        read_report(report, 8)


def test_the_command_sends_rows_of_the_towers_shape() -> None:
    assert " ".join(arguments(LOAD, "triton:8001", Path("r.csv"))) == (
        "-m v1-text -i grpc -u triton:8001 -b 8 --concurrency-range 4 --shape text:16 "
        "--input-data zero --percentile 99 -f r.csv"
    )


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        (None, "no perf_analyzer here.* pip install perf-analyzer"),
        ("echo 'failed to connect' >&2; exit 99", "perf_analyzer failed: failed to connect"),
        ("true", "wrote no report of v1-text"),
    ],
)
def test_a_measurement_that_fails_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str | None, sentence: str
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    if script is not None:
        write_program(tmp_path, f"#!/bin/sh\n{script}\n")
    with pytest.raises(ExportRefused, match=sentence):
        measure(LOAD, "localhost:8001")


def write_program(folder: Path, text: str) -> None:
    program = folder / "perf_analyzer"
    program.write_text(text)
    program.chmod(0o755)


def test_the_smallest_batch_that_is_nearly_as_fast_as_any_is_the_largest() -> None:
    rates = {1: 200.0, 2: 390.0, 4: 700.0, 8: 960.0, 16: 1000.0, 32: 1001.0, 64: 990.0}
    measured = [Measured(size, rate, 1.0) for size, rate in rates.items()]
    found = tuned(image_profile(Hardware.L4), measured, queue_budget_s=0.05)
    assert found.max_batch_size == 8
    assert found.preferred_batch_sizes == (4, 8)
    assert found.warmup_batch_sizes == (1, 4, 8)
    assert found.interactive.max_requests == 48
    assert found.bulk == image_profile(Hardware.L4).bulk


@given(
    st.dictionaries(st.sampled_from(batch_sizes_up_to(64)), st.floats(1, 1e5), min_size=1),
    st.floats(1e-4, 1),
)
def test_whatever_is_measured_the_profile_can_be_served(
    rates: dict[int, float], budget_s: float
) -> None:
    measured = [Measured(size, rate, 1.0) for size, rate in rates.items()]
    found = tuned(image_profile(Hardware.T4), measured, budget_s)
    assert found.max_batch_size in rates
    assert rates[found.max_batch_size] * 1.06 >= max(rates.values())
    assert max(found.preferred_batch_sizes) == max(found.warmup_batch_sizes) == found.max_batch_size
    assert min(found.preferred_batch_sizes) >= 1
    assert found.interactive.max_requests >= found.max_batch_size


def test_every_power_of_two_is_measured_and_the_largest_batch() -> None:
    assert batch_sizes_up_to(1) == [1]
    assert batch_sizes_up_to(8) == [1, 2, 4, 8]
    assert batch_sizes_up_to(48) == [1, 2, 4, 8, 16, 32, 48]


def test_a_smaller_batch_is_an_engine_of_other_shapes() -> None:
    golden = Path(__file__).with_name("golden")
    tower = text_tower_config(TextTower("v1-text", (8, 16, 32, 77), 0, 2, TextClean.LOWER), 512)
    inside = read_config(golden / "onnx-tensorrt-text.pbtxt")
    write_profile(inside, tower, replace(read_profile(inside), max_batch_size=16))
    (accelerator,) = inside.optimization.execution_accelerators.gpu_execution_accelerator
    assert accelerator.parameters["trt_profile_opt_shapes"] == "text:8x16"
    assert accelerator.parameters["trt_profile_max_shapes"] == "text:16x77"
    assert accelerator.parameters["trt_engine_cache_enable"] == "1"
    ahead = read_config(golden / "tensorrt-text.pbtxt")
    ahead.cc_model_filenames["8.9"] = "of-batch-64.plan"
    write_profile(ahead, tower, replace(read_profile(ahead), queue_delay_us=0))
    assert dict(ahead.cc_model_filenames) == {"8.9": "of-batch-64.plan"}
    write_profile(ahead, tower, replace(read_profile(ahead), max_batch_size=16))
    assert not ahead.cc_model_filenames


STAND_IN = f"""#!{sys.executable}
import sys
told = dict(zip(sys.argv[1::2], sys.argv[2::2]))
size = int(told["-b"])
rate = 100 * min(size, 4)
row = ["4", str(rate)] + ["0"] * 10 + ["5000"]
open(told["-f"], "w").write({HEADER!r} + "\\n" + ",".join(row) + "\\n")
"""


@pytest.fixture(name="repository")
def a_copy_of_the_samples_configs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With a stand-in for perf_analyzer, which finds no gain beyond batches of four."""
    sample = Path(__file__).parents[2] / "model_repository"
    ignore = shutil.ignore_patterns("1", "*.npz")
    repository = shutil.copytree(sample, tmp_path / "repository", ignore=ignore)
    (tmp_path / "bin").mkdir()
    write_program(tmp_path / "bin", STAND_IN)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    return repository


def tune(repository: Path, *options: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["tune", "sample-v1", "--repository", str(repository), *options])
    assert ended.value.code == 0


def test_tuning_changes_batches_and_queues_and_nothing_else(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    towers = release_towers(read_manifest(repository, "sample-v1"))
    paths = [repository / tower.model / "config.pbtxt" for tower in towers]
    before = [read_config(path) for path in paths]
    tune(repository, "--dry-run")
    assert [read_config(path) for path in paths] == before
    tune(repository)
    assert "largest batch 8 → 4, interactive queue 64 → 20" in " ".join(
        capsys.readouterr().out.split()
    )
    for path, old in zip(paths, before, strict=True):
        new = read_config(path)
        profile = read_profile(new)
        assert (profile.max_batch_size, profile.interactive.max_requests) == (4, 20)
        assert profile.bulk == read_profile(old).bulk
        for field in ("max_batch_size", "dynamic_batching", "model_warmup"):
            new.ClearField(field)
            old.ClearField(field)
        assert new == old
    tune(repository)
    assert [read_profile(read_config(path)).max_batch_size for path in paths] == [4, 4]
