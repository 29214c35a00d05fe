"""Which rows a text tower takes, and what the towers compute."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from export.errors import ExportRefused
from export.golden import golden_images, golden_set
from export.model_source import SourceModel
from export.parity import BATCH_SIZES, Rows, image_parity, require, text_parity
from export.tokenizer_json import convert
from export.towers import (
    CausalTextTowerModule,
    ImageTowerModule,
    TextTowerModule,
    buckets_for,
    text_tower,
)
from gateway.domain.loaded_release import Golden
from gateway.domain.release import Precision
from gateway.domain.vectors import Batch, cosine
from tests.export.conftest import LoadModel
from tests.export.models import ANY_LENGTH, CONFIGS


class Run:
    """A tower in PyTorch, as parity wants it: arrays in, arrays out."""

    def __init__(self, tower: nn.Module) -> None:
        self._tower = tower.eval()

    def __call__(self, rows: Rows) -> Batch:
        with torch.no_grad():
            vectors: Batch = self._tower(torch.from_numpy(rows)).numpy()
        return vectors


def rows_of(source: SourceModel) -> tuple[tuple[int, ...], int]:
    """The buckets and the padding of a model's text tower."""
    tokens = convert(source.tokenizer)
    buckets = buckets_for(source.network, tokens.context_length, tokens.pad_id, tokens.end_id)
    return buckets, tokens.pad_id


@pytest.mark.parametrize("name", CONFIGS)
def test_short_rows_are_taken_exactly_where_padding_changes_nothing(
    load: LoadModel, name: str
) -> None:
    buckets, _ = rows_of(load(name))
    assert (len(buckets) > 1) == (name in ANY_LENGTH)


@pytest.mark.parametrize("name", CONFIGS)
def test_towers_give_open_clips_own_vectors(load: LoadModel, name: str) -> None:
    source = load(name)
    golden, (buckets, pad_id) = golden_set(source), rows_of(source)
    image = image_parity(Run(ImageTowerModule(source.network, source.pixels)), golden)
    text = text_parity(Run(text_tower(source.network, buckets)), golden, buckets, pad_id)
    assert image.least_cosine > 0.999999
    assert text.least_cosine > 0.999999
    assert text.batches >= len(buckets) * len(BATCH_SIZES)


@pytest.mark.parametrize("name", CONFIGS)
def test_golden_vectors_tell_their_inputs_apart(load: LoadModel, name: str) -> None:
    """Otherwise a tower that gives everybody the same vector would pass."""
    golden = golden_set(load(name))
    for vectors in (golden.image_vectors, golden.text_vectors):
        alike = vectors @ vectors.T - np.eye(len(vectors))
        assert alike.max() < 0.9999
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_padding_does_change_a_tower_that_pools_at_the_last_token(load: LoadModel) -> None:
    """So it is right that it gets full rows only."""
    source = load("causal-last")
    golden = golden_set(source)
    full = Run(TextTowerModule(source.network))(golden.texts[:1])
    longer_text = golden.texts[:1].copy()
    longer_text[0, -1] = 7
    changed = Run(TextTowerModule(source.network))(longer_text)
    assert cosine(full, changed)[0] < 0.9999


def test_a_causal_tower_needs_an_end_token_that_is_not_the_padding(load: LoadModel) -> None:
    by_highest, by_name = load("vit-argmax").network, load("timm-eos").network
    assert buckets_for(by_highest, 77, pad_id=0, end_id=49407) == (8, 16, 32, 77)
    assert buckets_for(by_highest, 77, pad_id=49407, end_id=49406) == (77,)
    assert buckets_for(by_highest, 77, pad_id=0, end_id=None) == (77,)
    assert buckets_for(by_name, 24, pad_id=0, end_id=2) == (8, 16, 24)
    assert buckets_for(by_name, 24, pad_id=2, end_id=2) == (24,)
    assert buckets_for(by_name, 24, pad_id=0, end_id=3) == (24,)


@pytest.mark.parametrize("module", [TextTowerModule, CausalTextTowerModule])
def test_a_model_without_a_text_tower_is_refused(module: type[nn.Module]) -> None:
    with pytest.raises(ExportRefused, match="Linear has no text"):
        module(nn.Linear(2, 2))


def test_a_model_without_an_image_tower_is_refused(load: LoadModel) -> None:
    with pytest.raises(ExportRefused, match="Linear has no image tower"):
        ImageTowerModule(nn.Linear(2, 2), load("vit-argmax").pixels)


def test_golden_pictures_have_the_towers_size_and_differ(load: LoadModel) -> None:
    pictures = golden_images(load("vit-oblong").pixels)
    assert pictures.shape == (6, 32, 48, 3)
    assert pictures.dtype == np.uint8
    assert len(np.unique(pictures.reshape(6, -1), axis=0)) == 6


@pytest.mark.parametrize(("wrong", "least"), [("noisy", 0.9), ("nan", 0.0)])
def test_wrong_vectors_are_refused(load: LoadModel, wrong: str, least: float) -> None:
    golden = golden_set(load("vit-argmax"))
    addend = np.full_like(golden.image_vectors, np.nan)
    if wrong == "noisy":
        addend = np.random.default_rng(0).normal(0, 0.01, addend.shape).astype(np.float32)
    parity = image_parity(Recited(golden, golden.image_vectors + addend), golden)
    with pytest.raises(ExportRefused, match="image tower's graph does not give PyTorch's"):
        require(parity, "image", Precision.FP32)
    assert not parity.least_cosine < least


class Recited:
    """A tower that knows one answer for each golden picture."""

    def __init__(self, golden: Golden, vectors: Batch) -> None:
        pairs = zip(golden.images, vectors, strict=True)
        self._answers = {row.tobytes(): vector for row, vector in pairs}

    def __call__(self, rows: Rows) -> Batch:
        return np.stack([self._answers[row.tobytes()] for row in rows])
