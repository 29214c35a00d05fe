"""A golden set from a catalogue that nobody has labelled.

What an item should answer is known without labels: a photo of it, its name, what a shopper would
make of its name, and a photo of a part of it with a word of its name. Items of the same name are
all right for words, since words cannot tell them apart; for a photo only the item itself is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gateway.domain.items import Item
from gateway.services.golden_set import QueryKind
from gateway.services.shopper_photo import DETAIL, Wear, shopper_photo

PHRASES = (
    "a picture of {}", "{} for sale", "looking for a {}", "buy {} online", "something like {}",
    "{} as a present",
)  # fmt: skip
MIN_TYPO_CHARS = 4


@dataclass(frozen=True, slots=True)
class MadeQuery:
    """One query: its row in the golden set's file, and the photo that the row names, if any."""

    row: Mapping[str, Any]
    photo_name: str = ""
    photo: bytes = b""


def same_name(items: Iterable[Item]) -> dict[str, list[str]]:
    """The ids of the items that share each name."""
    found: dict[str, list[str]] = {}
    for item in items:
        found.setdefault(_name(item), []).append(item.id)
    return found


def make_queries(
    item: Item, picture: bytes, names: Mapping[str, Sequence[str]], seed: int
) -> list[MadeQuery]:
    """The item's queries; the same `seed` gives the same ones, whatever the other items are.

    Raises OSError or ValueError if the picture cannot be decoded.
    """
    digest = hashlib.sha256(f"{seed}/{item.id}".encode()).digest()
    rng = np.random.default_rng(list(digest))
    stem = digest.hex()[:16]
    twins = list(names[_name(item)])
    made = [
        _photo(item, picture, rng, stem),
        _detail(item, picture, rng, stem),
        *_worded(item, twins, rng),
    ]
    return made


def _photo(item: Item, picture: bytes, rng: np.random.Generator, stem: str) -> MadeQuery:
    name = f"photos/{stem}.jpg"
    row = _row(item, "photo", QueryKind.IMAGE, [{"image_file": name}], [item.id])
    return MadeQuery(row, name, shopper_photo(picture, rng, Wear()))


def _detail(item: Item, picture: bytes, rng: np.random.Generator, stem: str) -> MadeQuery:
    name = f"photos/{stem}-detail.jpg"
    parts = [{"image_file": name}, {"text": str(rng.choice(_name(item).split()))}]
    row = _row(item, "detail and word", QueryKind.HYBRID, parts, [item.id])
    return MadeQuery(row, name, shopper_photo(picture, rng, DETAIL))


def _worded(item: Item, twins: Sequence[str], rng: np.random.Generator) -> list[MadeQuery]:
    name = _name(item)
    texts = {
        "title": name,
        "phrase": str(rng.choice(PHRASES)).format(name),
        "typo": _mistyped(name, rng),
    }
    return [
        MadeQuery(_row(item, variant, QueryKind.TEXT, [{"text": text}], twins))
        for variant, text in texts.items()
        if variant != "typo" or text != name
    ]


def _row(
    item: Item,
    variant: str,
    kind: QueryKind,
    parts: list[dict[str, str]],
    relevant: Sequence[str],
) -> dict[str, Any]:
    return {
        "id": f"{item.id}/{variant.replace(' ', '-')}",
        "kind": str(kind),
        "variant": variant,
        "category": item.category,
        "query": parts,
        "relevant": dict.fromkeys(relevant, 1),
    }


def _name(item: Item) -> str:
    return " ".join(item.title.lower().split())


def _mistyped(name: str, rng: np.random.Generator) -> str:
    """The longest word with two neighbours swapped, a letter lost or a letter doubled; the name
    itself if all its words are too short for that."""
    words = name.split()
    longest = max(range(len(words)), key=lambda n: len(words[n]))
    word = words[longest]
    if len(word) < MIN_TYPO_CHARS:
        return name
    at = int(rng.integers(1, len(word) - 1))
    kinds = (
        word[:at] + word[at + 1] + word[at] + word[at + 2 :],
        word[:at] + word[at + 1 :],
        word[:at] + word[at] + word[at:],
    )
    words[longest] = kinds[int(rng.integers(len(kinds)))]
    return " ".join(words)
