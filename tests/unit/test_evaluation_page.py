"""The HTML report: what it shows of a run on the toy shop, and that it is one safe file."""

from __future__ import annotations

import asyncio
import base64
import io
import re
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

pytest.importorskip("pytrec_eval")

from gateway.cli.evaluation_page import page
from gateway.cli.evaluation_pictures import WorstQuery, thumbnail, worst_queries
from gateway.domain.items import Item
from gateway.services.approximate_recall import BeamCurve, BeamPoint, Latency
from gateway.services.evaluation import compare_releases, evaluate, worst
from gateway.services.evaluation_report import EvaluationReport
from gateway.services.golden_set import GoldenQuery
from gateway.services.quality_gate import check_floors, parse_floor
from gateway.services.subject import AS_ASKED, ReleaseInProcess
from tests.fakes import picture
from tests.golden import golden_set, photo, words
from tests.shop import ITEMS, Shop, open_shop

RELEASE = "colours-v1"
EVIL = "<script>alert('1')</script>"
ROWS = (
    photo("green", {"white-shirt": 1}, id="third", variant="photo", category="shirts"),
    words("yellow", {"white-shirt": 1}, id="second", variant="title", category="hats")
    | {"mode": "vector"},
    words("shirt", {"white-shirt": 1}, id="first", variant="title", category="shirts")
    | {"mode": "text"},
)
SCANNED = BeamCurve(3, 6, False, Latency(0.001, 0.002), (BeamPoint(16, 1.0, Latency(1e-3, 2e-3)),))
WALKED = BeamCurve(
    queries=3,
    points=200_000,
    graph=True,
    exact=Latency(0.02, 0.03),
    beams=(
        BeamPoint(16, 0.91, Latency(0.001, 0.002)),
        BeamPoint(64, 0.97, Latency(0.002, 0.003)),
        BeamPoint(256, 0.995, Latency(0.004, 0.005)),
    ),
)


class Reading(HTMLParser):
    """Every tag with its attributes, and the text of each kind of element."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.texts: list[tuple[str, str]] = []
        self._open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if self._open:
            self.texts.append((self._open[-1], data))

    def all(self, tag: str, **attributes: str) -> list[dict[str, str]]:
        """The attributes of the elements that have at least these."""
        return [a for t, a in self.tags if t == tag and attributes.items() <= a.items()]

    def text(self, tag: str = "") -> list[str]:
        return [text for t, text in self.texts if tag in ("", t)]


async def ran(
    shop: Shop, golden: Sequence[GoldenQuery], beams: BeamCurve | None = None
) -> tuple[EvaluationReport, list[WorstQuery]]:
    subject = ReleaseInProcess(RELEASE, shop.gateway.search)
    found = await evaluate(subject, golden, AS_ASKED, 0, lambda _: None)
    floors = check_floors(
        found,
        [parse_floor(text) for text in ("recall@10=0.9", "image:mrr@10=0.5", "hybrid:mrr@10=0")],
    )
    report = EvaluationReport(
        "golden.jsonl", len(golden), 7, 0, 1.0, found, None, None, beams, floors
    )
    by_id = {query.id: query for query in golden}
    return report, await worst_queries(worst(found, 10), by_id, subject, shop.pictures)


async def test_every_bar_has_its_interval_and_its_figures(shop: Shop, tmp_path: Path) -> None:
    report, worst_of_it = await ran(shop, golden_set(tmp_path, *ROWS))
    html = Reading(page(report, worst_of_it))
    # Three metrics of all, image and text.
    assert len(html.all("rect", **{"class": "s0"})) == 9
    assert len(html.all("path", **{"class": "whisker"})) == 9
    ndcg = report.evaluation.overall.metrics["ndcg@10"]
    assert f"{ndcg.mean:.3f} [{ndcg.low:.3f}, {ndcg.high:.3f}]" in html.text("text")
    assert "3 of the 7 queries in golden.jsonl" in " ".join(html.text("p"))
    assert not html.all("rect", **{"class": "s1"})


async def test_a_bar_is_as_long_as_its_mean(shop: Shop, tmp_path: Path) -> None:
    report, _ = await ran(shop, golden_set(tmp_path, *ROWS))
    html = Reading(page(report, []))
    first = [float(bar["width"]) for bar in html.all("rect", **{"class": "s0"})][:3]
    # recall@1: a third of all, no image, one of two texts.
    assert first == pytest.approx([first[2] * 2 / 3, 0, first[2]], abs=0.2)


async def test_the_gate_shows_what_was_found_beside_each_floor(shop: Shop, tmp_path: Path) -> None:
    report, _ = await ran(shop, golden_set(tmp_path, *ROWS))
    html = Reading(page(report, []))
    assert [t for t in html.text("span") if t in ("held", "broken")] == ["held", "broken", "broken"]
    assert "0.333 [0.333, 0.333]" in html.text("td")
    assert "not measured" in html.text("td")


async def test_the_worst_queries_stand_with_their_pictures_inside(
    shop: Shop, tmp_path: Path
) -> None:
    report, worst_of_it = await ran(shop, golden_set(tmp_path, *ROWS))
    assert [one.query.id for one in worst_of_it] == ["third", "second"]
    html = Reading(page(report, worst_of_it))
    assert [t.partition(" ")[0] for t in html.text("h3")] == ["third", "second"]
    assert html.text("q") == ["yellow"]
    images = html.all("img")
    # The photo, and for each of both: the one that was wanted and the first five that came.
    assert len(images) == 1 + 2 * (1 + 5)
    assert all(image["src"].startswith("data:image/jpeg;base64,") for image in images)
    assert [image["alt"] for image in images[:3]] == [
        "the query's picture", "White shirt", "Green shoe",
    ]  # fmt: skip
    green = colour(images[0]["src"])
    assert green[1] > 200
    assert max(green[0], green[2]) < 60
    assert "rank 3" in html.text("small")
    # The right one is marked where it was wanted and where it came.
    assert len(html.all("figure", **{"class": "right"})) == 4


def colour(uri: str) -> tuple[int, ...]:
    with Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))) as image:
        found = image.getpixel((5, 5))
    assert isinstance(found, tuple)
    return tuple(int(part) for part in found)


async def test_an_item_that_is_not_found_says_so_and_a_lost_picture_leaves_its_place(
    shop: Shop, tmp_path: Path
) -> None:
    shop.pictures.pictures.pop("white.png")
    row = words("hat", {"white-shirt": 1}) | {"mode": "text"}
    report, worst_of_it = await ran(shop, golden_set(tmp_path, row))
    html = Reading(page(report, worst_of_it))
    assert "not in the first 10" in html.text("small")
    assert "no picture" in html.text("span")


async def test_a_perfect_release_has_no_worst_queries(shop: Shop, tmp_path: Path) -> None:
    report, worst_of_it = await ran(shop, golden_set(tmp_path, ROWS[2]))
    assert worst_of_it == []
    assert "None: every answer is perfect." in page(report, worst_of_it)


async def test_a_curve_is_drawn_for_a_graph_only(shop: Shop, tmp_path: Path) -> None:
    golden = golden_set(tmp_path, *ROWS)
    walked = Reading(page((await ran(shop, golden, WALKED))[0], []))
    assert len(walked.all("circle")) == 3
    places = [(float(c["cx"]), float(c["cy"])) for c in walked.all("circle")]
    assert places == sorted(places)
    assert [y for _, y in places] == sorted((y for _, y in places), reverse=True)
    assert {"16", "64", "256", "exact 20.00 ms"} <= set(walked.text("text"))
    assert {"0.9100", "0.9950", "1.00", "20.00"} <= set(walked.text("td"))
    assert "3 queries on 200,000 pictures" in " ".join(walked.text("p"))

    scanned = Reading(page((await ran(shop, golden, SCANNED))[0], []))
    assert not scanned.all("circle")
    assert "6 pictures are too few for a graph" in " ".join(scanned.text("p"))

    outside = page((await ran(shop, golden, None))[0], [])
    assert "The approximate index" not in outside


async def test_two_releases_stand_side_by_side_with_their_differences(
    shop: Shop, tmp_path: Path
) -> None:
    report, _ = await ran(shop, golden_set(tmp_path, *ROWS))
    # The other one finds the white shirt first where this one finds it third.
    better = golden_set(tmp_path, photo("white", {"white-shirt": 1}, id="third"), *ROWS[1:])
    other = (await ran(shop, better))[0].evaluation
    second = replace(other, release="colours-v2")
    comparison = compare_releases(report.evaluation, second, 0)
    both = replace(report, against=second, comparison=comparison)
    html = Reading(page(both, []))
    assert html.text("h1") == ["Release colours-v1 against colours-v2"]
    assert len(html.all("rect", **{"class": "s0"})) == 9 + 1  # and the legend's
    assert len(html.all("rect", **{"class": "s1"})) == 9 + 1
    assert "colours-v2 minus colours-v1" in html.text("h2")
    cells = html.text("td")
    for one in (comparison.overall["mrr@10"], comparison.kinds["image"]["recall@1"]):
        place = cells.index(f"{one.p_value:.4f}")
        assert place > 0
        assert (
            f"{one.difference.mean:+.3f} [{one.difference.low:+.3f}, {one.difference.high:+.3f}]"
            in cells
        )
    assert "image: recall@1" in cells
    assert comparison.overall["mrr@10"].difference.mean == pytest.approx(2 / 3 / 3)


def test_what_comes_from_files_is_text_and_never_markup(tmp_path: Path) -> None:
    """Titles, ids, categories, words, names of files and of releases."""
    evil = Item("evil" + EVIL, EVIL, ("red.png",), category=EVIL)
    labels = {"variant": EVIL, "category": EVIL}
    wanted = words("hat", {evil.id: 1}, id=EVIL, **labels) | {"mode": "text"}
    came = words(EVIL, {"blue-hat": 1}, id="came", **labels)

    async def made() -> str:
        async with open_shop(tmp_path / "index", [evil, *ITEMS[1:]]) as shop:
            report, worst_of_it = await ran(shop, golden_set(tmp_path, wanted, came))
            assert [one.wanted[0][0].title for one in worst_of_it] == [EVIL, "Blue hat"]
            assert worst_of_it[1].outcome.answer[0].title == EVIL
            named = replace(report.evaluation, release=EVIL)
            against = compare_releases(named, named, 0)
            return page(
                replace(report, golden=EVIL, evaluation=named, against=named, comparison=against),
                worst_of_it,
            )

    html = asyncio.run(made())
    reading = Reading(html)
    assert not reading.all("script")
    assert "<script" not in html
    assert EVIL in reading.text("title")[0]
    assert EVIL in " ".join(reading.text())
    assert not [name for _, attributes in reading.tags for name in attributes if name[:2] == "on"]


async def test_the_page_asks_nothing_of_the_network(shop: Shop, tmp_path: Path) -> None:
    report, worst_of_it = await ran(shop, golden_set(tmp_path, *ROWS), WALKED)
    html = page(report, worst_of_it)
    assert not re.search(r"https?:|url\(|@import|<link|<iframe", html)
    assert {a["src"][:5] for a in Reading(html).all("img")} == {"data:"}


@pytest.mark.parametrize("data", [b"", b"no picture", picture("red")[:40]])
def test_what_is_no_picture_has_no_thumbnail(data: bytes) -> None:
    assert thumbnail(data) == ""


def test_a_thumbnail_is_small_upright_and_on_white() -> None:
    out = io.BytesIO()
    Image.new("RGBA", (400, 200), (0, 0, 0, 0)).save(out, "PNG")
    uri = thumbnail(out.getvalue())
    with Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))) as image:
        assert image.size == (96, 48)
    assert min(colour(uri)) > 250
