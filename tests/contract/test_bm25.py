"""The words' weights."""

from __future__ import annotations

import pytest

from gateway.adapters.bm25 import Bm25Model
from gateway.domain.errors import StartupProblem
from gateway.domain.plan import Sparse

MODEL = Bm25Model()


@pytest.mark.parametrize("text", ["", "   ", "?! …", "the of and"])
def test_text_without_words_has_no_weights(text: str) -> None:
    assert MODEL.query(text) == MODEL.document(text) == Sparse((), ())


def test_each_word_of_a_query_weighs_one_however_often_it_stands_there() -> None:
    assert MODEL.query("shoe shoe red").values == (1.0, 1.0)


@pytest.mark.parametrize(
    ("asked", "written"),
    [("shoes", "Shoe"), ("running", "runs"), ("cafe", "Café"), ("T-shirt", "t shirt")],
)
def test_a_query_finds_the_word_as_it_is_written(asked: str, written: str) -> None:
    assert set(MODEL.query(asked).indices) == set(MODEL.document(written).indices)


def test_a_word_weighs_more_if_it_is_repeated_and_less_in_a_longer_text() -> None:
    def weight(text: str) -> float:
        document = MODEL.document(text)
        return dict(zip(document.indices, document.values, strict=True))[
            MODEL.query("shoe").indices[0]
        ]

    assert weight("shoe hat") < weight("shoe shoe")
    assert weight("shoe hat bag scarf glove belt") < weight("shoe hat")


def test_the_same_text_has_the_same_weights_in_every_process_and_order_of_words_is_nothing() -> (
    None
):
    one, other = MODEL.document("red leather shoe"), Bm25Model().document("shoe leather red")
    assert sorted(zip(one.indices, one.values, strict=True)) == sorted(
        zip(other.indices, other.values, strict=True)
    )


def test_another_language_has_its_own_stems() -> None:
    german = Bm25Model("german")
    assert set(german.query("Schuhe").indices) == set(german.document("Schuh").indices)


def test_a_language_without_rules_is_a_startup_problem() -> None:
    with pytest.raises(StartupProblem, match="klingon"):
        Bm25Model("klingon")
