"""Releases as files."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gateway.adapters.release_files import (
    RepositoryFiles,
    digest,
    evaluation_path,
    list_releases,
    load_release,
    manifest_path,
    read_manifest,
    write_golden,
    write_manifest,
)
from gateway.domain.errors import NotFound, ReleaseInvalid
from gateway.domain.loaded_release import Golden
from gateway.domain.release import (
    ImageTower,
    Interpolation,
    Precision,
    Release,
    ResizeMode,
    TextClean,
    TextTower,
    fingerprint,
)
from gateway.services.evaluation_report import NotedFigures, to_json
from tests.unit.test_text import TOKENIZER_JSON

DIM, SIDE_PX, CONTEXT = 5, 4, 12


@dataclass(frozen=True)
class Shelf:
    """A model repository with one release, and the means to meddle with it."""

    folder: Path
    release: Release

    def edit(self, path: str, value: object) -> None:
        """Sets a field of the manifest, `image.fill` for example."""
        file = manifest_path(self.folder, self.release.id)
        document = json.loads(file.read_text())
        *parents, last = path.split(".")
        target: dict[str, Any] = document["release"]
        for parent in parents:
            target = target[parent]
        target[last] = value
        file.write_text(json.dumps(document))


@pytest.fixture(name="shelf")
def a_repository_with_one_release(tmp_path: Path) -> Shelf:
    image = ImageTower(
        "s-image", SIDE_PX, SIDE_PX, ResizeMode.SHORTEST, Interpolation.BICUBIC, fill=0
    )
    text = TextTower("s-text", (4, 8, CONTEXT), pad_id=0, end_id=2, clean=TextClean.LOWER)
    for model in (image.model, text.model):
        (tmp_path / model / "1").mkdir(parents=True)
        (tmp_path / model / "1" / "model.onnx").write_bytes(model.encode())
    (tmp_path / "s.tokenizer.json").write_text(TOKENIZER_JSON)
    write_golden(tmp_path / "s.golden.npz", golden())
    files = ["s-image/1/model.onnx", "s-text/1/model.onnx", "s.golden.npz", "s.tokenizer.json"]
    digests = {name: digest(tmp_path / name) for name in files}
    weights = {"image/model.onnx": digests[files[0]], "text/model.onnx": digests[files[1]]}
    release = Release(
        id="s",
        architecture="test",
        dim=DIM,
        precision=Precision.FP32,
        target="onnx-cpu",
        image=image,
        text=text,
        tokenizer_file="s.tokenizer.json",
        golden_file="s.golden.npz",
        fingerprint=fingerprint(weights, digests[files[3]], image, text, Precision.FP32),
        digests=digests,
        weights=weights,
    )
    write_manifest(tmp_path, release)
    return Shelf(tmp_path, release)


def golden() -> Golden:
    strings = ("", "red shoe")
    return Golden(
        images=np.zeros((3, SIDE_PX, SIDE_PX, 3), np.uint8),
        image_vectors=np.ones((3, DIM), np.float32),
        strings=strings,
        texts=np.zeros((2, CONTEXT), np.int64),
        text_vectors=np.ones((2, DIM), np.float32),
    )


def test_what_was_written_is_read_back(shelf: Shelf) -> None:
    loaded = load_release(shelf.folder, "s")
    assert loaded.release == shelf.release
    assert loaded.golden.strings == golden().strings
    np.testing.assert_array_equal(loaded.golden.image_vectors, golden().image_vectors)
    assert loaded.tokenizer.encode("red shoe").tolist() == [1, 4, 6, 2]


def test_releases_are_listed_by_their_manifests(shelf: Shelf) -> None:
    (shelf.folder / "half-exported-image").mkdir()
    assert list_releases(shelf.folder) == ("s",)
    assert list_releases(shelf.folder / "missing") == ()


def test_an_unknown_release_is_not_found_and_the_others_are_named(shelf: Shelf) -> None:
    with pytest.raises(NotFound, match="it has: s"):
        load_release(shelf.folder, "t")


@pytest.mark.parametrize(
    "name", ["s-image/1/model.onnx", "s-text/1/model.onnx", "s.tokenizer.json", "s.golden.npz"]
)
def test_a_changed_file_is_named(shelf: Shelf, name: str) -> None:
    path = shelf.folder / name
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ReleaseInvalid, match=name):
        load_release(shelf.folder, "s")


def test_a_missing_file_is_named(shelf: Shelf) -> None:
    (shelf.folder / "s-text/1/model.onnx").unlink()
    with pytest.raises(ReleaseInvalid, match=r"s-text/1/model\.onnx"):
        load_release(shelf.folder, "s")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("image.fill", 255),
        ("image.resize_mode", "squash"),
        ("image.interpolation", "bilinear"),
        ("image.height_px", 5),
        ("text.pad_id", 1),
        ("text.end_id", None),
        ("text.clean", "whitespace"),
        ("text.zeroed_id", 2),
        ("text.buckets", [4, 8]),
        ("precision", "fp16"),
        ("fingerprint", "0" * 64),
    ],
)
def test_a_changed_meaning_does_not_give_the_fingerprint(
    shelf: Shelf, field: str, value: object
) -> None:
    shelf.edit(field, value)
    with pytest.raises(ReleaseInvalid, match="fingerprint"):
        load_release(shelf.folder, "s")


def test_weights_of_another_model_are_refused_even_with_their_own_digest(shelf: Shelf) -> None:
    path = shelf.folder / "s-image/1/model.onnx"
    path.write_bytes(b"another model")
    digests = dict(shelf.release.digests) | {"s-image/1/model.onnx": digest(path)}
    write_manifest(shelf.folder, replace(shelf.release, digests=digests))
    with pytest.raises(ReleaseInvalid, match=r"s-image/1/model\.onnx"):
        load_release(shelf.folder, "s")


def test_an_engine_may_stand_in_for_its_graph(shelf: Shelf) -> None:
    graph = shelf.folder / "s-image/1/model.onnx"
    engine = graph.with_name("model.plan")
    graph.rename(engine)
    digests = dict(shelf.release.digests) | {"s-image/1/model.plan": digest(engine)}
    del digests["s-image/1/model.onnx"]
    write_manifest(shelf.folder, replace(shelf.release, digests=digests))
    assert load_release(shelf.folder, "s").release.fingerprint == shelf.release.fingerprint


def test_short_rows_and_names_do_not_change_the_fingerprint(shelf: Shelf) -> None:
    release = shelf.release
    renamed = fingerprint(
        release.weights,
        release.digests[release.tokenizer_file],
        replace(release.image, model="t-image"),
        replace(release.text, model="t-text", buckets=(CONTEXT,)),
        release.precision,
    )
    assert renamed == release.fingerprint


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("dim", "5"),
        ("precision", "fp64"),
        ("image.width_px", None),
        ("text.buckets", "8"),
        ("text.speed", 1),
        ("comment", "unknown"),
    ],
)
def test_a_malformed_manifest_names_the_file_and_the_field(
    shelf: Shelf, field: str, value: object
) -> None:
    shelf.edit(field, value)
    with pytest.raises(ReleaseInvalid, match=rf"s\.release\.json: release\.{field}"):
        read_manifest(shelf.folder, "s")


@pytest.mark.parametrize("content", ["", "{", '{"schema": 2, "release": {}}'])
def test_what_is_no_manifest_of_this_schema_is_refused(shelf: Shelf, content: str) -> None:
    manifest_path(shelf.folder, "s").write_text(content)
    with pytest.raises(ReleaseInvalid, match=r"s\.release\.json"):
        load_release(shelf.folder, "s")


def test_a_manifest_under_another_name_is_refused(shelf: Shelf) -> None:
    manifest_path(shelf.folder, "s").rename(manifest_path(shelf.folder, "t"))
    with pytest.raises(ReleaseInvalid, match=r"release\.id"):
        load_release(shelf.folder, "t")


@pytest.mark.parametrize("name", ["../outside", "/etc/hostname"])
def test_a_manifest_cannot_name_files_outside_its_folder(shelf: Shelf, name: str) -> None:
    digests = dict(shelf.release.digests) | {name: "0" * 64}
    write_manifest(shelf.folder, replace(shelf.release, digests=digests))
    with pytest.raises(ReleaseInvalid, match="outside"):
        load_release(shelf.folder, "s")


def test_golden_vectors_of_another_shape_are_refused(shelf: Shelf) -> None:
    path = shelf.folder / "s.golden.npz"
    write_golden(path, replace(golden(), text_vectors=np.ones((2, DIM + 1), np.float32)))
    digests = dict(shelf.release.digests) | {path.name: digest(path)}
    write_manifest(shelf.folder, replace(shelf.release, digests=digests))
    with pytest.raises(ReleaseInvalid, match="text_vectors"):
        load_release(shelf.folder, "s")


def test_golden_files_of_the_same_content_are_the_same_bytes(tmp_path: Path) -> None:
    write_golden(tmp_path / "a.npz", golden())
    write_golden(tmp_path / "b.npz", golden())
    assert digest(tmp_path / "a.npz") == digest(tmp_path / "b.npz")


def cutoffs_file(shelf: Shelf, **changed: Any) -> None:
    """What calibration writes, which is more than serving needs."""
    document = {
        "release": shelf.release.id,
        "fingerprint": shelf.release.fingerprint,
        "golden": "golden.jsonl",
        "cutoffs": {"text": 0.2, "image": 0.5},
        "rates": {},
    } | changed
    (shelf.folder / "s.cutoffs.json").write_text(json.dumps(document))


def test_cut_offs_are_read_if_they_have_been_calibrated(shelf: Shelf) -> None:
    assert load_release(shelf.folder, "s").cutoffs == {}
    cutoffs_file(shelf)
    assert load_release(shelf.folder, "s").cutoffs == {"text": 0.2, "image": 0.5}


@pytest.mark.parametrize(
    "changed",
    [{"fingerprint": "other"}, {"release": "t"}, {"cutoffs": {"text": "high"}}, {"cutoffs": 3},
     {"cutoffs": {"text": 7}}],
    ids=str,
)  # fmt: skip
def test_cut_offs_of_other_vectors_are_refused(shelf: Shelf, changed: dict[str, Any]) -> None:
    cutoffs_file(shelf, **changed)
    with pytest.raises(ReleaseInvalid, match=r"s\.cutoffs\.json.*calibrate again"):
        load_release(shelf.folder, "s")


def test_noted_figures_are_read_back_and_a_damaged_note_is_none(shelf: Shelf) -> None:
    files = RepositoryFiles(shelf.folder)
    name = shelf.release.id
    assert files.evaluation(name) is None
    path = evaluation_path(shelf.folder, name)
    path.write_bytes(to_json(NotedFigures(name, "golden", 300, {"recall@10": 0.887})))
    assert files.evaluation(name) == {"recall@10": 0.887}
    for damaged in (b"", b"[]", b'{"means": {"recall@10": "many"}}', b'{"means": 3}'):
        path.write_bytes(damaged)
        assert files.evaluation(name) is None
