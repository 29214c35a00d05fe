"""Strings to token rows."""

from __future__ import annotations

import json
import random
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.errors import ReleaseInvalid
from gateway.domain.release import TextClean, TextTower
from gateway.preprocess.text import TextTokenizer, clean

PAD, START, END, UNKNOWN = 0, 1, 2, 3
WORDS = ["red", "blue", "shoe", "mug", "&", "café"]

TOKENIZER_JSON = json.dumps(
    {
        "version": "1.0",
        # What a tokenizer that was saved after use carries along; it must not count.
        "truncation": {
            "direction": "Right",
            "max_length": 3,
            "strategy": "LongestFirst",
            "stride": 0,
        },
        "padding": {
            "strategy": {"Fixed": 50},
            "direction": "Right",
            "pad_to_multiple_of": None,
            "pad_id": 9,
            "pad_type_id": 0,
            "pad_token": "<pad>",
        },
        "added_tokens": [],
        "normalizer": None,
        "pre_tokenizer": {"type": "WhitespaceSplit"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [
                {"SpecialToken": {"id": "<s>", "type_id": 0}},
                {"Sequence": {"id": "A", "type_id": 0}},
                {"SpecialToken": {"id": "</s>", "type_id": 0}},
            ],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}],
            "special_tokens": {
                "<s>": {"id": "<s>", "ids": [START], "tokens": ["<s>"]},
                "</s>": {"id": "</s>", "ids": [END], "tokens": ["</s>"]},
            },
        },
        "decoder": None,
        "model": {
            "type": "WordLevel",
            "vocab": {"<pad>": PAD, "<s>": START, "</s>": END, "<unk>": UNKNOWN}
            | {word: 4 + number for number, word in enumerate(WORDS)},
            "unk_token": "<unk>",
        },
    }
)


def tower(**changes: object) -> TextTower:
    """A text half with rows of 4, 8 and 12 tokens."""
    fields: dict[str, object] = {
        "model": "text",
        "buckets": (4, 8, 12),
        "pad_id": PAD,
        "end_id": END,
        "clean": TextClean.LOWER,
    }
    return TextTower(**(fields | changes))  # type: ignore[arg-type] # the fields of a test


def test_a_row_has_the_length_of_the_smallest_bucket_that_holds_it() -> None:
    tokenizer = TextTokenizer(TOKENIZER_JSON, tower())
    assert tokenizer.encode("").tolist() == [START, END, PAD, PAD]
    assert tokenizer.encode("red shoe").tolist() == [START, 4, 6, END]
    assert len(tokenizer.encode("red shoe blue")) == 8
    assert tokenizer.encode("red").dtype == np.int64


def test_a_text_that_is_too_long_is_cut_and_closed() -> None:
    row = TextTokenizer(TOKENIZER_JSON, tower()).encode("red " * 100)
    assert row.tolist() == [START, *[4] * 10, END]


def test_without_an_end_token_a_long_text_is_only_cut() -> None:
    row = TextTokenizer(TOKENIZER_JSON, tower(end_id=None)).encode("red " * 100)
    assert row.tolist() == [START, *[4] * 11]


def test_padding_uses_the_towers_own_token() -> None:
    row = TextTokenizer(TOKENIZER_JSON, tower(pad_id=7)).encode("")
    assert row.tolist() == [START, END, 7, 7]


def test_a_token_can_be_turned_to_zero() -> None:
    half = tower(pad_id=7, zeroed_id=END)
    assert TextTokenizer(TOKENIZER_JSON, half).encode("red").tolist() == [START, 4, 0, 7]


@pytest.mark.parametrize("buckets", [(), (8, 4), (4, 4)])
def test_buckets_that_do_not_ascend_are_refused(buckets: tuple[int, ...]) -> None:
    with pytest.raises(ReleaseInvalid, match="ascend"):
        TextTokenizer(TOKENIZER_JSON, tower(buckets=buckets))


@pytest.mark.parametrize("document", ["", "{}", "[1]", TOKENIZER_JSON[:-9]])
def test_a_damaged_document_is_refused(document: str) -> None:
    with pytest.raises(ReleaseInvalid, match="cannot be read"):
        TextTokenizer(document, tower())


@pytest.mark.parametrize(
    ("how", "text", "cleaned"),
    [
        (TextClean.NONE, "  A  &amp; B ", "  A  &amp; B "),
        (TextClean.LOWER, "  A  &amp;amp; B\n", "a & b"),
        (TextClean.WHITESPACE, "  A \t &amp; B ", "A & B"),
        (TextClean.WHITESPACE, "sch\u00c3\u00b6n \u201cA\u201d", 'schön "A"'),
        (TextClean.CANONICALIZE, "Men's  T-Shirt_red!", "mens tshirt red"),
        (TextClean.NONE, "a\ud800b", "a?b"),
    ],
)
def test_cleaning_follows_its_name(how: TextClean, text: str, cleaned: str) -> None:
    assert clean(text, how) == cleaned


PRINTABLE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E))


@given(text=PRINTABLE, how=st.sampled_from(sorted(set(TextClean) - {TextClean.NONE})))
def test_the_short_way_for_plain_ascii_changes_nothing(text: str, how: TextClean) -> None:
    # A zero-width joiner at the end takes the long way; ftfy keeps it, as it joins emoji.
    assert clean(text + " \u200d", how).removesuffix("\u200d").rstrip() == clean(text, how)


@given(text=st.text(max_size=300))
def test_every_string_gives_a_row_of_a_bucket(text: str) -> None:
    half = tower()
    row = TextTokenizer(TOKENIZER_JSON, half).encode(text)
    assert len(row) in half.buckets
    assert row[0] == START
    assert END in row


@given(text=st.text(st.characters(categories=("Cs", "L", "Z")), max_size=20))
@pytest.mark.parametrize("how", list(TextClean))
def test_lone_surrogates_do_no_harm(how: TextClean, text: str) -> None:
    TextTokenizer(TOKENIZER_JSON, tower(clean=how)).encode(text)


def test_a_short_query_takes_microseconds() -> None:
    """The gateway tokenises on its event loop, so the bound is what that allows, not the 10 us
    that it takes on an idle core."""
    tokenizer = TextTokenizer(TOKENIZER_JSON, tower())
    queries = [" ".join(random.Random(n).choices(WORDS[:4], k=4)) for n in range(500)]
    started = time.perf_counter()
    for query in queries:
        tokenizer.encode(query)
    assert (time.perf_counter() - started) / len(queries) < 500e-6
