"""Golden sets made from a catalogue: the same everywhere, and true."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from gateway.api.golden_file import read_golden, write_golden
from gateway.domain.items import Item
from gateway.services.golden_maker import MadeQuery, make_queries, same_name
from gateway.services.shopper_photo import Wear, shopper_photo

SHOE = Item("shoe", "Red Leather Shoe", ("shoe.png",), category="shoes")
TWIN = Item("twin", "red leather  shoe", ("twin.png",), category="shoes")
HAT = Item("hat", "Hat", ("hat.png",))
NAMES = same_name([SHOE, TWIN, HAT])


def drawing() -> bytes:
    """A red disc with a blue bar on nothing."""
    image = Image.new("RGBA", (128, 128), (0, 0, 0, 0))
    draw = ImageDraw.Draw(image)
    draw.ellipse((16, 16, 112, 112), fill=(220, 20, 20, 255))
    draw.rectangle((16, 60, 112, 70), fill=(20, 20, 220, 255))
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def by_variant(made: list[MadeQuery]) -> dict[str, MadeQuery]:
    return {query.row["variant"]: query for query in made}


def test_the_same_seed_makes_the_same_queries_and_another_one_others() -> None:
    one = make_queries(SHOE, drawing(), NAMES, seed=1)
    assert make_queries(SHOE, drawing(), NAMES, seed=1) == one
    other = make_queries(SHOE, drawing(), NAMES, seed=2)
    assert by_variant(other)["photo"].photo != by_variant(one)["photo"].photo


def test_an_items_queries_do_not_depend_on_the_others() -> None:
    alone = make_queries(HAT, drawing(), same_name([HAT]), seed=1)
    assert make_queries(HAT, drawing(), NAMES, seed=1) == alone


def test_words_mean_every_item_of_that_name_and_a_photo_only_its_own() -> None:
    made = by_variant(make_queries(SHOE, drawing(), NAMES, seed=0))
    assert made["title"].row["query"] == [{"text": "red leather shoe"}]
    for variant in ("title", "phrase", "typo"):
        assert made[variant].row["relevant"] == {"shoe": 1, "twin": 1}
        assert made[variant].row["kind"] == "text"
    for variant, kind in (("photo", "image"), ("detail and word", "hybrid")):
        assert made[variant].row["relevant"] == {"shoe": 1}
        assert made[variant].row["kind"] == kind
    assert made["detail and word"].row["query"][1]["text"] in {"red", "leather", "shoe"}
    assert "red leather shoe" in made["phrase"].row["query"][0]["text"]


def test_a_typo_is_one_slip_in_the_longest_word() -> None:
    for seed in range(30):
        typo = by_variant(make_queries(SHOE, drawing(), NAMES, seed))["typo"]
        words = typo.row["query"][0]["text"].split()
        assert (words[0], words[2]) == ("red", "shoe")
        assert words[1] != "leather"
        assert len(words[1]) in (6, 7, 8)
        assert set(words[1]) <= set("leather")


def test_a_word_too_short_for_a_typo_has_none() -> None:
    assert "typo" not in by_variant(make_queries(HAT, drawing(), NAMES, seed=0))


def test_what_is_made_can_be_read(tmp_path: Path) -> None:
    made = [q for item in (SHOE, HAT) for q in make_queries(item, drawing(), NAMES, seed=0)]
    (tmp_path / "photos").mkdir()
    for query in made:
        if query.photo_name:
            (tmp_path / query.photo_name).write_bytes(query.photo)
    write_golden(tmp_path / "golden.jsonl", (query.row for query in made))
    golden = read_golden(tmp_path / "golden.jsonl")
    assert len(golden.queries) == len(made) == 9
    assert {q.kind for q in golden.queries} == {"text", "image", "hybrid"}


def test_a_photo_shows_the_thing_on_a_background_of_its_own() -> None:
    reds = []
    for seed in range(12):
        data = shopper_photo(drawing(), np.random.default_rng(seed), Wear())
        with Image.open(io.BytesIO(data)) as photo:
            assert photo.format == "JPEG"
            assert min(photo.size) >= 200
            pixels = np.asarray(photo.convert("RGB"), np.int64)
        red = (pixels[..., 0] - pixels[..., 1:].max(axis=2)) > 60
        corner = pixels[:8, :8].reshape(-1, 3).mean(axis=0)
        reds.append(red.mean())
        assert not (corner > 250).all()  # no white paper
    assert min(reds) > 0.08  # the disc is a quarter of the canvas, in any light
    assert len({round(float(r), 3) for r in reds}) > 6  # and never twice the same


def test_what_is_no_picture_is_refused() -> None:
    with pytest.raises(OSError, match="cannot identify"):
        make_queries(SHOE, b"no picture", NAMES, seed=0)
