"""The folder of the edge store.

```
<root>/lock                                  held by the gateway process that has the folder open
<root>/aliases.json                          which collection is active, previous, on trial
<root>/collections/<name>/collection.json    what the collection is; the last file to be written
<root>/collections/<name>/shard-<n>/         the engine's own files; collection.json names the one
```
`aliases.json` and `collection.json` are replaced by rename: a reader sees the old or the new one.
A collection folder without `collection.json` was left by a process that died while it made or
deleted it, and a shard that `collection.json` does not name was left by one that died while it
optimised; both are removed when the folder is opened.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import orjson

from gateway.domain.errors import ReleaseInvalid, StartupProblem
from gateway.domain.filters import FieldType
from gateway.domain.ports import Aliases, CollectionSpec
from gateway.domain.trial import Trial

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_RECORD = "collection.json"
_ALIASES = "aliases.json"
_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Record:
    """What `collection.json` says: the collection, and which `shard-<n>` folder holds it."""

    spec: CollectionSpec
    shard_no: int
    made_at_s: float | None = None


class IndexFolder:
    """The files, and the lock on them. Raises StartupProblem if another process has it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        try:
            (root / "collections").mkdir(parents=True, exist_ok=True)
            self._lock = _locked(root)
        except OSError as exc:
            raise StartupProblem(
                f"The index folder {root} cannot be used: {exc.strerror}. "
                "Choose another folder, or give this user the right to write there."
            ) from exc
        try:
            self._sweep()
        except StartupProblem:
            self.close()
            raise

    def names(self) -> list[str]:
        """The collections, by name."""
        return sorted(p.parent.name for p in (self.root / "collections").glob(f"*/{_RECORD}"))

    def read(self, name: str) -> Record | None:
        """A collection's record; None if there is no such collection."""
        if not _NAME.fullmatch(name):
            return None
        path = self._collection(name) / _RECORD
        try:
            body = orjson.loads(path.read_bytes())
            if body["format"] != _FORMAT:
                raise ValueError(f"format {body['format']} is not {_FORMAT}")
            fields = {key: FieldType(kind) for key, kind in body["fields"].items()}
            spec = CollectionSpec(name, body["dim"], body["fingerprint"], fields)
            return Record(spec, body["shard_no"], body.get("made_at_s"))
        except FileNotFoundError:
            return None
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as exc:
            raise damaged(self._collection(name), f"{path.name} cannot be read ({exc})") from exc

    def write(self, record: Record) -> None:
        """Makes the collection exist, or point at another shard, in one step."""
        body = {
            "format": _FORMAT,
            "dim": record.spec.dim,
            "fingerprint": record.spec.fingerprint,
            "fields": dict(record.spec.fields),
            "shard_no": record.shard_no,
            "made_at_s": record.made_at_s,
        }
        _replace(self._collection(record.spec.name) / _RECORD, orjson.dumps(body))

    def prepare(self, name: str) -> Path:
        """The empty folder of a new collection's first shard's parent; ReleaseInvalid for a name
        that no folder can have."""
        if not _NAME.fullmatch(name):
            raise ReleaseInvalid(
                f"{name!r} cannot be a collection: use letters, digits, dots, dashes, underscores."
            )
        folder = self._collection(name)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        return folder

    def remove(self, name: str) -> None:
        """Deletes a collection. It is gone with its record, whatever happens to the rest."""
        folder = self._collection(name)
        (folder / _RECORD).unlink(missing_ok=True)
        _sync(folder)
        shutil.rmtree(folder, ignore_errors=True)

    def shard(self, name: str, shard_no: int) -> Path:
        """Where the engine keeps its files."""
        return self._collection(name) / f"shard-{shard_no}"

    def read_aliases(self) -> Aliases:
        """Which collection plays which part; none does in a new folder."""
        path = self.root / _ALIASES
        try:
            body = orjson.loads(path.read_bytes())
            trial = None if body["trial"] is None else Trial(**body["trial"])
            return Aliases(body["active"], body["previous"], trial)
        except FileNotFoundError:
            return Aliases()
        except (orjson.JSONDecodeError, KeyError, TypeError) as exc:
            raise damaged(self.root, f"{_ALIASES} cannot be read ({exc})") from exc

    def write_aliases(self, aliases: Aliases) -> None:
        """Replaces all of them in one step, on disk when it returns."""
        _replace(self.root / _ALIASES, orjson.dumps(aliases))

    def close(self) -> None:
        """Lets another process have the folder."""
        self._lock.close()

    def _collection(self, name: str) -> Path:
        return self.root / "collections" / name

    def _sweep(self) -> None:
        for folder in (self.root / "collections").iterdir():
            if not (folder / _RECORD).exists():
                shutil.rmtree(folder, ignore_errors=True)
                continue
            record = self.read(folder.name)
            for shard in folder.glob("shard-*"):
                if record is not None and shard.name != f"shard-{record.shard_no}":
                    shutil.rmtree(shard, ignore_errors=True)


def damaged(folder: Path, why: str) -> StartupProblem:
    """The problem that a folder's files are not what was written."""
    return StartupProblem(
        f"The index in {folder} is damaged: {why}. "
        "Delete that folder, or put a backup in its place, and index the catalogue again."
    )


def in_use(root: Path) -> StartupProblem:
    """The problem that the folder is taken."""
    return StartupProblem(
        f"Another gateway process has the index folder {root} open. Stop it, or give this one "
        "a folder of its own; several gateways can share a Qdrant cluster instead."
    )


def _locked(root: Path) -> IO[bytes]:
    lock = (root / "lock").open("ab")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as exc:
        lock.close()
        raise in_use(root) from exc
    return lock


def _replace(path: Path, body: bytes) -> None:
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    _sync(path.parent)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
