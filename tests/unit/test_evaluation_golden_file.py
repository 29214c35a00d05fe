"""Golden sets as files: what is read, and what a mistake in one is answered with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.api.golden_file import read_golden, write_golden
from gateway.api.search_schemas import SearchIn
from gateway.domain.errors import GoldenInvalid
from gateway.domain.query import ImagePart, ItemPart, Mode, TextPart
from gateway.services.golden_set import QueryKind, halves
from tests.fakes import picture

WORDS = {"query": [{"text": "red shoe"}], "relevant": {"red-shoe": 1}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "red.png").write_bytes(picture("red"))
    return tmp_path


def written(folder: Path, *rows: dict[str, Any]) -> Path:
    path = folder / "golden.jsonl"
    assert write_golden(path, rows) == len(rows)
    return path


def test_a_query_is_the_apis_own_with_the_picture_from_its_file(folder: Path) -> None:
    row = {
        "id": "q1", "variant": "by hand", "category": "shoes", "mode": "vector",
        "query": [{"image_file": "photos/red.png", "weight": 2, "crop": [0, 0, 1, 0.5]},
                  {"item": "blue-hat", "weight": -0.5}, {"text": "shoe"}],
        "filter": {"must": [{"key": "category", "match": {"value": "shoes"}}]},
        "relevant": {"red-shoe": 2, "green-shoe": 1, "blue-hat": 0},
    }  # fmt: skip
    golden = read_golden(written(folder, row))
    [one] = golden.queries
    assert (golden.name, golden.total) == ("golden.jsonl", 1)
    assert (one.id, one.kind, one.variant, one.category) == ("q1", "hybrid", "by hand", "shoes")
    assert one.relevant == {"red-shoe": 2, "green-shoe": 1}
    image, item, text = one.query.parts
    assert isinstance(image, ImagePart)
    assert (image.data, image.weight) == (picture("red"), 2)
    assert item == ItemPart("blue-hat", -0.5)
    assert text == TextPart("shoe")
    assert one.query.mode is Mode.VECTOR
    # What goes over HTTP means the same.
    assert SearchIn.model_validate(one.request()).to_domain() == one.query


def test_the_kind_is_the_querys_unless_the_line_says_otherwise(folder: Path) -> None:
    look = {"query": [{"image_file": "photos/red.png"}], "relevant": {"a": 1}}
    like = {"query": [{"item": "a"}], "relevant": {"b": 1}, "kind": "hybrid"}
    kinds = [q.kind for q in read_golden(written(folder, WORDS, look, like)).queries]
    assert kinds == [QueryKind.TEXT, QueryKind.IMAGE, QueryKind.HYBRID]


def test_blank_lines_are_nothing_and_a_line_without_id_has_its_number(folder: Path) -> None:
    path = folder / "golden.jsonl"
    path.write_text(f"\n{json.dumps(WORDS)}\n\n{json.dumps(WORDS)}\n")
    assert [query.id for query in read_golden(path).queries] == ["2", "4"]


BAD = {
    "no-json": ('{"query": [', "line 2: no JSON"),
    "no-object": ("[1]", "line 2: no JSON object"),
    "no-relevant": ('{"query": [{"text": "a"}]}', "line 2: relevant: Field required"),
    "no-query": ('{"relevant": {"a": 1}}', "line 2: query: Field required"),
    "nothing-right": (
        '{"query": [{"text": "a"}], "relevant": {"a": 0}}', "line 2: relevant: at least one"),
    "grade": ('{"query": [{"text": "a"}], "relevant": {"a": "x"}}', "line 2: relevant.a: "),
    "misspelt": (
        '{"query": [{"text": "a"}], "relevant": {"a": 1}, "categry": "x"}', "line 2: categry: "),
    "part": ('{"query": [{"txt": "a"}], "relevant": {"a": 1}}', "line 2: query.0"),
    "kind": ('{"query": [{"text": "a"}], "relevant": {"a": 1}, "kind": "sound"}', "line 2: kind: "),
    "missing-picture": (
        '{"query": [{"image_file": "photos/blue.png"}], "relevant": {"a": 1}}',
        "line 2: the picture photos/blue.png does not exist."),
    "same-id": ('{"id": "1", "query": [{"text": "a"}], "relevant": {"a": 1}}', "stood in line 1"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", BAD)
def test_a_bad_line_is_one_sentence_that_names_it(folder: Path, mistake: str) -> None:
    line, sentence = BAD[mistake]
    path = folder / "golden.jsonl"
    path.write_text(f"{json.dumps(WORDS)}\n{line}\n")
    with pytest.raises(GoldenInvalid) as caught:
        read_golden(path, most=1)  # also lines that are not drawn are checked
    assert sentence in caught.value.detail
    assert "\n" not in caught.value.detail
    assert caught.value.detail.startswith("golden.jsonl, line 2: ")


def test_a_file_that_is_missing_or_empty_is_a_sentence(folder: Path) -> None:
    with pytest.raises(GoldenInvalid, match="cannot be read"):
        read_golden(folder / "nowhere.jsonl")
    with pytest.raises(GoldenInvalid, match="holds no query"):
        read_golden(written(folder))


def test_a_draw_is_the_seeds_and_keeps_the_files_order(folder: Path) -> None:
    rows = [WORDS | {"id": f"{n:03}"} for n in range(100)]
    path = written(folder, *rows)
    drawn = [q.id for q in read_golden(path, most=20, seed=1).queries]
    assert len(drawn) == 20
    assert drawn == sorted(drawn)
    assert drawn == [q.id for q in read_golden(path, most=20, seed=1).queries]
    assert drawn != [q.id for q in read_golden(path, most=20, seed=2).queries]
    assert read_golden(path, most=20).total == 100
    assert len(read_golden(path, most=0).queries) == 100


def test_halves_share_nothing_and_lose_nothing() -> None:
    rows = list(range(101))
    one, other = halves(rows, seed=3)
    assert sorted(one + other) == rows
    assert abs(len(one) - len(other)) == 1
    assert halves(rows, seed=3) == (one, other)
    assert halves(rows, seed=4) != (one, other)
