"""Who asks what: a seeded stream of requests, the same for the same seed."""

from __future__ import annotations

import bisect
import itertools
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from loadtest.picture_folder import CatalogEntry, PictureFolder

# Query frequency in search engines follows a Zipf distribution: Xie and O'Hallaron, "Locality in
# search engine queries and its implications for caching", INFOCOM 2002. 1 is Zipf's own exponent.
ZIPF_EXPONENT = 1.0
DISTINCT_TEXTS = 5_000

# What upserts write: so few that a run leaves the index as large as it was, and can clean up.
OWN_ITEMS = 200
OWN_PREFIX = "loadtest-"

_QUALITIES = (
    "", "", "small", "large", "red", "blue", "green", "black", "white", "wooden", "cheap", "new",
    "vintage", "best", "gift", "for kids", "modern", "handmade",
)  # fmt: skip


class Kind(StrEnum):
    """Kinds of request."""

    IMAGE = "image"  # an uploaded JPEG
    TEXT = "text"  # words
    HYBRID = "hybrid"  # a JPEG and words
    FILTERED = "filtered"  # words and a filter
    SIMILAR = "similar"  # more like an item
    UPSERT = "upsert"  # an item of the test's own


Mix = Mapping[Kind, float]

# A guess at a shop that offers both a camera button and a search box: measure your own, and set it.
DEFAULT_MIX: Mix = {
    Kind.IMAGE: 40,
    Kind.TEXT: 30,
    Kind.HYBRID: 5,
    Kind.FILTERED: 15,
    Kind.SIMILAR: 9,
    Kind.UPSERT: 1,
}


@dataclass(frozen=True, slots=True)
class Ask:
    """One request. `item` is whose like is wanted, or what an upsert writes as `own_id`."""

    kind: Kind
    text: str = ""
    picture: Path | None = None
    filter: Mapping[str, Any] | None = None
    item: CatalogEntry | None = None
    own_id: str = ""


class Zipf:
    """Ranks from 0 to `count` - 1; rank r comes in proportion to 1 / (r + 1) ** exponent."""

    def __init__(self, count: int, exponent: float) -> None:
        self._sums = list(itertools.accumulate((r + 1) ** -exponent for r in range(count)))

    def draw(self, chance: random.Random) -> int:
        """A rank."""
        at = chance.random() * self._sums[-1]
        return min(bisect.bisect(self._sums, at), len(self._sums) - 1)


def parse_mix(text: str) -> Mix:
    """From `image=60,text=40`; kinds that are not named do not come. ValueError says what is
    wrong."""
    mix: dict[Kind, float] = {}
    for part in text.split(","):
        name, _, weight = part.partition("=")
        try:
            mix[Kind(name.strip())] = float(weight)
        except ValueError as exc:
            kinds = ", ".join(Kind)
            raise ValueError(f"{part!r}: write KIND=WEIGHT; the kinds are {kinds}.") from exc
    if min(mix.values()) < 0 or sum(mix.values()) <= 0:
        raise ValueError(f"{text!r}: weights are not negative, and one is more than 0.")
    return mix


def shown_mix(mix: Mix) -> str:
    """As `parse_mix` reads it."""
    return ",".join(f"{kind}={weight:g}" for kind, weight in mix.items() if weight)


def texts(entries: Sequence[CatalogEntry], seed: int, count: int = DISTINCT_TEXTS) -> list[str]:
    """Distinct queries of one to about six words, most frequent first: titles of the catalogue,
    with a quality, a brand or a shelf beside them. Fewer than `count` if the catalogue is small."""
    chance = random.Random(f"texts/{seed}")
    found: dict[str, None] = {}
    for quality, entry in itertools.product(_QUALITIES[1:], entries):
        title = entry.title.lower()
        found[f"{quality} {title}".strip()] = None
        found[f"{title} {entry.category.lower()}".strip()] = None
        found[f"{entry.brand.lower()} {title}".strip()] = None
        if len(found) > 4 * count:
            break
    everything = list(found)
    chance.shuffle(everything)
    return everything[:count]


class Workload:
    """Streams of requests for a folder of pictures."""

    def __init__(
        self,
        folder: PictureFolder,
        mix: Mix = DEFAULT_MIX,
        seed: int = 1,
        zipf_exponent: float = ZIPF_EXPONENT,
    ) -> None:
        self._folder = folder
        self._seed = seed
        self._kinds, self._weights = list(mix), list(mix.values())
        self._texts = texts(folder.entries, seed)
        self._zipf = Zipf(len(self._texts), zipf_exponent)

    def stream(self, name: str) -> Iterator[Ask]:
        """Requests without end; every name has a stream of its own."""
        chance = random.Random(f"{self._seed}/{name}")
        while True:
            [kind] = chance.choices(self._kinds, self._weights)
            yield self._ask(kind, chance)

    def _ask(self, kind: Kind, chance: random.Random) -> Ask:
        words = self._texts[self._zipf.draw(chance)]
        match kind:
            case Kind.IMAGE:
                return Ask(kind, picture=self._picture(chance))
            case Kind.TEXT:
                return Ask(kind, words)
            case Kind.HYBRID:
                return Ask(kind, words, self._picture(chance))
            case Kind.FILTERED:
                return Ask(kind, words, filter=self._filter(chance))
            case Kind.SIMILAR:
                return Ask(kind, item=chance.choice(self._folder.entries))
            case Kind.UPSERT:
                own_id = f"{OWN_PREFIX}{chance.randrange(OWN_ITEMS)}"
                return Ask(kind, item=chance.choice(self._folder.entries), own_id=own_id)

    def _picture(self, chance: random.Random) -> Path:
        return self._folder.path / chance.choice(self._folder.pictures).file

    def _filter(self, chance: random.Random) -> Mapping[str, Any]:
        """What shoppers click: a shelf, a shelf below a price, or a brand."""
        entry = chance.choice(self._folder.entries)
        shelf = {"key": "category", "match": {"value": entry.category}}
        dearest = {"key": "price", "range": {"lte": chance.choice((20, 50, 100, 200))}}
        brand = {"key": "brand", "match": {"value": entry.brand}}
        return {"must": chance.choice(([shelf], [shelf, dearest], [brand]))}


def own_ids() -> list[str]:
    """Every id that upserts write."""
    return [f"{OWN_PREFIX}{number}" for number in range(OWN_ITEMS)]
