"""Every open_clip tokenizer gives its ids through the document as well."""

from __future__ import annotations

import random
from pathlib import Path

import open_clip.tokenizer as oc
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from export.errors import ExportRefused
from export.tokenizer_json import (
    PROBES,
    OpenClipTokenizer,
    convert,
    text_half,
)
from gateway.domain.release import TextClean
from gateway.preprocess.text import TextTokenizer
from tests.export.models import byte_bpe, unigram, word_piece, write_tokenizer

KINDS = ("clip", "clip-canonical", "byte-bpe", "unigram", "word-piece", "separator-stripped")


def original(kind: str, folder: Path) -> OpenClipTokenizer:
    """open_clip's tokenizer object of that kind."""
    match kind:
        case "clip":
            return clip()
        case "clip-canonical":
            return clip(clean="canonicalize", context_length=20)
        case "byte-bpe":
            return from_folder(folder, byte_bpe(), clean="lower")
        case "unigram":
            return from_folder(folder, unigram(), clean="canonicalize")
        case "word-piece":
            return from_folder(folder, word_piece())
        case _:
            return from_folder(folder, word_piece(), strip_sep_token=True)


def clip(**options: object) -> OpenClipTokenizer:
    tokenizer: OpenClipTokenizer = oc.SimpleTokenizer(**options)
    return tokenizer


def from_folder(
    folder: Path, tokenizer: Tokenizer, clean: str = "whitespace", strip_sep_token: bool = False
) -> OpenClipTokenizer:
    write_tokenizer(folder, tokenizer)
    wrapped: OpenClipTokenizer = oc.HFTokenizer(
        str(folder), context_length=16, clean=clean, strip_sep_token=strip_sep_token
    )
    return wrapped


Pair = tuple[OpenClipTokenizer, TextTokenizer]


@pytest.fixture(scope="module", name="pair", params=KINDS)
def the_original_and_what_serves(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Pair:
    tokenizer = original(request.param, tmp_path_factory.mktemp("tokenizer"))
    converted = convert(tokenizer)
    return tokenizer, TextTokenizer(
        converted.document, text_half(converted, "t", (converted.context_length,))
    )


def assert_identical(pair: Pair, texts: list[str]) -> None:
    tokenizer, served = pair
    for text, row in zip(texts, tokenizer(texts).tolist(), strict=True):
        assert served.encode(text).tolist() == row, repr(text)


ENTITIES = ["&amp;", "&amp;amp;", "&lt;b&gt;", "&#233;", "&eacute;", "&nbsp;", "&#x1F45F;", "&bad;"]
PIECES = [
    *(
        "red",
        "Shoe",
        "SIZE",
        "38",
        "42.5",
        "don't",
        "it\u2019s",
        "\u201cnew\u201d",
        "20%",
        "(2-pack)",
    ),
    *("café", "smørrebrød", "straße", "İstanbul", "nai\u0308ve", "\ufb01ne", "sch\u00c3\u00b6n"),
    *("日本語", "中文鞋", "한국어", "кроссовки", "حذاء", "रसोई", "รองเท้า"),
    *("👟", "👩‍👩‍👧", "🇫🇷", "1️⃣", "👍🏽", "☕", "™", "½", "Ⅷ", "٣"),
    *("<start_of_text>", "<end_of_text>", "!!!<end_of_text>", "</s>", "<pad>", "[SEP]"),
    *("\t", "\n", "\r\n", "\x00", "\x1b[31m", "\u200b", "\u00ad", "\ufeff", "\u3000", "_", "--"),
    *("x" * 90, "ab" * 400, "'s", "'LL", "'\u017f", "\u01c5", "\U00016ec0", "\u088f", "\ud800"),
    *ENTITIES,
]


def generated_texts(count: int, seed: int) -> list[str]:
    """Strings put together from awkward pieces, with and without spaces between them."""
    rng = random.Random(seed)
    return [
        rng.choice(["", " ", "  "]).join(rng.choices(PIECES, k=rng.randint(0, 12)))
        for _ in range(count)
    ]


def test_thousands_of_awkward_strings_give_identical_ids(pair: Pair) -> None:
    assert_identical(pair, generated_texts(3000, seed=1))


@settings(max_examples=300, deadline=None)
@given(text=st.text(max_size=200))
@example(text="<start_of_text>")
@example(text="a" * 5000)
def test_any_string_gives_identical_ids(pair: Pair, text: str) -> None:
    assert_identical(pair, [text])


def test_every_character_is_the_same_letter_number_or_neither() -> None:
    """The two regex engines have Unicode tables of different years."""
    tokenizer = clip(context_length=40)
    converted = convert(tokenizer)
    served = TextTokenizer(
        converted.document, text_half(converted, "t", (converted.context_length,))
    )
    characters = [chr(code) for code in range(0x20000) if not 0xD800 <= code < 0xE000]
    texts = [f"a{char}1{char}!" for char in characters[::7]]
    assert_identical((tokenizer, served), texts)


def test_short_rows_hold_the_same_ids(tmp_path: Path) -> None:
    tokenizer = original("byte-bpe", tmp_path)
    converted = convert(tokenizer)
    tower = text_half(converted, "t", (8, 12, 16))
    served = TextTokenizer(converted.document, tower)
    lengths = set()
    for text in PROBES:
        full, row = tokenizer([text])[0].tolist(), served.encode(text).tolist()
        assert full == row + [converted.pad_id] * (16 - len(row))
        lengths.add(len(row))
    assert {8, 16} <= lengths <= {8, 12, 16}


def test_what_goes_around_clips_document_is_clips() -> None:
    converted = convert(clip())
    assert (converted.pad_id, converted.end_id, converted.context_length) == (0, 49407, 77)
    assert converted.clean is TextClean.LOWER


def test_the_document_says_nothing_of_padding_or_cutting(tmp_path: Path) -> None:
    """These are the row's business; the wrapper leaves its last call's settings in the object."""
    tokenizer = original("byte-bpe", tmp_path)
    tokenizer(["red shoe"])
    document = Tokenizer.from_str(convert(tokenizer).document)
    assert document.padding is None
    assert document.truncation is None


def test_what_cannot_be_converted_exactly_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportRefused, match="drops random words"):
        convert(clip(reduction_mask="simple"))
    with pytest.raises(ExportRefused, match="besides start and end"):
        convert(clip(additional_special_tokens=["<mask>"]))
    # Upper-case special tokens in a text split in a way that no document can repeat.
    with pytest.raises(ExportRefused, match="cannot be converted exactly"):
        convert(clip(clean="whitespace"))
    write_tokenizer(tmp_path, byte_bpe())
    with pytest.raises(ExportRefused, match="mode 'clips'"):
        convert(oc.HFTokenizer(str(tmp_path), tokenizer_mode="clips"))
    on_the_left = oc.HFTokenizer(str(tmp_path), context_length=16)
    on_the_left.tokenizer.padding_side = "left"
    with pytest.raises(ExportRefused, match="on the left"):
        convert(on_the_left)


def test_a_tokenizer_of_somebody_elses_is_refused() -> None:
    class Odd:
        context_length = 4

        def __call__(self, texts: list[str]) -> object:
            return texts

    with pytest.raises(ExportRefused, match="Odd is unknown"):
        convert(Odd())  # type: ignore[arg-type] # that it is none is the point
