"""Any open_clip tokenizer as one `tokenizers` JSON document that gives identical ids."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import open_clip.tokenizer as oc
from tokenizers import Regex, Tokenizer, models, pre_tokenizers, processors

from export.errors import ExportRefused
from export.unicode_classes import letters, numbers
from gateway.domain.release import TextClean, TextTower
from gateway.preprocess.text import TextTokenizer

_END_OF_WORD = "</w>"

# Texts on which every converted tokenizer is compared with its original before it is accepted.
PROBES = (
    "",
    " ",
    "red shoe",
    "A Men's Running Shoe, size 42.5 (blue/white) – 20 % off!",
    "café crème, naïve façade, smørrebrød, ŁÓDŹ, İstanbul, straße, ﬁne ﬂow",
    "“curly” ‘quotes’ and it’s… don’t",
    "dog &amp;amp; cat &lt;b&gt; &#233; &eacute; &nbsp;",
    "日本語の靴 中文 한국어 кроссовки حذاء נעל รองเท้า",
    "👟👠🥿 👩‍👩‍👧‍👦 🇫🇷 1️⃣",
    "tab\there\nnew\r\nline\x00\x07 \u200b\u00ad\ufeff end",
    "<start_of_text> <end_of_text> !!!<end_of_text> [SEP] [PAD] </s> <pad>",
    "<END_OF_TEXT> <end_of_Text> <\u017ftart_of_text> it'\u017f",
    "x" * 700,
    "a very long description " * 60,
    "1234567890 ½ ² Ⅷ ٣",
    "under_score__and-dash--and…dots",
)


@dataclass(frozen=True, slots=True)
class ConvertedTokenizer:
    """The document, and what goes around it. `end_id` closes a text that was cut; None if the
    tokenizer has no such token."""

    document: str
    context_length: int
    pad_id: int
    end_id: int | None
    clean: TextClean


def convert(tokenizer: Any) -> ConvertedTokenizer:
    """Converts an open_clip tokenizer object.

    Raises ExportRefused when its ids cannot be reproduced exactly.
    """
    if isinstance(tokenizer, oc.SimpleTokenizer):
        converted = _from_simple(tokenizer)
    elif isinstance(tokenizer, oc.SigLipTokenizer):
        converted = _from_hugging_face(tokenizer, TextClean.CANONICALIZE)
    elif isinstance(tokenizer, oc.HFTokenizer):
        converted = _from_hf_tokenizer(tokenizer)
    else:
        raise ExportRefused(f"The tokenizer {type(tokenizer).__name__} is unknown to the exporter.")
    _check_identical(tokenizer, converted)
    return converted


def _clean_of(function: Any) -> TextClean:
    for clean in (TextClean.LOWER, TextClean.WHITESPACE, TextClean.CANONICALIZE):
        if function is oc.get_clean_fn(clean.value):
            return clean
    raise ExportRefused("The tokenizer has a clean function that is none of open_clip's.")


def _from_simple(tokenizer: oc.SimpleTokenizer) -> ConvertedTokenizer:
    if tokenizer.reduction_fn is not None:
        raise ExportRefused("The tokenizer drops random words (reduction_mask): that is training.")
    if len(tokenizer.all_special_ids) != 2:
        raise ExportRefused("The tokenizer has special tokens besides start and end of text.")
    return ConvertedTokenizer(
        document=_simple_document(tokenizer),
        context_length=tokenizer.context_length,
        pad_id=0,
        end_id=tokenizer.eot_token_id,
        clean=_clean_of(tokenizer.clean_fn),
    )


def _simple_document(tokenizer: oc.SimpleTokenizer) -> str:
    """CLIP's byte-level BPE.

    Its pattern finds the special tokens in a text too, but only where a token can start: in
    `!!!<end_of_text>` it does not. An added token would be found there, so the special tokens are
    put together by merges instead. These merges mix letters and punctuation, which the pattern
    keeps apart everywhere else, and so can touch no other text.
    """
    vocabulary: dict[str, int] = dict(tokenizer.encoder)
    merges: list[tuple[str, str]] = sorted(tokenizer.bpe_ranks, key=tokenizer.bpe_ranks.__getitem__)
    specials = [tokenizer.decoder[i] for i in tokenizer.all_special_ids]
    for special, token_id in zip(specials, tokenizer.all_special_ids, strict=True):
        del vocabulary[special]
        vocabulary[special + _END_OF_WORD] = token_id
    merges += _merges_of_specials(specials, vocabulary, merges)
    document = Tokenizer(models.BPE(vocabulary, merges, end_of_word_suffix=_END_OF_WORD))
    document.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_pattern(specials)), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    start, end = (special + _END_OF_WORD for special in specials)
    document.post_processor = processors.TemplateProcessing(
        single=f"{start} $A {end}",
        special_tokens=[(start, tokenizer.sot_token_id), (end, tokenizer.eot_token_id)],
    )
    return str(document.to_str())


def _merges_of_specials(
    specials: list[str], vocabulary: dict[str, int], merges: list[tuple[str, str]]
) -> list[tuple[str, str]]:
    """Merges that join what the existing ones make of each special token, from left to right.

    The pieces on the way get ids of their own above all others; no text gives them.
    """
    plain = Tokenizer(models.BPE(vocabulary, merges, end_of_word_suffix=_END_OF_WORD))
    added: list[tuple[str, str]] = []
    for special in specials:
        pieces = plain.model.tokenize(special)
        left = pieces[0].value
        for piece in pieces[1:]:
            added.append((left, piece.value))
            left += piece.value
            vocabulary.setdefault(left, max(vocabulary.values()) + 1)
    return list(dict.fromkeys(added))


def _pattern(specials: list[str]) -> str:
    """CLIP's word pattern, with the letters and numbers spelt out.

    `tokenizers` searches with Oniguruma, whose Unicode tables are older than those of Python's
    `regex` that open_clip uses: 17,144 letters and 336 numbers differ. Case is spelt out as well,
    since the two do not ignore it alike.
    """
    words = [*specials, "'s", "'t", "'re", "'ve", "'m", "'ll", "'d"]
    spelt = ["".join(_any_case(char) for char in word) for word in words]
    other = rf"[^\s{letters()}{numbers()}]+"
    return "|".join([*spelt, f"[{letters()}]+", f"[{numbers()}]", other])


def _any_case(char: str) -> str:
    if not char.isalpha():
        return char
    # To `regex`, the long s is a case of s; no other letter here has a third one.
    return {"s": "[sSſ]"}.get(char, f"[{char}{char.upper()}]")


def _from_hf_tokenizer(tokenizer: oc.HFTokenizer) -> ConvertedTokenizer:
    if tokenizer.tokenizer_mode:
        raise ExportRefused(f"The tokenizer mode {tokenizer.tokenizer_mode!r} is not supported.")
    converted = _from_hugging_face(tokenizer, _clean_of(tokenizer.clean_fn))
    if not tokenizer.strip_sep_token:
        return converted
    return _without_separator(converted, tokenizer.tokenizer.sep_token)


def _from_hugging_face(tokenizer: Any, clean: TextClean) -> ConvertedTokenizer:
    """From open_clip's wrapper of a `transformers` tokenizer."""
    inner = tokenizer.tokenizer
    if not getattr(inner, "is_fast", False):
        raise ExportRefused(f"{type(inner).__name__} has no fast version, so no JSON document.")
    if inner.padding_side != "right" or inner.truncation_side != "right":
        raise ExportRefused(f"{type(inner).__name__} pads or cuts on the left.")
    if inner.pad_token_id is None:
        raise ExportRefused(f"{type(inner).__name__} has no padding token.")
    document = Tokenizer.from_str(inner.backend_tokenizer.to_str())
    document.no_padding()
    document.no_truncation()
    return ConvertedTokenizer(
        document=str(document.to_str()),
        context_length=tokenizer.context_length,
        pad_id=int(inner.pad_token_id),
        end_id=_end_of(document),
        clean=clean,
    )


def _end_of(document: Tokenizer) -> int | None:
    """The token that closes every text, if the tokenizer adds one: what an empty text ends with."""
    ids: list[int] = document.encode("").ids
    return ids[-1] if ids and document.encode("a").ids[-1] == ids[-1] else None


def _without_separator(converted: ConvertedTokenizer, separator: str) -> ConvertedTokenizer:
    """With the separator's id turned to 0, as open_clip's `strip_sep_token` does."""
    document = json.loads(converted.document)
    document["model"]["vocab"][separator] = 0
    for token in document["added_tokens"]:
        if token["content"] == separator:
            token["id"] = 0
    _replace_special(document["post_processor"], separator)
    return ConvertedTokenizer(
        document=json.dumps(document, ensure_ascii=False, separators=(",", ":")),
        context_length=converted.context_length,
        pad_id=converted.pad_id,
        end_id=0,
        clean=converted.clean,
    )


def _replace_special(post_processor: dict[str, Any], token: str) -> None:
    if "special_tokens" not in post_processor:
        raise ExportRefused("The tokenizer's separator cannot be stripped exactly.")
    post_processor["special_tokens"][token]["ids"] = [0]


def _check_identical(original: Any, converted: ConvertedTokenizer) -> None:
    """Compares ids on PROBES, at full length. Raises ExportRefused at the first difference."""
    tower = TextTower(
        model="",
        buckets=(converted.context_length,),
        pad_id=converted.pad_id,
        end_id=converted.end_id,
        clean=converted.clean,
    )
    served = TextTokenizer(converted.document, tower)
    for text in PROBES:
        expected = original([text])[0].tolist()
        if served.encode(text).tolist() != expected:
            raise ExportRefused(
                f"The tokenizer {type(original).__name__} cannot be converted exactly: "
                f"{text[:40]!r} gives other ids."
            )
