"""The pictures that the report shows, small and inside it."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from PIL import Image, ImageOps

from gateway.domain.errors import LookalikeError, NotFound
from gateway.domain.ports import PictureSource
from gateway.services.evaluation import Outcome, Shown
from gateway.services.golden_set import GoldenQuery
from gateway.services.subject import Subject

THUMBNAIL_PX = 96
QUALITY = 75
ANSWERS_SHOWN = 5
WANTED_SHOWN = 2


@dataclass(frozen=True, slots=True)
class WorstQuery:
    """One query that went wrong: what was asked, what was wanted, what came. `wanted` are the
    first of the relevant items, with their ranks in the answer (from 1; 0: not among the ten).
    `thumbnails` are data URIs by picture URI, and `picture` is the query's own, if it has one."""

    query: GoldenQuery
    outcome: Outcome
    wanted: tuple[tuple[Shown, int], ...]
    picture: str
    thumbnails: Mapping[str, str]


async def worst_queries(
    outcomes: Sequence[Outcome],
    golden: Mapping[str, GoldenQuery],
    subject: Subject,
    source: PictureSource,
) -> list[WorstQuery]:
    """The outcomes with everything that a person needs to see why; a picture that cannot be read
    is left out."""
    return [
        await _worst(outcome, golden[outcome.query_id], subject, source) for outcome in outcomes
    ]


async def _worst(
    outcome: Outcome, query: GoldenQuery, subject: Subject, source: PictureSource
) -> WorstQuery:
    wanted = [await _item(item_id, subject) for item_id in list(query.relevant)[:WANTED_SHOWN]]
    shown = [*wanted, *outcome.answer[:ANSWERS_SHOWN]]
    thumbnails = {one.picture: await _catalogue_thumbnail(one.picture, source) for one in shown}
    ranking = outcome.ranking
    own = query.picture()
    return WorstQuery(
        query=query,
        outcome=outcome,
        wanted=tuple(
            (one, ranking.index(one.item_id) + 1 if one.item_id in ranking else 0) for one in wanted
        ),
        picture="" if own is None else thumbnail(own),
        thumbnails=thumbnails,
    )


async def _item(item_id: str, subject: Subject) -> Shown:
    try:
        item = await subject.item(item_id)
    except NotFound:
        return Shown(item_id, item_id, "")  # deleted since the golden set was checked
    return Shown(item_id, str(item.get("title", "")), next(iter(item.get("pictures", ())), ""))


async def _catalogue_thumbnail(uri: str, source: PictureSource) -> str:
    if not uri:
        return ""
    try:
        return thumbnail(await source.read(uri))
    except LookalikeError:
        return ""


def thumbnail(data: bytes) -> str:
    """An encoded picture as a JPEG data URI, THUMBNAIL_PX square at most; empty if it is none."""
    try:
        with Image.open(io.BytesIO(data)) as opened:
            picture = ImageOps.exif_transpose(opened).convert("RGBA")
    except (OSError, ValueError, Image.DecompressionBombError):
        return ""
    picture.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX))
    white = Image.new("RGBA", picture.size, "white")
    out = io.BytesIO()
    Image.alpha_composite(white, picture).convert("RGB").save(out, "JPEG", quality=QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(out.getvalue()).decode()
