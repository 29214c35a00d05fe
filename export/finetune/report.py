"""`training.json`: what was run, on what, with what, and how it went."""

from __future__ import annotations

import hashlib
import json
import math
import platform
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

from export.finetune.files import write_atomically
from export.finetune.history import Evaluation
from export.finetune.options import Options

REPORT_FILE = "training.json"
LIBRARIES = ("torch", "open-clip-torch", "timm", "tokenizers", "numpy", "pillow")


def identity_of(options: Options) -> str:
    """Hash of all that decides the result: options and the bytes of the data file."""
    decisive = asdict(options)
    del decisive["out_dir"]
    described = json.dumps(decisive, sort_keys=True, default=str)
    return hashlib.sha256(described.encode() + options.data.read_bytes()).hexdigest()


def write_report(
    options: Options, history: Sequence[Evaluation], best: Evaluation, skipped: int
) -> None:
    """Write it to the run's folder. Paths are cut to names: the report travels with the weights."""
    report = {
        "options": _plain(asdict(options)),
        "data_sha256": hashlib.sha256(options.data.read_bytes()).hexdigest(),
        "versions": {
            "python": platform.python_version(),
            **{library: version(library) for library in LIBRARIES},
        },
        "skipped_pictures": skipped,
        "best": _plain(asdict(best)),
        "evaluations": [_plain(asdict(item)) for item in history],
    }
    text = json.dumps(report, indent=2) + "\n"
    write_atomically(options.out_dir / REPORT_FILE, lambda path: _write(path, text))


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


Plain = str | int | float | dict[str, "Plain"] | tuple["Plain", ...] | Path | None


def _plain(value: Plain) -> Plain:
    """What JSON can hold: paths as names, no NaN."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, Path):
        return value.name
    if isinstance(value, float) and math.isnan(value):
        return None
    return value
