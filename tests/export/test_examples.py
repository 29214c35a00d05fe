"""Pictures and texts, as the towers take them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from export import examples
from export.errors import ExportRefused
from export.examples import BATCH, ExampleSets, read_examples
from export.finetune.errors import BadPairs
from export.release_export import ExportResult
from gateway.adapters.release_files import load_release
from gateway.domain.loaded_release import LoadedRelease
from gateway.preprocess.text import TextTokenizer
from tests.export.example_pairs import write_pairs


@pytest.fixture(scope="module", name="pairs")
def a_file_of_pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pairs(tmp_path_factory.mktemp("pairs"))


@pytest.fixture(name="loaded")
def a_release(exported: ExportResult, repository: Path) -> LoadedRelease:
    return load_release(repository, exported.release.id)


def read(pairs: Path, loaded: LoadedRelease) -> ExampleSets:
    tokenizer = loaded.tokenizer
    assert isinstance(tokenizer, TextTokenizer)
    return read_examples(pairs, loaded.release.image, tokenizer)


def test_what_is_held_out_is_judged_and_the_rest_calibrates(
    pairs: Path, loaded: LoadedRelease
) -> None:
    sets = read(pairs, loaded)
    assert sets.judged.pixels.shape == (400, 32, 32, 3)
    assert sets.judged.pixels.dtype == np.uint8
    assert np.bincount(sets.judged.groups).tolist() == [2] * 200
    assert np.bincount(sets.judged.text_groups).tolist() == [2] * 200
    assert len(sets.calibration.pixels) == 48


def test_batches_hold_every_picture_and_every_text_once(pairs: Path, loaded: LoadedRelease) -> None:
    judged = read(pairs, loaded).judged
    assert np.array_equal(np.concatenate(list(judged.image_batches())), judged.pixels)
    seen = []
    for numbers, rows in judged.text_batches():
        assert len(numbers) == len(rows) <= BATCH
        for number, row in zip(numbers, rows, strict=True):
            assert np.array_equal(judged.texts[number], row)
        seen.extend(numbers)
    assert sorted(seen) == list(range(len(judged.texts)))


def test_of_a_long_file_products_are_taken_from_all_over_it(
    pairs: Path, loaded: LoadedRelease, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examples, "MOST_CALIBRATION_PICTURES", 12)
    monkeypatch.setattr(examples, "MOST_JUDGED_PICTURES", 100)
    all_of_it = read(pairs, loaded)
    assert len(all_of_it.judged.groups) == 400, "never fewer products than judging asks for"
    assert len(all_of_it.calibration.groups) == 12
    monkeypatch.setattr(examples, "LEAST_JUDGED_PRODUCTS", 20)
    assert len(read(pairs, loaded).judged.groups) == 100


def test_a_file_that_is_too_small_is_refused(tmp_path: Path, loaded: LoadedRelease) -> None:
    with pytest.raises(ExportRefused, match="24 products to calibrate with and 3 held out"):
        read(write_pairs(tmp_path, held_out=3), loaded)
    with pytest.raises(ExportRefused, match="0 products to calibrate"):
        read(write_pairs(tmp_path, train=0), loaded)


def test_a_picture_that_cannot_be_used_is_named(tmp_path: Path, loaded: LoadedRelease) -> None:
    pairs = write_pairs(tmp_path)
    (tmp_path / "210-0.png").write_bytes(b"no picture")
    with pytest.raises(ExportRefused, match=r"210-0\.png cannot be used: This is not a picture"):
        read(pairs, loaded)
    (tmp_path / "210-0.png").unlink()
    with pytest.raises(ExportRefused, match=r"210-0\.png cannot be read: No such file"):
        read(pairs, loaded)
    pairs.write_text(json.dumps({"image": "210-1.png"}))
    with pytest.raises(BadPairs, match="line 1"):
        read(pairs, loaded)
