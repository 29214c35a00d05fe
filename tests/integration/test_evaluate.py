"""`lookalike evaluate` as an engineer runs it: processes, real Triton, two real releases."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pytrec_eval")

from gateway.adapters.release_files import read_manifest, write_manifest
from gateway.domain.release import Interpolation, ResizeMode, fingerprint
from gateway.local.sample_catalog import render_pictures, sample_items
from gateway.local.triton_server import TritonOptions, TritonServer
from tests.integration.conftest import RELEASE, REPOSITORY
from tests.integration.processes import lookalike, serving

pytestmark = [pytest.mark.triton, pytest.mark.slow]

OTHER = "squashed-v1"
ITEMS = 120
GOLDEN_ITEMS = 30
# A golden set of five queries an item, less the typos of short names.
LEAST_QUERIES = 4 * GOLDEN_ITEMS
WIDTH = 80


@dataclass(frozen=True)
class Stand:
    """A catalogue indexed with both releases, and a golden set made from it."""

    settings: dict[str, str]
    pictures: Path
    golden: Path

    def evaluate(
        self, *arguments: str, settings: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """`lookalike evaluate …` in a terminal of 80 columns."""
        given = self.settings | (settings or {})
        return lookalike(given, "evaluate", *arguments, columns=WIDTH)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """`lookalike evaluate run …` on the golden set."""
        return self.evaluate("run", *arguments, "--golden", str(self.golden))

    def numbers(self, folder: Path, *arguments: str) -> dict[str, Any]:
        """What it writes as JSON."""
        path = folder / "numbers.json"
        done = self.run(*arguments, "--json", str(path))
        assert done.returncode == 0, done.stderr
        numbers: dict[str, Any] = json.loads(path.read_text())
        return numbers


def second_release(repository: Path) -> None:
    """The sample's towers under another name, fed with other pixels: proportions are lost, edges
    are filtered in another way. Another fingerprint, other vectors, and no PyTorch needed."""
    for tower in ("image", "text"):
        folder = repository / f"{OTHER}-{tower}"
        shutil.copytree(repository / f"{RELEASE}-{tower}", folder)
        config = folder / "config.pbtxt"
        config.write_text(config.read_text().replace(f"{RELEASE}-{tower}", f"{OTHER}-{tower}"))
    for suffix in ("golden.npz", "tokenizer.json"):
        shutil.copy(repository / f"{RELEASE}.{suffix}", repository / f"{OTHER}.{suffix}")
    first = read_manifest(repository, RELEASE)
    image = replace(
        first.image,
        model=f"{OTHER}-image",
        resize_mode=ResizeMode.SQUASH,
        interpolation=Interpolation.BILINEAR,
    )
    text = replace(first.text, model=f"{OTHER}-text")
    tokenizer_digest = first.digests[first.tokenizer_file]
    release = replace(
        first,
        id=OTHER,
        image=image,
        text=text,
        tokenizer_file=f"{OTHER}.tokenizer.json",
        golden_file=f"{OTHER}.golden.npz",
        fingerprint=fingerprint(first.weights, tokenizer_digest, image, text, first.precision),
        digests={name.replace(RELEASE, OTHER): value for name, value in first.digests.items()},
    )
    assert release.fingerprint != first.fingerprint
    write_manifest(repository, release)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The committed model repository with a second release in it."""
    folder = tmp_path_factory.mktemp("models") / "repository"
    shutil.copytree(REPOSITORY, folder)
    second_release(folder)
    return folder


@pytest.fixture(scope="module")
def both(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonServer]:
    """Triton with both releases loaded."""
    models = [f"{release}-{tower}" for release in (RELEASE, OTHER) for tower in ("image", "text")]
    log = tmp_path_factory.mktemp("triton") / "triton.log"
    with TritonServer(TritonOptions(repository, models, log)) as server:
        yield server


@pytest.fixture(scope="module")
def stand(both: TritonServer, repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Stand:
    folder = tmp_path_factory.mktemp("shop")
    samples = sample_items()[:ITEMS]
    render_pictures(samples, folder / "pictures", lambda _: None)
    rows = [
        {"id": s.item.id, "title": s.item.title, "pictures": list(s.item.pictures),
         "category": s.item.category}
        for s in samples
    ]  # fmt: skip
    catalogue = folder / "pictures" / "items.jsonl"
    catalogue.write_text("\n".join(json.dumps(row) for row in rows))
    settings = {
        "triton": both.endpoint,
        "model_repository": str(repository),
        "edge_folder": str(folder / "index"),
    }
    for release in (RELEASE, OTHER):
        done = lookalike(settings, "index", "--catalog", str(catalogue), "--release", release)
        assert done.returncode == 0, done.stderr
    made = lookalike(
        settings, "evaluate", "make-golden", "--catalog", str(catalogue), "--out",
        str(folder / "golden"), "--items", str(GOLDEN_ITEMS),
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    return Stand(settings, folder / "pictures", folder / "golden" / "golden.jsonl")


def readable(run: subprocess.CompletedProcess[str]) -> str:
    """What was printed, which must be one row a line in 80 columns, and never a traceback."""
    assert "Traceback" not in run.stderr, run.stderr
    # A path is as long as it is, and printed whole so that it can be copied.
    lines = [
        line for line in run.stdout.splitlines() if not re.match("(report|calibration): ", line)
    ]
    assert max(len(line) for line in lines) <= WIDTH, run.stdout
    return run.stdout


def cells(output: str) -> list[list[str]]:
    """The rows of all tables."""
    lines = [line for line in output.splitlines() if line.startswith("│")]
    return [[cell.strip() for cell in line.strip("│").split("│")] for line in lines]


def test_a_golden_set_is_made_from_a_catalogue(stand: Stand) -> None:
    rows = [json.loads(line) for line in stand.golden.read_text().splitlines()]
    assert LEAST_QUERIES <= len(rows) <= 5 * GOLDEN_ITEMS
    assert {row["kind"] for row in rows} == {"text", "image", "hybrid"}
    assert len({item for row in rows for item in row["relevant"]}) >= GOLDEN_ITEMS


def test_a_gate_that_holds_exits_0_and_one_that_breaks_exits_1(
    stand: Stand, tmp_path: Path
) -> None:
    floors = ("--min", "recall@10=0.5", "--min", "image:mrr@10=0.3")
    held = stand.run(RELEASE, *floors)
    assert held.returncode == 0, held.stderr
    printed = readable(held)
    assert printed.count("held ") == 2
    assert "BROKEN" not in printed

    report = tmp_path / "report.html"
    broken = stand.run(
        RELEASE, "--min", "recall@10=0.5", "--min", "ndcg@10=1", "--report", str(report)
    )
    assert broken.returncode == 1
    assert "The release is below a floor." in broken.stderr
    [line] = [line for line in readable(broken).splitlines() if line.startswith("BROKEN")]
    assert line.startswith("BROKEN ndcg@10 ≥ 1: 0.")
    assert line.endswith("]")
    assert "broken" in report.read_text()  # also a release that fails has its report


def test_every_row_of_the_table_is_one_line_of_numbers(stand: Stand) -> None:
    table = cells(readable(stand.run(RELEASE)))
    means = [row for row in table if len(row) == 7 and row[1].isdigit()]
    names = [row[0] for row in means]
    assert names[:4] == ["all", "hybrid", "image", "text"]
    assert {"photo", "detail and word", "title", "phrase", "typo"} <= set(names)
    for row in means:
        assert all(0 <= float(value) <= 1 for value in row[2:])
    assert int(means[0][1]) == sum(int(row[1]) for row in means[1:4]) >= LEAST_QUERIES


def test_a_small_collection_is_said_to_be_scanned(stand: Stand, tmp_path: Path) -> None:
    printed = readable(stand.run(RELEASE))
    assert f"{ITEMS} pictures are too few for a graph, so they are scanned" in printed
    beams = stand.numbers(tmp_path, RELEASE, "--ef", "64", "--ef", "16")["beams"]
    assert (beams["graph"], beams["points"]) == (False, ITEMS)
    assert [(beam["ef"], beam["recall"]) for beam in beams["beams"]] == [(16, 1.0), (64, 1.0)]
    assert beams["exact"]["p50_s"] > 0


def test_two_releases_are_compared_query_by_query(stand: Stand, tmp_path: Path) -> None:
    report = tmp_path / "report.html"
    path = tmp_path / "both.json"
    done = stand.run(
        RELEASE, "--against", OTHER, "--json", str(path), "--report", str(report),
        "--pictures", str(stand.pictures),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    printed = readable(done)
    assert f"{OTHER} minus {RELEASE}" in printed
    assert "overlap@10: " in printed

    both = json.loads(path.read_text())
    alone = {
        release: stand.numbers(tmp_path, release)["evaluation"] for release in (RELEASE, OTHER)
    }
    # The other release changes nothing in how the first is measured, nor the first in the other.
    assert both["evaluation"] == alone[RELEASE]
    assert both["against"] == alone[OTHER]
    comparison = both["comparison"]
    for metric, difference in comparison["overall"].items():
        first, second = (
            alone[release]["overall"]["metrics"][metric]["mean"] for release in (RELEASE, OTHER)
        )
        assert (difference["first"], difference["second"]) == pytest.approx((first, second))
        assert difference["difference"]["mean"] == pytest.approx(second - first)
        assert 0 < difference["p_value"] <= 1
    # Other pixels, other answers; but the words are the same, so full text still agrees.
    assert 0.2 < comparison["overlap"]["mean"] < 1

    html = report.read_text()
    assert f"Release {RELEASE} against {OTHER}" in html
    assert f"{comparison['overall']['ndcg@10']['p_value']:.4f}" in html
    assert html.count("data:image/jpeg;base64,") > 10
    assert "no picture" not in html


def test_a_release_against_itself_does_not_differ(stand: Stand, tmp_path: Path) -> None:
    comparison = stand.numbers(tmp_path, RELEASE, "--against", RELEASE)["comparison"]
    assert comparison["overlap"] == {"mean": 1.0, "low": 1.0, "high": 1.0}
    for one in comparison["overall"].values():
        assert (one["difference"]["mean"], one["p_value"]) == (0, 1)


def test_a_gateway_from_outside_has_the_figures_of_the_search_in_process(
    stand: Stand, tmp_path: Path
) -> None:
    inside = stand.numbers(tmp_path, RELEASE, "--queries", "60")
    with serving(stand.settings) as (_, url):
        outside = stand.numbers(tmp_path, RELEASE, "--queries", "60", "--gateway", url)
        both = stand.numbers(
            tmp_path, RELEASE, "--queries", "60", "--gateway", url, "--against", OTHER
        )
        wrong = stand.run("nope", "--gateway", url)
    assert outside["evaluation"] == both["evaluation"] == inside["evaluation"]
    assert both["against"]["release"] == OTHER
    assert (outside["queries"], outside["beams"]) == (60, None)
    assert wrong.returncode == 1
    assert "No collection of release 'nope' is kept here" in wrong.stderr


def test_calibrating_writes_a_cutoff_for_each_kind(
    stand: Stand, repository: Path, tmp_path: Path
) -> None:
    path = tmp_path / "cutoffs.json"
    done = stand.run(RELEASE, "--calibrate", str(path))
    assert done.returncode == 0, done.stderr
    assert f"{RELEASE}: no good match below this cosine" in readable(done)
    found = json.loads(path.read_text())
    assert found["release"] == RELEASE
    assert found["fingerprint"] == read_manifest(repository, RELEASE).fingerprint
    assert set(found["cutoffs"]) == {"text", "image", "hybrid"} == set(found["rates"])
    for kind, rates in found["rates"].items():
        assert found["cutoffs"][kind] == rates["cosine"]
        assert -1 <= rates["cosine"] <= 1
        assert rates["true_positive_rate"] >= 0.95
        # A shop without the thing is told apart from one with it, better than by a coin.
        assert rates["auc"] > 0.6
        assert rates["hopeless"] >= rates["right"]


def test_tuning_prints_a_table_that_fits(stand: Stand, tmp_path: Path) -> None:
    path = tmp_path / "tuned.json"
    done = stand.evaluate("tune", RELEASE, "--golden", str(stand.golden), "--json", str(path))
    assert done.returncode == 0, done.stderr
    table = cells(readable(done))
    legs = [row for row in table if len(row) == 6 and row[1].isdigit()]
    assert [row[0] for row in legs] == [
        "all", "hybrid", "text", "detail and word", "phrase", "title", "typo",
    ]  # fmt: skip
    for row in legs:
        for cell in row[2:]:
            assert len(cell.split()) == 2
            assert all(0 <= float(value) <= 1 for value in cell.split())
    report = json.loads(path.read_text())
    assert report["tuned_on"] + report["reported_on"] == 2 * int(legs[0][1]) - (
        report["reported_on"] - report["tuned_on"]
    )
    means = [point["mean"] for point in report["grid"]]
    assert max(means) >= means[0]


MISTAKES: dict[str, tuple[list[str], str]] = {
    "floor without a value": (["--min", "recall@10"], "--min recall@10 is no floor"),
    "floor of no metric": (["--min", "recall@7=0.5"], "--min recall@7=0.5 is no floor"),
    "floor above 1": (["--min", "recall@10=90"], "the value is a number from 0 to 1"),
    "no gateway there": (["--gateway", "http://127.0.0.1:1"], "127.0.0.1:1 cannot be reached"),
    "no address": (["--gateway", "localhost:8080"], "write http://HOST:PORT"),
    "calibrating a gateway": (
        ["--gateway", "http://127.0.0.1:1", "--calibrate", "x.json"], "leave out --gateway"),
    "against an unknown release": (["--against", "nope"], "has no release 'nope'"),
    "report into nowhere": (["--report", "nowhere/r.html"], "there is no folder nowhere"),
    "json onto a folder": (["--json", "/"], "/ is a folder"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_a_sentence_and_exit_code_1(stand: Stand, mistake: str) -> None:
    arguments, sentence = MISTAKES[mistake]
    run = stand.run(RELEASE, *arguments)
    assert run.returncode == 1
    assert sentence in run.stderr
    assert "Traceback" not in run.stderr
    assert "means" not in run.stdout  # nothing was measured first


def test_triton_that_is_away_is_a_sentence(stand: Stand) -> None:
    run = stand.evaluate(
        "run", RELEASE, "--golden", str(stand.golden), settings={"triton": "127.0.0.1:1"}
    )
    assert run.returncode == 1
    assert "Triton cannot be reached" in run.stderr
    assert "Traceback" not in run.stderr


def test_a_golden_set_of_another_shop_is_refused(stand: Stand, tmp_path: Path) -> None:
    rows = [
        {"id": "mine", "query": [{"text": "pizza"}], "relevant": {"sku-1": 1, "sku-2": 2}},
        {"id": "[/b]", "query": [{"text": "pizza"}], "relevant": {"sku-1": 1}},
    ]
    path = tmp_path / "other.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows))
    run = stand.evaluate("run", RELEASE, "--golden", str(path))
    assert run.returncode == 1
    assert "2 of the golden set's 2 items are not in the catalogue" in run.stderr
    assert "in query mine." in run.stderr


def test_names_that_look_like_markup_are_printed_as_they_are(stand: Stand, tmp_path: Path) -> None:
    item = json.loads(stand.golden.read_text().splitlines()[0])["relevant"]
    row = {"query": [{"text": "a"}], "relevant": item, "variant": "[/b] [red]", "category": "[/]"}
    path = tmp_path / "golden[red].jsonl"
    path.write_text(json.dumps(row))
    run = stand.evaluate("run", RELEASE, "--golden", str(path))
    assert run.returncode == 0, run.stderr
    assert "golden[red].jsonl" in run.stdout
    assert {"[/b] [red]", "[/]"} <= {row[0] for row in cells(readable(run))}
