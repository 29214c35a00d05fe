"""Benchmarks' figures, on numbers made by hand."""

from __future__ import annotations

from pathlib import Path

import typer
from typer.testing import CliRunner

from loadtest.bench import __main__ as bench
from loadtest.bench.closed_loop import raw
from loadtest.bench.figures import Figure, table
from loadtest.bench.gateway_cost import Cost


def test_a_figure_is_the_median_with_its_spread() -> None:
    assert Figure.of([3.0, 1.0, 10.0]) == Figure(3.0, 1.0, 10.0)
    assert str(Figure.of([3.0, 1.0, 10.0])) == "3.00 (1.00-10.00)"
    assert str(Figure.of([300.0, 100.4])) == "200 (100-300)"


def test_a_core_answers_as_many_as_its_time_allows() -> None:
    once = Figure(2.5, 2.0, 3.0)
    assert Cost(once, once).per_core_second == 400


def test_a_release_that_is_not_there_is_told_of_before_anything_is_measured(
    tmp_path: Path,
) -> None:
    app = typer.Typer()
    app.command()(bench.command)
    out = ["--out", str(tmp_path / "out")]
    for option in ("--release", "--int8"):
        told = CliRunner().invoke(app, [*out, option, "nosuch"])
        assert told.exit_code == 2
        assert "nosuch" in told.output
        assert "sample-v1" in told.output
    assert not (tmp_path / "out").exists()


def test_a_table_is_aligned() -> None:
    assert table(["way", "ms"], [["a", "1.5"], ["longer", "10"]]) == [
        "| way    |  ms |",
        "|--------|----:|",
        "| a      | 1.5 |",
        "| longer |  10 |",
    ]


def test_a_request_goes_over_the_wire_whole() -> None:
    assert raw("GET", "/x", None, "") == b"GET /x HTTP/1.1\r\nhost: shop\r\n\r\n"
    sent = raw("PUT", "/x", b"{}", "application/json")
    assert sent.endswith(b"content-type: application/json\r\ncontent-length: 2\r\n\r\n{}")
