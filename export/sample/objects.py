"""Which objects the sample model learns, and the words for each of them."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from export.sample.captions import captions
from export.sample.designs import KEYWORDS, OPENMOJI_NAMES, UNICODE_NAMES
from export.sample.extras import EXTRA_OBJECTS
from export.sample.packages import fetched, member

GROUPS = {
    3: "animals & nature",
    4: "food & drink",
    5: "travel & places",
    6: "activities",
    7: "objects",
}
"""emojibase's group numbers that hold things; the others are people, faces, symbols and flags."""

AMBIGUOUS_FROM = 8
"""A keyword that this many objects share ("food", "animal") is no caption of any one of them."""

HELD_OUT_OF = 10
"""One object in so many is never seen in training, in any design or text."""


@dataclass(frozen=True, slots=True)
class DrawnObject:
    """A thing of which the designs have drawings.

    Attributes:
        code: hexadecimal code points joined by `-`, without variation selectors; the product id.
        title: its name, as a shop would write it.
        category: emojibase's group, or "extras" for OpenMoji's own.
        captions: texts to train with, the title first.
        aliases: letters and digits of every known name, by which a design may call it.
    """

    code: str
    title: str
    category: str
    captions: tuple[str, ...]
    aliases: frozenset[str]

    @property
    def held_out(self) -> bool:
        """Whether training must not see it; by a hash, so the same on every machine."""
        return int(hashlib.sha256(self.code.encode()).hexdigest(), 16) % HELD_OUT_OF == 0


def normal_code(code: str) -> str:
    """Upper-case code points joined by `-`, without the variation selector U+FE0F."""
    return "-".join(part for part in code.upper().split("-") if part != "FE0F")


def squashed(name: str) -> str:
    """Letters and digits of a name only: the designs disagree on all the rest."""
    return "".join(char for char in name.lower() if char.isalnum())


def read_objects(packages: Path) -> list[DrawnObject]:
    """All objects, ordered by code.

    Args:
        packages: folder with the tarballs; those that are missing are fetched into it.
    """
    names_file = fetched(UNICODE_NAMES, packages)
    entries = [e for e in json.load(member(names_file, "en/data.json")) if e.get("group") in GROUPS]
    shortcodes = json.load(member(names_file, "en/shortcodes/cldr.json"))
    keywords = json.load(member(fetched(KEYWORDS, packages), "dist/emoji-en-US.json"))
    shared = Counter(tag for entry in entries for tag in _tags(entry, keywords))
    objects = [_unicode_object(entry, shortcodes, keywords, shared) for entry in entries]
    names = json.load(member(fetched(OPENMOJI_NAMES, packages), "chars.json"))
    objects += [_extra_object(code, name) for code, name in names.items() if name in EXTRA_OBJECTS]
    return sorted({item.code: item for item in objects}.values(), key=lambda item: item.code)


def _tags(entry: Mapping[str, Any], keywords: Mapping[str, list[str]]) -> list[str]:
    more = keywords.get(entry["emoji"]) or keywords.get(entry["emoji"].rstrip("\ufe0f")) or []
    tags = [str(tag).replace("_", " ").lower() for tag in [*entry.get("tags", []), *more]]
    return list(dict.fromkeys(tag for tag in tags if tag.replace(" ", "").isalpha()))


def _unicode_object(
    entry: Mapping[str, Any],
    shortcodes: Mapping[str, str | list[str]],
    keywords: Mapping[str, list[str]],
    shared: Counter[str],
) -> DrawnObject:
    title = entry["label"].replace("\u2019", "'").lower()
    tags = _tags(entry, keywords)
    codes = shortcodes.get(entry["hexcode"], [])
    names = [title, *([codes] if isinstance(codes, str) else codes)]
    names += keywords.get(entry["emoji"], [])[:1]
    return DrawnObject(
        code=normal_code(entry["hexcode"]),
        title=title,
        category=GROUPS[entry["group"]],
        captions=captions(
            title,
            synonyms=tuple(tag for tag in tags if shared[tag] < AMBIGUOUS_FROM and tag != title),
            context=tuple(tag for tag in tags if shared[tag] >= AMBIGUOUS_FROM),
        ),
        aliases=frozenset(squashed(name) for name in names),
    )


def _extra_object(code: str, name: str) -> DrawnObject:
    title = name.replace("-", " ")
    words = tuple(word for word in title.split() if len(word) > 3) if " " in title else ()
    return DrawnObject(
        code=normal_code(code),
        title=title,
        category="extras",
        captions=captions(title, synonyms=(), context=words),
        aliases=frozenset({squashed(name)}),
    )
