"""Streams of requests: seeded, in the stated mix, with words that follow Zipf's law."""

from __future__ import annotations

import itertools
import math
import random
from collections import Counter

import numpy as np
import pytest

from loadtest.http_caller import outcome_of, request_of
from loadtest.picture_folder import CatalogEntry, PictureFolder
from loadtest.record import ANSWERED, REFUSED
from loadtest.workload import (
    DEFAULT_MIX,
    OWN_ITEMS,
    Ask,
    Kind,
    Workload,
    Zipf,
    own_ids,
    parse_mix,
    shown_mix,
    texts,
)

MANY = [CatalogEntry(f"i{n}", f"Thing {n}", f"Shelf {n % 9}", f"Brand {n % 5}", "") for n in
        range(800)]  # fmt: skip


def first(workload: Workload, name: str, count: int) -> list[Ask]:
    return list(itertools.islice(workload.stream(name), count))


def test_the_same_seed_asks_the_same(folder: PictureFolder) -> None:
    asks = first(Workload(folder, seed=3), "0/1", 200)
    assert asks == first(Workload(folder, seed=3), "0/1", 200)


def test_another_seed_or_stream_asks_other_things(folder: PictureFolder) -> None:
    streams = [first(Workload(folder, seed=s), n, 50) for s in (1, 2) for n in ("0/1", "1/1")]
    assert all(a != b for a, b in itertools.combinations(streams, 2))


def test_kinds_come_in_the_stated_mix(folder: PictureFolder) -> None:
    kinds = Counter(ask.kind for ask in first(Workload(folder), "x", 20_000))
    for kind, weight in DEFAULT_MIX.items():
        part = weight / sum(DEFAULT_MIX.values())
        # Four standard deviations of a binomial share.
        assert abs(kinds[kind] / 20_000 - part) < 4 * math.sqrt(part * (1 - part) / 20_000)


def test_words_follow_zipfs_law() -> None:
    """Log frequency against log rank is a line whose slope is the exponent."""
    for exponent in (0.8, 1.0, 1.3):
        zipf, chance = Zipf(5_000, exponent), random.Random(1)
        drawn = Counter(zipf.draw(chance) for _ in range(200_000))
        ranks = np.arange(1, 51)
        counts = np.array([drawn[r - 1] for r in ranks])
        slope = np.polyfit(np.log(ranks), np.log(counts), 1)[0]
        assert -slope == pytest.approx(exponent, abs=0.05)


def test_there_are_thousands_of_distinct_texts_and_they_are_seeded() -> None:
    found = texts(MANY, 1)
    assert len(found) == len(set(found)) == 5_000
    assert found == texts(MANY, 1)
    assert found != texts(MANY, 2)
    assert all(1 <= len(text.split()) <= 8 for text in found)


def test_a_small_catalogue_has_few_texts(folder: PictureFolder) -> None:
    assert "red shoe" in texts(folder.entries, 1)


def test_upserts_stay_among_their_own_ids(folder: PictureFolder) -> None:
    asks = first(Workload(folder, {Kind.UPSERT: 1}), "x", 2_000)
    assert {ask.own_id for ask in asks} <= set(own_ids())
    assert len(own_ids()) == OWN_ITEMS
    assert not set(own_ids()) & {entry.id for entry in folder.entries}


def test_a_mix_reads_as_it_is_shown() -> None:
    assert parse_mix(shown_mix(DEFAULT_MIX)) == DEFAULT_MIX
    assert parse_mix("image=3, text=1") == {Kind.IMAGE: 3, Kind.TEXT: 1}


@pytest.mark.parametrize("text", ["", "image", "picture=3", "image=-1,text=2", "image=0"])
def test_a_mix_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_mix(text)


def test_every_kind_is_a_request(folder: PictureFolder) -> None:
    for kind in Kind:
        [ask] = first(Workload(folder, {kind: 1}), "x", 1)
        method, path, body, content_type = request_of(ask)
        assert path.startswith("/v1/")
        assert (body is None) == (method == "GET")
        assert bool(content_type) == (body is not None)
        assert (ask.picture is not None) == (b"image/jpeg" in (body or b""))


HITS = b'{"hits":[{"id":"a"}]}'


@pytest.mark.parametrize(
    ("kind", "status", "content", "outcome"),
    [
        (Kind.IMAGE, 200, HITS, ANSWERED),
        (Kind.IMAGE, 200, b'{"hits":[]}', "empty answer"),
        (Kind.FILTERED, 200, b'{"hits":[]}', ANSWERED),
        (Kind.TEXT, 429, b"", REFUSED),
        (Kind.TEXT, 503, b"", "HTTP 503"),
        (Kind.TEXT, 0, b"", "no connection"),
        (Kind.UPSERT, 200, b'{"id":"x","status":"indexed"}', ANSWERED),
        (Kind.UPSERT, 200, b'{"id":"x","status":"failed"}', "item not written"),
    ],
)
def test_a_response_means(kind: Kind, status: int, content: bytes, outcome: str) -> None:
    assert outcome_of(kind, status, content) == outcome
