"""Rows are read alike from both formats, and every bad one is named by its line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from export.finetune.errors import BadPairs
from export.finetune.pairs import Row, products_of, read_rows


def test_csv_and_jsonl_give_the_same_rows(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("image,text,group,split\nx.png,red shoe|shoe,7,train\n")
    (tmp_path / "a.jsonl").write_text(
        json.dumps({"image": "x.png", "text": ["red shoe", "shoe"], "group": 7, "split": "train"})
    )
    expected = [Row(tmp_path / "x.png", ("red shoe", "shoe"), "7", held_out=False)]
    assert read_rows(tmp_path / "a.csv", 0.5) == expected
    assert read_rows(tmp_path / "a.jsonl", 0.5) == expected


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("{", "line 2: not JSON"),
        ("[]", "line 2: expected an object"),
        ('{"text": "a"}', 'line 2: "image"'),
        ('{"image": "a.png"}', 'line 2: "text"'),
        ('{"image": "a.png", "text": [1]}', 'line 2: "text"'),
        ('{"image": "a.png", "text": " "}', 'line 2: "text" is empty'),
        ('{"image": "a.png", "text": "a", "split": "dev"}', 'line 2: "split"'),
        ('{"image": "a.png", "text": "a", "weight": -1}', 'line 2: "weight"'),
        ('{"image": "a.png", "text": "a", "weight": "much"}', 'line 2: "weight"'),
    ],
)
def test_a_bad_row_is_named_by_its_line(tmp_path: Path, line: str, complaint: str) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_text('{"image": "a.png", "text": "a"}\n' + line + "\n")
    with pytest.raises(BadPairs, match=complaint):
        read_rows(path, 0.1)


def test_a_missing_file_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(BadPairs, match="cannot be read"):
        read_rows(tmp_path / "none.jsonl", 0.1)


def test_text_that_is_not_utf8_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "pairs.jsonl").write_bytes(b'{"image": "\xff"}')
    with pytest.raises(BadPairs, match="not UTF-8"):
        read_rows(tmp_path / "pairs.jsonl", 0.1)


def test_pictures_of_one_product_are_all_held_out_or_none(tmp_path: Path) -> None:
    lines = [
        json.dumps({"image": f"{group}-{view}.png", "text": "x", "group": group})
        for group in range(200)
        for view in range(3)
    ]
    (tmp_path / "pairs.jsonl").write_text("\n".join(lines))
    rows = read_rows(tmp_path / "pairs.jsonl", 0.2)
    splits: dict[str, set[bool]] = {}
    for row in rows:
        splits.setdefault(row.group, set()).add(row.held_out)
    assert all(len(split) == 1 for split in splits.values())
    share = sum(split == {True} for split in splits.values()) / len(splits)
    assert 0.1 < share < 0.3


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["x", "y", "z"]))))
def test_products_hold_every_row_once_and_every_text(pairs: list[tuple[str, str]]) -> None:
    rows = [Row(Path("p"), (text,), group, held_out=False) for group, text in pairs]
    products = products_of(enumerate(rows))
    assert sorted(row for product in products for row in product.rows) == list(range(len(rows)))
    for product in products:
        groups = {rows[number].group for number in product.rows}
        assert len(groups) == 1
        assert set(product.texts) == {text for group, text in pairs if group in groups}
