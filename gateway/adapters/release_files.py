"""Releases as files in a model repository: found, read, checked and written.

A release exists exactly when its manifest does; the manifest is the last file that is written.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from gateway.domain.errors import NotFound, ReleaseInvalid
from gateway.domain.loaded_release import Golden, LoadedRelease
from gateway.domain.release import Release, fingerprint
from gateway.preprocess.text import TextTokenizer

MANIFEST_SUFFIX = ".release.json"
CUTOFFS_SUFFIX = ".cutoffs.json"
_ENGINE = "model.plan"


@dataclass(frozen=True)
class _Manifest:
    """The manifest file. `schema` counts up whenever an older reader would misread a newer file."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)
    schema: Literal[1]
    release: Release


_ADAPTER = TypeAdapter(_Manifest)


@dataclass(frozen=True)
class _Cutoffs:
    """What serving needs of the file that `lookalike evaluate run --calibrate` writes."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="ignore", strict=True)
    release: str
    fingerprint: str
    cutoffs: dict[str, Annotated[float, Field(ge=-1, le=1)]]


_CUTOFFS = TypeAdapter(_Cutoffs)
_AGAIN = "Remove it, or calibrate again with `lookalike evaluate run --calibrate`."


class RepositoryFiles:
    """`gateway.services.release_lifecycle.ReleaseFiles` on a model repository."""

    def __init__(self, repository: Path) -> None:
        self._repository = repository

    def ids(self) -> tuple[str, ...]:
        """See the protocol."""
        return list_releases(self._repository)

    def manifest(self, release_id: str) -> Release:
        """See the protocol."""
        return read_manifest(self._repository, release_id)

    def evaluation(self, release_id: str) -> Mapping[str, float] | None:
        """See the protocol; None also for a file that cannot be read: it decides nothing."""
        try:
            body = json.loads(evaluation_path(self._repository, release_id).read_bytes())
            return {str(name): float(value) for name, value in body["means"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None


def evaluation_path(repository: Path, release_id: str) -> Path:
    """Where `lookalike evaluate run --record` notes what a release was measured at."""
    return repository / f"{release_id}.evaluation.json"


def list_releases(repository: Path) -> tuple[str, ...]:
    """The ids of the repository's releases, sorted; none if the folder does not exist."""
    files = repository.glob(f"*{MANIFEST_SUFFIX}")
    return tuple(sorted(file.name.removesuffix(MANIFEST_SUFFIX) for file in files))


def load_release(repository: Path, release_id: str) -> LoadedRelease:
    """Reads a release and checks every one of its files, weights included, against the manifest.

    Raises NotFound if the repository has no such release, and ReleaseInvalid, naming the file, if
    one is missing, changed or contradicts the manifest.
    """
    release = read_manifest(repository, release_id)
    _check_files(repository, release)
    _check_fingerprint(release)
    tokenizer_json = (repository / release.tokenizer_file).read_text(encoding="utf-8")
    return LoadedRelease(
        release=release,
        tokenizer=TextTokenizer(tokenizer_json, release.text),
        golden=_read_golden(repository / release.golden_file, release),
        cutoffs=read_cutoffs(repository, release),
    )


def read_cutoffs(repository: Path, release: Release) -> Mapping[str, float]:
    """The release's calibrated cut-offs by kind of query; none if there is no such file.

    It is no part of the release, and may be written later. Raises ReleaseInvalid for one that is
    malformed or was calibrated for other vectors: it would call good matches bad.
    """
    path = repository / f"{release.id}{CUTOFFS_SUFFIX}"
    try:
        found = _CUTOFFS.validate_json(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValidationError) as exc:
        reason = _first_problem(exc) if isinstance(exc, ValidationError) else exc.strerror
        raise ReleaseInvalid(f"{path.name}: {reason}. {_AGAIN}") from exc
    if (found.release, found.fingerprint) != (release.id, release.fingerprint):
        raise ReleaseInvalid(f"{path.name} was calibrated for another release. {_AGAIN}")
    return found.cutoffs


def read_manifest(repository: Path, release_id: str) -> Release:
    """The manifest alone; the files that it names are not looked at.

    Raises NotFound if there is none, ReleaseInvalid if it is malformed.
    """
    path = manifest_path(repository, release_id)
    try:
        manifest = _ADAPTER.validate_json(path.read_bytes())
    except FileNotFoundError as exc:
        known = ", ".join(list_releases(repository)) or "none"
        raise NotFound(
            f"{repository} has no release {release_id!r}; it has: {known}.", field="release"
        ) from exc
    except ValidationError as exc:
        raise ReleaseInvalid(f"{path.name}: {_first_problem(exc)}.") from exc
    if manifest.release.id != release_id:
        raise ReleaseInvalid(f"{path.name}: release.id is {manifest.release.id!r}.")
    return manifest.release


def write_manifest(folder: Path, release: Release) -> Path:
    """Writes the manifest of `release` into `folder`; returns its path."""
    document = _ADAPTER.dump_python(_Manifest(schema=1, release=release), mode="json")
    path = manifest_path(folder, release.id)
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return path


def write_golden(path: Path, golden: Golden) -> None:
    """Writes the golden inputs and vectors as a NumPy archive; the same content, the same bytes."""
    np.savez_compressed(
        path,
        images=golden.images,
        image_vectors=golden.image_vectors,
        strings=np.array(golden.strings),
        texts=golden.texts,
        text_vectors=golden.text_vectors,
    )


def manifest_path(folder: Path, release_id: str) -> Path:
    """Where the manifest of `release_id` stands in a model repository."""
    return folder / f"{release_id}{MANIFEST_SUFFIX}"


def digest(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _first_problem(exc: ValidationError) -> str:
    problem = exc.errors(include_url=False, include_context=False)[0]
    field = ".".join(str(part) for part in problem["loc"])
    return f"{field}: {problem['msg']}" if field else problem["msg"]


def _check_files(repository: Path, release: Release) -> None:
    for name in (release.tokenizer_file, release.golden_file):
        if name not in release.digests:
            raise ReleaseInvalid(f"The manifest of {release.id} has no digest of {name}.")
    for name, expected in release.digests.items():
        path = repository / name
        if not path.resolve().is_relative_to(repository.resolve()):
            raise ReleaseInvalid(f"The manifest of {release.id} names {name}, outside its folder.")
        try:
            found = digest(path)
        except OSError as exc:
            raise ReleaseInvalid(f"{name} of release {release.id} cannot be read.") from exc
        if found != expected:
            raise ReleaseInvalid(f"{name} is not the file that release {release.id} was made with.")


def _check_fingerprint(release: Release) -> None:
    _check_weights(release)
    expected = fingerprint(
        release.weights,
        release.digests[release.tokenizer_file],
        release.image,
        release.text,
        release.precision,
    )
    if release.fingerprint != expected:
        raise ReleaseInvalid(
            f"The manifest of {release.id} was changed: its weights, tokenizer, preprocessing or "
            "precision do not give its fingerprint."
        )


def _check_weights(release: Release) -> None:
    """The graphs that are served as they are must be those that the fingerprint covers."""
    folders: Mapping[str, str] = {"image": release.image.model, "text": release.text.model}
    for name, expected in release.weights.items():
        tower, _, file = name.partition("/")
        folder = f"{folders.get(tower, tower)}/1"
        if f"{folder}/{_ENGINE}" in release.digests:
            continue  # a TensorRT engine, made from that graph on the GPU's own machine
        served = f"{folder}/{file}"
        if release.digests.get(served) != expected:
            raise ReleaseInvalid(f"{served} is not the graph of the fingerprint of {release.id}.")


def _read_golden(path: Path, release: Release) -> Golden:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            golden = Golden(
                images=arrays["images"],
                image_vectors=arrays["image_vectors"],
                strings=tuple(str(text) for text in arrays["strings"]),
                texts=arrays["texts"],
                text_vectors=arrays["text_vectors"],
            )
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as exc:
        raise ReleaseInvalid(f"{path.name} of release {release.id} cannot be read.") from exc
    _check_shapes(path.name, golden, release)
    return golden


def _check_shapes(name: str, golden: Golden, release: Release) -> None:
    images, texts, image = len(golden.images), len(golden.strings), release.image
    shapes = {
        "images": (golden.images.shape, (images, image.height_px, image.width_px, 3)),
        "image_vectors": (golden.image_vectors.shape, (images, release.dim)),
        "texts": (golden.texts.shape, (texts, release.text.context_length)),
        "text_vectors": (golden.text_vectors.shape, (texts, release.dim)),
    }
    for array, (found, expected) in shapes.items():
        if found != expected:
            raise ReleaseInvalid(f"{name}: {array} has shape {found}, not {expected}.")
