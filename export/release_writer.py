"""Puts a finished release into a model repository, wholly or not at all."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from export.errors import ExportRefused
from gateway.adapters.release_files import manifest_path

_RELEASE_ID = re.compile(r"[a-z0-9][a-z0-9._-]*")


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a release goes. With `replace`, one of the same name that is there makes way."""

    repository: Path
    release_id: str
    replace: bool = False


@contextmanager
def staged(destination: Destination) -> Iterator[Path]:
    """A folder to build the release in; what it holds is moved into the repository at the end.

    Moving is renaming, and the manifest is moved last: a release exists exactly when its manifest
    does. If the body raises, nothing is left behind.

    Raises ExportRefused if the name is unusable, the release exists and is not to be replaced, or
    another export of it is running.
    """
    check_release_id(destination.release_id)
    repository = destination.repository
    is_new = not repository.exists()
    repository.mkdir(parents=True, exist_ok=True)
    try:
        _check_free(destination)
        _sweep(destination)
        folder = Path(tempfile.mkdtemp(prefix=_prefix(destination), dir=_workshop(repository)))
        try:
            with _locked(folder):
                yield folder
                _check_free(destination)
                _publish(folder, destination)
        finally:
            shutil.rmtree(folder)
    except BaseException:
        if is_new and not any(repository.iterdir()):
            repository.rmdir()
        raise


def check_release_id(release_id: str) -> None:
    """Raises ExportRefused for a name that cannot stand in file, model and collection names."""
    if not _RELEASE_ID.fullmatch(release_id):
        raise ExportRefused(
            f"{release_id!r} cannot name a release: use lower-case letters, digits, '.', '_' and "
            "'-', and begin with a letter or a digit."
        )


def _check_free(destination: Destination) -> None:
    if destination.replace:
        return
    if manifest_path(destination.repository, destination.release_id).exists():
        raise ExportRefused(
            f"{destination.repository} already has a release {destination.release_id}. Choose "
            "another name, or replace it with --force."
        )


def _workshop(repository: Path) -> Path:
    """Where releases are built: beside the repository, for a Triton that starts meanwhile takes
    every folder in it for a model. Inside it where that is another file system, as a mounted
    volume is, since only a rename puts a release into place at once."""
    beside = repository.resolve().parent
    same = beside.stat().st_dev == repository.stat().st_dev
    return beside if same and os.access(beside, os.W_OK) else repository


def _prefix(destination: Destination) -> str:
    # The plus sign is in no release's name, so no name is the beginning of another.
    return f".{destination.repository.resolve().name}+{destination.release_id}+"


def _sweep(destination: Destination) -> None:
    """Removes what a killed export left; refuses if the folder's lock shows that it still runs."""
    for folder in _workshop(destination.repository).glob(f"{_prefix(destination)}*"):
        with _locked(folder):
            shutil.rmtree(folder)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Holds the folder's lock, which the kernel takes away from a process that dies."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise ExportRefused(
                "Another export of a release of this name is running; wait until it is done."
            ) from exc
        yield
    finally:
        os.close(descriptor)


def _publish(folder: Path, destination: Destination) -> None:
    """Moves the release into place, the manifest last; on failure puts the old one back."""
    repository = destination.repository
    manifest = manifest_path(repository, destination.release_id).name
    names = sorted(entry.name for entry in folder.iterdir() if entry.name != manifest)
    replaced = Path(tempfile.mkdtemp(prefix="replaced-", dir=folder))
    moved: list[tuple[Path, Path]] = []  # from, to
    try:
        # The old manifest goes first, so that at no moment a manifest stands beside other files.
        for name in (manifest, *names):
            if (repository / name).exists():
                moved.append(_move(repository / name, replaced / name))
        for name in (*names, manifest):
            moved.append(_move(folder / name, repository / name))
    except BaseException as exc:
        for source, target in reversed(moved):
            target.rename(source)
        if isinstance(exc, OSError):
            raise ExportRefused(f"{repository} takes no release: {exc.strerror}.") from exc
        raise


def _move(source: Path, target: Path) -> tuple[Path, Path]:
    source.rename(target)
    return source, target
