"""What both stores promise about collections, the alias and points."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import numpy as np
import pytest

from gateway.domain import payload as payloads
from gateway.domain.deadline import Deadline
from gateway.domain.errors import DeadlineExceeded, NotFound, SpaceMismatch
from gateway.domain.items import point_id
from gateway.domain.ports import Aliases, CatalogIndex, CollectionInfo, Point
from gateway.domain.trial import Trial
from tests.contract.catalog import (
    ALL_FIELDS,
    DIM,
    NO_WORDS,
    SPEC,
    SPEC_OF_ALL_FIELDS,
    ids,
    plan,
    shelf,
    unit_rows,
)


async def test_a_new_collection_is_described_as_it_was_specified(index: CatalogIndex) -> None:
    await index.create(SPEC_OF_ALL_FIELDS)
    assert await index.describe(SPEC.name) == CollectionInfo(
        SPEC.name, DIM, "fingerprint-1", points=0, fields=ALL_FIELDS
    )


async def test_creating_twice_changes_nothing(index: CatalogIndex) -> None:
    await index.create(SPEC)
    await index.upsert(SPEC.name, shelf(1, items=3, most_pictures=1).points())
    await index.create(SPEC)
    info = await index.describe(SPEC.name)
    assert info is not None
    assert info.points == 3


async def test_another_fingerprint_is_refused(index: CatalogIndex) -> None:
    await index.create(SPEC)
    with pytest.raises(SpaceMismatch, match="fingerprint-1"):
        await index.create(replace(SPEC, fingerprint="fingerprint-2"))


async def test_an_unknown_collection_is_none_to_describe_and_nothing_to_drop(
    index: CatalogIndex,
) -> None:
    assert await index.describe("nowhere") is None
    await index.drop("nowhere")


async def test_every_other_call_on_an_unknown_collection_is_not_found(
    index: CatalogIndex, soon: Deadline
) -> None:
    query = plan(unit_rows(np.random.default_rng(1), 1)[0])
    for call in (
        index.upsert("nowhere", shelf(1, items=1).points()),
        index.delete_points("nowhere", [point_id("sku-1", 0)]),
        index.item_points("nowhere", "sku-1", soon),
        index.search("nowhere", query, soon),
        index.activate("nowhere"),
        index.optimize("nowhere"),
        index.set_trial(Trial("nowhere", 0.5)),
        anext(aiter(index.payloads("nowhere"))),
    ):
        with pytest.raises(NotFound):
            await call


async def test_a_dropped_collection_is_gone_and_can_be_made_for_another_model(
    index: CatalogIndex,
) -> None:
    await index.create(SPEC)
    await index.upsert(SPEC.name, shelf(1, items=3).points())
    await index.drop(SPEC.name)
    assert await index.describe(SPEC.name) is None
    await index.create(replace(SPEC, fingerprint="fingerprint-2", dim=8))
    info = await index.describe(SPEC.name)
    assert info is not None
    assert (info.points, info.dim, info.fingerprint) == (0, 8, "fingerprint-2")


async def test_the_alias_points_where_it_was_last_moved(index: CatalogIndex) -> None:
    assert (await index.aliases()).active is None
    for name in ("shoes-v1", "shoes-v2", "shoes-v1"):
        await index.create(replace(SPEC, name=name))
        await index.activate(name)
        assert (await index.aliases()).active == name


async def test_an_activation_remembers_what_to_go_back_to(index: CatalogIndex) -> None:
    assert await index.aliases() == Aliases()
    for name in ("shoes-v1", "shoes-v2"):
        await index.create(replace(SPEC, name=name))
    await index.activate("shoes-v1")
    assert await index.aliases() == Aliases("shoes-v1", None)
    await index.activate("shoes-v2")
    assert await index.aliases() == Aliases("shoes-v2", "shoes-v1")
    await index.activate("shoes-v2")
    assert await index.aliases() == Aliases("shoes-v2", "shoes-v1")
    await index.activate("shoes-v1")
    assert await index.aliases() == Aliases("shoes-v1", "shoes-v2")


async def test_a_trial_is_read_as_it_was_set_and_ends_with_activation(index: CatalogIndex) -> None:
    for name in ("shoes-v1", "shoes-v2"):
        await index.create(replace(SPEC, name=name))
    await index.activate("shoes-v1")
    for trial in (Trial("shoes-v2", 0.05, 1.0), Trial("shoes-v2", 0.0001, 0.0), None):
        await index.set_trial(trial)
        assert await index.aliases() == Aliases("shoes-v1", None, trial)
    await index.set_trial(Trial("shoes-v2", 0.5))
    await index.activate("shoes-v2")
    assert await index.aliases() == Aliases("shoes-v2", "shoes-v1", None)


async def test_the_aliases_go_with_their_collection(index: CatalogIndex) -> None:
    for name in ("shoes-v1", "shoes-v2", "shoes-v3"):
        await index.create(replace(SPEC, name=name))
        await index.activate(name)
    await index.set_trial(Trial("shoes-v1", 0.5))
    await index.drop("shoes-v1")
    assert await index.aliases() == Aliases("shoes-v3", "shoes-v2", None)
    await index.drop("shoes-v2")
    assert await index.aliases() == Aliases("shoes-v3")
    await index.drop("shoes-v3")
    assert await index.aliases() == Aliases()


async def test_collections_are_listed_by_name(index: CatalogIndex) -> None:
    assert await index.collections() == []
    for name in ("shoes-v2", "shoes-v1"):
        await index.create(replace(SPEC, name=name))
    assert await index.collections() == ["shoes-v1", "shoes-v2"]
    await index.drop("shoes-v1")
    assert await index.collections() == ["shoes-v2"]


async def test_a_collection_knows_when_it_was_made(index: CatalogIndex) -> None:
    before = time.time()
    await index.create(SPEC)
    info = await index.describe(SPEC.name)
    assert info is not None
    assert info.green
    assert info.made_at_s is not None
    assert before <= info.made_at_s <= time.time()


async def test_an_items_points_come_back_bit_for_bit_in_the_order_of_its_pictures(
    index: CatalogIndex, soon: Deadline
) -> None:
    stock = shelf(2, items=12, most_pictures=6)
    await index.create(SPEC)
    await index.upsert(SPEC.name, stock.points()[::-1])
    for item in stock.items:
        points = await index.item_points(SPEC.name, item.id, soon)
        assert [point.id for point in points] == [
            point_id(item.id, number) for number in range(len(item.pictures))
        ]
        np.testing.assert_array_equal([p.image for p in points], stock.vectors[item.id])
        assert {point.image.dtype for point in points} == {np.dtype(np.float32)}
        assert [payloads.to_item(point.payload) for point in points] == [item] * len(points)
    assert await index.item_points(SPEC.name, "unknown", soon) == []


async def test_an_upsert_replaces_vector_words_and_payload(
    index: CatalogIndex, soon: Deadline
) -> None:
    stock = shelf(3, items=2, most_pictures=1)
    first = stock.points()[0]
    item = stock.items[0]
    north, east = np.eye(DIM, dtype=np.float32)[:2]
    await index.create(SPEC)
    for vector, price in ((north, 1.0), (east, 2.0)):
        payload = payloads.to_payload(replace(item, price=price), 0, "digest")
        await index.upsert(SPEC.name, [Point(first.id, vector, NO_WORDS, payload)])
    info = await index.describe(SPEC.name)
    assert info is not None
    assert info.points == 1
    hit = (await index.search(SPEC.name, plan(east), soon))[0]
    assert hit.score == pytest.approx(1.0)
    assert hit.item["price"] == 2.0


async def test_a_deleted_point_is_gone_and_unknown_ids_are_no_error(
    index: CatalogIndex, soon: Deadline
) -> None:
    stock = shelf(4, items=5, most_pictures=1)
    gone, *kept = (item.id for item in stock.items)
    await index.create(SPEC)
    await index.upsert(SPEC.name, stock.points())
    await index.delete_points(SPEC.name, [point_id(gone, 0), point_id("unknown", 0)])
    await index.delete_points(SPEC.name, [])
    hits = await index.search(SPEC.name, plan(stock.vectors[gone][0]), soon)
    assert sorted(ids(hits)) == kept


async def test_payloads_lists_every_point_once(index: CatalogIndex) -> None:
    stock = shelf(5, items=200, most_pictures=3)
    await index.create(SPEC)
    await index.upsert(SPEC.name, stock.points())
    listed = [(p["id"], payloads.picture_no(p)) async for p in index.payloads(SPEC.name)]
    expected = [(i.id, number) for i in stock.items for number in range(len(i.pictures))]
    assert sorted(listed) == expected


async def test_a_vector_of_another_length_is_a_space_mismatch(
    index: CatalogIndex, soon: Deadline
) -> None:
    await index.create(SPEC)
    wrong = unit_rows(np.random.default_rng(1), 1, dim=DIM + 1)[0]
    point = replace(shelf(1, items=1).points()[0], image=wrong)
    with pytest.raises(SpaceMismatch):
        await index.upsert(SPEC.name, [point])
    await index.upsert(SPEC.name, shelf(1, items=1).points())
    with pytest.raises(SpaceMismatch):
        await index.search(SPEC.name, plan(wrong), soon)


async def test_a_request_without_time_is_not_started(index: CatalogIndex) -> None:
    await index.create(SPEC)
    late = Deadline.after(0)
    with pytest.raises(DeadlineExceeded):
        await index.search(SPEC.name, plan(np.eye(DIM, dtype=np.float32)[0]), late)
    with pytest.raises(DeadlineExceeded):
        await index.item_points(SPEC.name, "sku-1", late)


async def test_searches_answer_while_points_are_written(
    index: CatalogIndex, soon: Deadline
) -> None:
    stock = shelf(6, items=150)
    points = stock.points()
    query = unit_rows(np.random.default_rng(6), 1)[0]
    await index.create(SPEC)
    await index.upsert(SPEC.name, points[:40])
    written = asyncio.Event()

    async def write() -> None:
        for start in range(0, len(points), 16):
            await index.upsert(SPEC.name, points[start : start + 16])
        written.set()

    async def read() -> int:
        searches = 0
        while not written.is_set():
            hits = await index.search(SPEC.name, plan(query), soon)
            assert len(set(ids(hits))) == len(hits)
            searches += 1
            await asyncio.sleep(0)
        return searches

    _, *searches = await asyncio.gather(write(), read(), read())
    assert min(searches) > 0
    hits = await index.search(SPEC.name, plan(query, limit=1000), soon)
    assert ids(hits) == [name for name, _ in stock.nearest(query)]


async def test_a_closed_index_can_be_closed_again(index: CatalogIndex) -> None:
    await index.create(SPEC)
    await index.close()
    await index.close()
