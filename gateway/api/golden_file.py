"""Golden sets as files: JSON Lines, one query a line, as the search API takes it.

    {"id": "7", "query": [{"text": "red shoe"}, {"image_file": "photos/7.jpg"}],
     "relevant": {"sku-42": 2, "sku-7": 1}, "kind": "hybrid", "category": "shoes"}

What differs from a request: a picture is a path, relative to the file; `relevant` grades the items
that a person would want to see, from 1, higher is better; `category` and `variant` (how the query
was made) are free words to group the results by. `kind` is taken from the query if it is not given.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError, model_validator

from gateway.api.schemas import Strict
from gateway.api.search_schemas import SearchIn
from gateway.domain.errors import GoldenInvalid, LookalikeError
from gateway.services.golden_set import GoldenQuery, GoldenSet, QueryKind, drawn, kind_of

IMAGE_FILE = "image_file"
_OWN = ("id", "relevant", "kind", "category", "variant")

Grade = Annotated[int, Field(ge=0, le=1_000)]


class _Labels(Strict):
    """What a line says beside the query."""

    id: str = ""
    relevant: dict[str, Grade]
    kind: QueryKind | None = None
    category: str = ""
    variant: str = ""

    @model_validator(mode="after")
    def _answerable(self) -> _Labels:
        if not any(self.relevant.values()):
            raise ValueError("relevant: at least one item needs a grade of 1 or more")
        return self


@dataclass(frozen=True, slots=True)
class _Line:
    """A line that has been checked; its pictures are there but not read yet."""

    number: int
    labels: _Labels
    body: Mapping[str, Any]
    pictures: Mapping[int, Path]  # by the part's position


def read_golden(path: Path, most: int = 0, seed: int = 0) -> GoldenSet:
    """The file's queries, at most `most` of them (all, if 0), drawn by `seed`.

    Every line is checked, also those that are not drawn. Raises GoldenInvalid, naming the line, for
    a line that cannot be used or whose picture is missing.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise GoldenInvalid(f"{path} cannot be read: {exc}.") from exc
    lines: dict[str, _Line] = {}
    for number, row in enumerate(text.split("\n"), start=1):
        if not row.strip():
            continue
        line = _checked(path, number, row)
        name = line.labels.id or str(number)
        if name in lines:
            before = lines[name].number
            raise _bad(path, number, f"the id {name!r} stood in line {before} already")
        lines[name] = line
    if not lines:
        raise GoldenInvalid(f"{path} holds no query.")
    chosen = drawn(list(lines.items()), most, seed)
    queries = tuple(_loaded(path, name, line) for name, line in chosen)
    return GoldenSet(path.name, len(lines), queries)


def write_golden(path: Path, rows: Iterable[Mapping[str, Any]]) -> int:
    """Writes lines in the file's own form; returns how many."""
    count = 0
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            count += 1
    return count


def _checked(path: Path, number: int, text: str) -> _Line:
    try:
        row = json.loads(text)
    except ValueError as exc:
        raise _bad(path, number, f"no JSON: {exc}") from exc
    if not isinstance(row, dict):
        raise _bad(path, number, "no JSON object")
    body = {key: value for key, value in row.items() if key not in _OWN}
    pictures = _pictures(path, number, body)
    try:
        labels = _Labels.model_validate({key: row[key] for key in _OWN if key in row})
        SearchIn.model_validate(body)
    except ValidationError as exc:
        fault = exc.errors(include_url=False, include_context=False)[0]
        where = ".".join(str(part) for part in fault["loc"])
        message = fault["msg"].removeprefix("Value error, ")
        raise _bad(path, number, f"{where}: {message}" if where else message) from exc
    return _Line(number, labels, body, pictures)


def _pictures(path: Path, number: int, body: dict[str, Any]) -> Mapping[int, Path]:
    """Takes the picture paths out of `body`'s parts, which get an empty `image` in their place."""
    parts = body.get("query")
    if not isinstance(parts, list):
        return {}
    found: dict[int, Path] = {}
    without: list[Any] = []
    for position, part in enumerate(parts):
        if isinstance(part, dict) and IMAGE_FILE in part:
            file = path.parent / str(part[IMAGE_FILE])
            if not file.is_file():
                raise _bad(path, number, f"the picture {part[IMAGE_FILE]} does not exist")
            found[position] = file
            without.append({k: v for k, v in part.items() if k != IMAGE_FILE} | {"image": ""})
        else:
            without.append(part)
    body["query"] = without
    return found


def _loaded(path: Path, name: str, line: _Line) -> GoldenQuery:
    parts = list(line.body["query"])
    try:
        for position, file in line.pictures.items():
            data = base64.b64encode(file.read_bytes()).decode()
            parts[position] = parts[position] | {"image": data}
        query = SearchIn.model_validate({**line.body, "query": parts}).to_domain()
    except OSError as exc:
        raise _bad(path, line.number, f"its picture cannot be read: {exc.strerror}") from exc
    except LookalikeError as exc:
        raise _bad(path, line.number, exc.detail) from exc
    labels = line.labels
    return GoldenQuery(
        id=name,
        kind=labels.kind or kind_of(query.parts),
        category=labels.category,
        variant=labels.variant,
        relevant={item: grade for item, grade in labels.relevant.items() if grade > 0},
        query=query,
        body=line.body,
    )


def _bad(path: Path, number: int, reason: str) -> GoldenInvalid:
    return GoldenInvalid(f"{path.name}, line {number}: {reason.rstrip('.')}.")
