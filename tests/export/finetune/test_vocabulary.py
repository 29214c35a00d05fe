"""A learned vocabulary reads any text, and open_clip reads the vocabulary."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from export.finetune.vocabulary import END_ID, PAD_ID, START_ID, learn_vocabulary

TEXTS = ["red shoe", "a photo of a red shoe", "blue mug", "buy blue mugs", "shoe for sale"] * 3


@pytest.fixture(name="tokenizer", scope="module")
def a_tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    folder = tmp_path_factory.mktemp("vocabulary")
    learn_vocabulary(TEXTS, 320, 16, folder)
    return Tokenizer.from_file(str(folder / "tokenizer.json"))


@given(text=st.text())
def test_any_text_starts_and_ends_and_fits(tokenizer: Tokenizer, text: str) -> None:
    ids = tokenizer.encode(text).ids
    assert ids[0] == START_ID
    assert ids.count(END_ID) == 1
    assert set(ids[ids.index(END_ID) + 1 :]) <= {PAD_ID}
    assert len(ids) <= 16


def test_case_and_width_do_not_matter(tokenizer: Tokenizer) -> None:
    plain = tokenizer.encode("red shoe").ids
    assert tokenizer.encode(" RED Shoe").ids == plain
    assert tokenizer.encode("ｒｅｄ shoe").ids == plain  # noqa: RUF001 - full-width on purpose


def test_learning_twice_gives_the_same_file(tmp_path: Path) -> None:
    files = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        learn_vocabulary(reversed(TEXTS) if name == "b" else TEXTS, 320, 16, tmp_path / name)
        files.append((tmp_path / name / "tokenizer.json").read_bytes())
    assert files[0] == files[1]


def test_the_size_is_what_the_texts_have_to_give(tmp_path: Path) -> None:
    assert learn_vocabulary(["a"], 5000, 16, tmp_path) < 300
