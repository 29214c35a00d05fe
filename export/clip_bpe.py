"""CLIP's own byte-level BPE, open_clip's `SimpleTokenizer`, as a `tokenizers` document."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import cache

import open_clip.tokenizer as oc
import regex
from tokenizers import Regex, Tokenizer, models, pre_tokenizers, processors

_END_OF_WORD = "</w>"
_CONTRACTIONS = ("'s", "'t", "'re", "'ve", "'m", "'ll", "'d")
_SURROGATES = range(0xD800, 0xE000)


def clip_bpe(tokenizer: oc.SimpleTokenizer) -> str:
    """The JSON document that gives the ids of `tokenizer`, start and end of text included.

    CLIP's pattern finds the special tokens in a text too, but only where a word can start: in
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
    plain = models.BPE(vocabulary, merges, end_of_word_suffix=_END_OF_WORD)
    added: list[tuple[str, str]] = []
    for special in specials:
        left, *pieces = (piece.value for piece in plain.tokenize(special))
        for piece in pieces:
            added.append((left, piece))
            left += piece
            vocabulary.setdefault(left, max(vocabulary.values()) + 1)
    return list(dict.fromkeys(added))


def _pattern(specials: list[str]) -> str:
    """CLIP's word pattern, with the letters and numbers spelt out.

    `tokenizers` searches with Oniguruma, whose Unicode tables are older than those of Python's
    `regex` that open_clip uses: 17,144 letters and 336 numbers differ. Case is spelt out as well,
    since the two do not ignore it alike.
    """
    letters, numbers = _members(r"\p{L}"), _members(r"\p{N}")
    spelt = ["".join(_any_case(char) for char in word) for word in (*specials, *_CONTRACTIONS)]
    return "|".join([*spelt, f"[{letters}]+", f"[{numbers}]", rf"[^\s{letters}{numbers}]+"])


def _any_case(char: str) -> str:
    if not char.isalpha():
        return char
    # To `regex`, the long s is a case of s; no other letter here has a third one.
    return {"s": "[sS\u017f]"}.get(char, f"[{char}{char.upper()}]")


@cache
def _members(category: str) -> str:
    """Every character of a Unicode category as `regex` knows it, for a bracket expression."""
    return "".join(rf"\x{{{low:x}}}-\x{{{high:x}}}" for low, high in _ranges(category))


def _ranges(category: str) -> Iterator[tuple[int, int]]:
    """The first and the last code point of each run."""
    matches = regex.compile(category).match
    start = previous = -2
    for code in range(sys.maxunicode + 1):
        if code in _SURROGATES or not matches(chr(code)):
            continue
        if code != previous + 1:
            if start >= 0:
                yield start, previous
            start = code
        previous = code
    yield start, previous
