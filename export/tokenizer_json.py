"""Any open_clip tokenizer as one `tokenizers` JSON document that gives identical ids."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import open_clip.tokenizer as oc
from tokenizers import Tokenizer
from torch import Tensor

from export.clip_bpe import clip_bpe
from export.errors import ExportRefused
from gateway.domain.release import TextClean, TextTower
from gateway.preprocess.text import TextTokenizer

# Texts on which every converted tokenizer is compared with its original before it is accepted.
PROBES = (
    "",
    " ",
    "red shoe",
    "A Men's Running Shoe, size 42.5 (blue/white) \u2013 20 % off!",
    "café crème, naïve façade, smørrebrød, ŁÓDŹ, İstanbul, straße, \ufb01ne \ufb02ow",
    "\u201ccurly\u201d \u2018quotes\u2019 and it\u2019s… don\u2019t",
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


class OpenClipTokenizer(Protocol):
    """What every tokenizer of open_clip's does."""

    context_length: int

    def __call__(self, texts: list[str]) -> Tensor:
        """INT64 `[n, context_length]`."""
        ...


@dataclass(frozen=True, slots=True)
class ConvertedTokenizer:
    """The document, and what goes around it. `end_id` closes a text that was cut; None if the
    tokenizer has no such token. `zeroed_id` is a separator that CLIPA's models see as 0."""

    document: str
    context_length: int
    pad_id: int
    end_id: int | None
    clean: TextClean
    zeroed_id: int | None = None


def convert(tokenizer: OpenClipTokenizer) -> ConvertedTokenizer:
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


def _clean_of(function: Callable[[str], str]) -> TextClean:
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
        document=clip_bpe(tokenizer),
        context_length=tokenizer.context_length,
        pad_id=0,
        end_id=tokenizer.eot_token_id,
        clean=_clean_of(tokenizer.clean_fn),
    )


def _from_hf_tokenizer(tokenizer: oc.HFTokenizer) -> ConvertedTokenizer:
    if tokenizer.tokenizer_mode:
        raise ExportRefused(f"The tokenizer mode {tokenizer.tokenizer_mode!r} is not supported.")
    converted = _from_hugging_face(tokenizer, _clean_of(tokenizer.clean_fn))
    if not tokenizer.strip_sep_token:
        return converted
    return replace(converted, zeroed_id=int(tokenizer.tokenizer.sep_token_id))


def _from_hugging_face(
    tokenizer: oc.HFTokenizer | oc.SigLipTokenizer, clean: TextClean
) -> ConvertedTokenizer:
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


def _check_identical(original: OpenClipTokenizer, converted: ConvertedTokenizer) -> None:
    """Compares ids on PROBES, at full length. Raises ExportRefused at the first difference."""
    full_length = text_half(converted, "", (converted.context_length,))
    served = TextTokenizer(converted.document, full_length)
    for text in PROBES:
        if served.encode(text).tolist() != original([text])[0].tolist():
            raise ExportRefused(
                f"The tokenizer {type(original).__name__} cannot be converted exactly: "
                f"{text[:40]!r} gives other ids."
            )


def text_half(converted: ConvertedTokenizer, model: str, buckets: tuple[int, ...]) -> TextTower:
    """The release's text half: what serves is what was compared."""
    return TextTower(
        model=model,
        buckets=buckets,
        pad_id=converted.pad_id,
        end_id=converted.end_id,
        clean=converted.clean,
        zeroed_id=converted.zeroed_id,
    )
