"""Batches are a function of seed and step, fair to all products, and free of false negatives."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from export.finetune.batches import batch_at
from export.finetune.options import Schedule
from export.finetune.pairs import Product

SCHEDULE = Schedule(products_per_batch=4, pictures_per_product=2, seed=3)


def shop(products: int, pictures: int = 3) -> list[Product]:
    return [
        Product(
            tuple(range(i * pictures, (i + 1) * pictures)),
            (f"text {i}", f"other {i}"),
            (1.0,) * pictures,
        )
        for i in range(products)
    ]


@given(products=st.integers(4, 30), size=st.integers(1, 12), seed=st.integers(0, 10**6))
def test_every_product_is_seen_once_before_any_is_seen_again(
    products: int, size: int, seed: int
) -> None:
    schedule = Schedule(products_per_batch=size, pictures_per_product=1, seed=seed)
    steps = -(-2 * products // size)
    rows = [
        row for step in range(steps) for row in batch_at(step, shop(products, 1), schedule).rows
    ]
    seen = [int(row[0]) for row in rows]
    assert set(seen[:products]) == set(range(products))
    assert set(seen[products : 2 * products]) == set(range(products))


@given(step=st.integers(0, 10**6))
def test_a_step_draws_the_same_batch_whenever_it_is_asked(step: int) -> None:
    first, second = (batch_at(step, shop(9), SCHEDULE) for _ in range(2))
    assert np.array_equal(first.rows, second.rows)
    assert first.texts == second.texts


def test_another_seed_draws_another_order() -> None:
    other = replace(SCHEDULE, seed=4)
    assert not np.array_equal(
        batch_at(0, shop(20), SCHEDULE).rows, batch_at(0, shop(20), other).rows
    )


@given(step=st.integers(0, 1000))
def test_pictures_of_a_product_differ_if_it_has_enough(step: int) -> None:
    for row in batch_at(step, shop(9), SCHEDULE).rows:
        assert len(set(row.tolist())) == 2
        assert len({number // 3 for number in row.tolist()}) == 1


def test_a_single_picture_stands_for_both_views() -> None:
    assert batch_at(0, shop(5, pictures=1), SCHEDULE).rows.shape == (4, 2)


def test_all_pictures_of_a_product_are_used_alike() -> None:
    counts = Counter(
        int(number) for step in range(300) for number in batch_at(step, shop(4), SCHEDULE).rows.flat
    )
    assert max(counts.values()) < 1.3 * min(counts.values())


def test_a_picture_of_three_times_the_weight_is_drawn_three_times_as_often() -> None:
    product = Product((0, 1, 2), ("mug",), (3.0, 1.0, 1.0))
    schedule = Schedule(products_per_batch=1, pictures_per_product=1)
    drawn = Counter(int(batch_at(step, [product], schedule).rows[0, 0]) for step in range(2000))
    assert 0.55 < drawn[0] / 2000 < 0.65


def test_products_that_share_a_text_are_no_negatives_of_each_other() -> None:
    twins = [
        Product((0,), ("white mug",), (1.0,)),
        Product((1,), ("white mug",), (1.0,)),
        Product((2,), ("pan",), (1.0,)),
    ]
    batch = batch_at(0, twins, replace(SCHEDULE, products_per_batch=3))
    position = {int(row[0]): place for place, row in enumerate(batch.rows)}
    assert batch.alike[position[0], position[1]]
    assert batch.alike[position[1], position[0]]
    assert not batch.alike[position[0], position[2]]


def test_a_product_that_is_in_a_batch_twice_is_alike_to_itself() -> None:
    batch = batch_at(0, shop(2), SCHEDULE)
    groups = batch.rows[:, 0] // 3
    assert np.array_equal(batch.alike, groups[:, None] == groups[None, :])
