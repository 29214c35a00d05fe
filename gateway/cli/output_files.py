"""Files that a command leaves behind: known to be writable before the work, not after it."""

from __future__ import annotations

import os
from pathlib import Path

from gateway.domain.errors import StartupProblem


def require_writable(*paths: Path | None) -> None:
    """StartupProblem if one of the files could not be written; None is no file."""
    for path in paths:
        if path is None:
            continue
        if path.is_dir():
            raise StartupProblem(f"{path} is a folder, not a file to write.")
        if not path.parent.is_dir():
            raise StartupProblem(f"{path} cannot be written: there is no folder {path.parent}.")
        if not os.access(path if path.exists() else path.parent, os.W_OK):
            raise StartupProblem(f"{path} cannot be written: this user may not.")


def write(path: Path, data: bytes) -> None:
    """Writes the file; StartupProblem if the system does not let it."""
    try:
        path.write_bytes(data)
    except OSError as exc:
        raise StartupProblem(f"{path} cannot be written: {exc.strerror or exc}.") from exc
