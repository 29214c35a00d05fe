"""Whether a query can be answered sensibly by the release that is active."""

from __future__ import annotations

from gateway.domain.errors import InvalidQuery, UnknownField
from gateway.domain.payload import ITEM_FIELDS
from gateway.domain.query import (
    MAX_DEPTH,
    MAX_LIMIT,
    MAX_PARTS,
    MAX_TEXT_CHARS,
    MAX_URL_CHARS,
    MAX_WEIGHT,
    ImagePart,
    Mode,
    Query,
    QueryPart,
    RecalledPart,
    TextPart,
    UrlPart,
    VectorPart,
)
from gateway.preprocess.image import check_crop
from gateway.services.active_release import ActiveRelease
from gateway.services.filter_check import check_filter
from gateway.services.option_check import check_options
from gateway.services.query_tokens import check_recalled, wanted_words


def check_query(query: Query, active: ActiveRelease) -> None:
    """InvalidQuery, naming the field, for anything that could not be answered sensibly."""
    check_parts(query.parts, active)
    if not 1 <= query.limit <= MAX_LIMIT:
        raise InvalidQuery(f"limit is a number from 1 to {MAX_LIMIT:,}.", field="limit")
    if not 0 <= query.offset <= MAX_DEPTH - query.limit:
        raise InvalidQuery(
            f"offset is 0 or more, and offset + limit at most {MAX_DEPTH:,}.", field="offset"
        )
    if query.filter is not None:
        check_filter(query.filter, active.collection.fields)
    for field in query.fields or ():
        if field not in ITEM_FIELDS:
            raise UnknownField(
                f"{field!r} is no field of an item. Known: {', '.join(ITEM_FIELDS)}.",
                field="fields",
            )
    check_options(query, active.collection.fields)


def check_parts(parts: tuple[QueryPart, ...], active: ActiveRelease) -> None:
    """InvalidQuery, naming the part, for parts that make no query."""
    if not parts:
        raise InvalidQuery("The query is empty: give a text, an image or an item.", field="query")
    if len(parts) > MAX_PARTS:
        raise InvalidQuery(f"A query has at most {MAX_PARTS} parts.", field="query")
    for number, part in enumerate(parts):
        _check_part(part, active, f"query[{number}]")
    if all(part.weight <= 0 for part in parts):
        raise InvalidQuery("At least one part needs a positive weight.", field="query")


def resolve_mode(query: Query) -> Mode:
    """The mode that answers: `auto` takes both legs when there are words, else vectors alone."""
    has_words = bool(wanted_words(query.parts))
    if query.mode is Mode.AUTO:
        return Mode.HYBRID if has_words else Mode.VECTOR
    if query.mode is not Mode.VECTOR and not has_words:
        raise InvalidQuery(
            f"Mode {query.mode} needs a text part with a positive weight.", field="mode"
        )
    return query.mode


def _check_part(part: QueryPart, active: ActiveRelease, at: str) -> None:
    if not 0 < abs(part.weight) <= MAX_WEIGHT:
        raise InvalidQuery(
            f"A weight is a number other than zero, from -{MAX_WEIGHT:g} to {MAX_WEIGHT:g}.",
            field=f"{at}.weight",
        )
    match part:
        case TextPart():
            if not part.text.strip():
                raise InvalidQuery("The text is empty.", field=f"{at}.text")
            if len(part.text) > MAX_TEXT_CHARS:
                raise InvalidQuery(
                    f"The text has more than {MAX_TEXT_CHARS:,} characters.", field=f"{at}.text"
                )
        case UrlPart(url=url) if len(url) > MAX_URL_CHARS:
            raise InvalidQuery(
                f"The URL has more than {MAX_URL_CHARS:,} characters.", field=f"{at}.image_url"
            )
        case ImagePart(crop=crop) | UrlPart(crop=crop) if crop is not None:
            check_crop(crop, field=f"{at}.crop")
        case RecalledPart():
            check_recalled(part, active, f"{at}.token")
        case VectorPart():
            dim = active.loaded.release.dim
            if len(part.values) != dim:
                raise InvalidQuery(
                    f"The vector has {len(part.values)} numbers; release {active.id} has {dim}.",
                    field=f"{at}.vector",
                )
        case _:
            pass
