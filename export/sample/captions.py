"""Texts that a shopper or a shop may write for one object."""

from __future__ import annotations

TEMPLATES = (
    "a photo of a {}",
    "a picture of a {}",
    "{} on a white background",
    "buy {}",
    "{} for sale",
    "new {}",
    "an illustration of {}",
)


def plural(name: str) -> str:
    """English plural of the last word, by the common rules; wrong for a few, as shoppers are."""
    if name.endswith(("s", "x", "z", "ch", "sh")):
        return name + "es" if not name.endswith("s") else name
    if name.endswith("y") and name[-2:-1] not in "aeiou":
        return name[:-1] + "ies"
    return name + "s"


def captions(title: str, synonyms: tuple[str, ...], context: tuple[str, ...]) -> tuple[str, ...]:
    """Distinct captions, the title first.

    Training picks one of them with equal chance, so their mixture is a choice: about half say the
    title in some form, a quarter add words to it, and the rest are other names alone.

    Args:
        title: the object's name.
        synonyms: words that name this object and few others; they may stand alone.
        context: words for its kind ("fruit"); they only ever stand beside the title.
    """
    words = synonyms + context
    forms = [title, plural(title), *(template.format(title) for template in TEMPLATES)]
    beside = [f"{word} {title}" for word in context[:3]] + [
        f"{title}, {word}" for word in words[:4]
    ]
    if len(words) > 1:
        beside.append(f"{title} {' '.join(words[:4])}")
        beside.append(" ".join(words[:5]))
    return tuple(dict.fromkeys([*forms, *beside, *synonyms[:8]]))
