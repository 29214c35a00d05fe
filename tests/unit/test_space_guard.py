"""A model that is not the one that a collection was built with is refused, never guessed with.

Tried on the committed release, with each part of a model changed in the two ways that happen: a
file swapped by hand, and a release exported anew under the same name.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.adapters.qdrant_edge import EdgeIndex
from gateway.adapters.release_files import digest, load_release, read_manifest, write_manifest
from gateway.domain.ports import CollectionSpec
from gateway.domain.release import Interpolation, Precision, Release, fingerprint
from tests.shop import open_shop

RELEASE = "sample-v1"
COMMITTED = Path(__file__).parents[2] / "model_repository"
WEIGHTS = f"{RELEASE}-text/1/model.onnx"

Change = Callable[[Path, Release], Release]


def other_weights(repository: Path, release: Release) -> Release:
    data = bytearray((repository / WEIGHTS).read_bytes())
    data[len(data) // 2] ^= 1
    (repository / WEIGHTS).write_bytes(data)
    return replace(
        release,
        weights={**release.weights, "text/model.onnx": digest(repository / WEIGHTS)},
    )


def other_tokenizer(repository: Path, release: Release) -> Release:
    path = repository / release.tokenizer_file
    document = json.loads(path.read_text())
    first, second = list(document["model"]["vocab"])[300:302]
    vocabulary = document["model"]["vocab"]
    vocabulary[first], vocabulary[second] = vocabulary[second], vocabulary[first]
    path.write_text(json.dumps(document))
    return release


def other_preprocessing(repository: Path, release: Release) -> Release:
    del repository
    return replace(release, image=replace(release.image, interpolation=Interpolation.BILINEAR))


def other_precision(repository: Path, release: Release) -> Release:
    del repository
    return replace(release, precision=Precision.FP16)


CHANGES = [other_weights, other_tokenizer, other_preprocessing, other_precision]


@pytest.fixture(name="repository")
def a_copy_of_the_repository(tmp_path: Path) -> Path:
    target = tmp_path / "repository"
    shutil.copytree(COMMITTED, target, ignore=shutil.ignore_patterns("__pycache__"))
    return target


async def answers(repository: Path, folder: Path) -> tuple[str, str]:
    """What a gateway with this repository says to a search and to a probe: their problems."""
    release = read_manifest(COMMITTED, RELEASE)
    index = EdgeIndex.open(folder)
    await index.create(CollectionSpec(RELEASE, release.dim, release.fingerprint, {}))
    await index.activate(RELEASE)
    await index.close()
    async with open_shop(folder, load=lambda name: load_release(repository, name)) as shop:
        search = await shop.http.get("/v1/search?q=apple")
        ready = await shop.http.get("/health/ready")
    assert (search.status_code, ready.status_code) == (503, 503)
    return search.json()["type"].rpartition(":")[2], ready.text


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
async def test_a_release_exported_anew_under_its_name_does_not_meet_the_old_collection(
    repository: Path, tmp_path: Path, change: Change
) -> None:
    changed = change(repository, read_manifest(repository, RELEASE))
    tokenizer = digest(repository / changed.tokenizer_file)
    write_manifest(
        repository,
        replace(
            changed,
            digests={name: digest(repository / name) for name in changed.digests},
            fingerprint=fingerprint(
                changed.weights, tokenizer, changed.image, changed.text, changed.precision
            ),
        ),
    )
    kind, readiness = await answers(repository, tmp_path / "index")
    assert kind == "space-mismatch"
    assert "built with weights, tokenizer, preprocessing or precision other than" in readiness


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
async def test_a_part_swapped_by_hand_is_refused(
    repository: Path, tmp_path: Path, change: Change
) -> None:
    before = read_manifest(repository, RELEASE)
    changed = change(repository, before)
    # By hand: the files, or the manifest's own words, but neither digests nor the fingerprint.
    write_manifest(repository, replace(changed, weights=before.weights))
    kind, _ = await answers(repository, tmp_path / "index")
    assert kind == "release-invalid"
