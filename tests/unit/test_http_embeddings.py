"""Embeddings through OpenAI's own client."""

from __future__ import annotations

import base64

import numpy as np
import openai
import pytest

from tests.fakes import DIM, picture
from tests.shop import Shop

URI = "data:image/png;base64," + base64.b64encode(picture("red")).decode()


@pytest.fixture
def client(shop: Shop) -> openai.AsyncOpenAI:
    """OpenAI's client on the shop's API."""
    return openai.AsyncOpenAI(
        api_key="none",
        base_url="http://shop/v1",
        http_client=shop.http,  # type: ignore[arg-type] # its httpx2 takes httpx's client as well
        max_retries=0,
    )


async def test_words_and_pictures_meet_in_one_space(client: openai.AsyncOpenAI) -> None:
    answer = await client.embeddings.create(
        model="colours-v1", input=["red", URI, "green"], encoding_format="float"
    )
    words, seen, other = (np.array(entry.embedding) for entry in answer.data)
    assert [entry.index for entry in answer.data] == [0, 1, 2]
    assert words @ seen == pytest.approx(1.0, abs=1e-5)
    assert words @ other < 0.5
    assert answer.model == "colours-v1"


async def test_base64_is_the_same_vector(client: openai.AsyncOpenAI) -> None:
    plain = await client.embeddings.create(
        model="colours-v1", input="blue", encoding_format="float"
    )
    packed = await client.embeddings.create(model="colours-v1", input="blue")  # its own default
    assert packed.data[0].embedding == pytest.approx(plain.data[0].embedding, abs=1e-7)
    assert len(plain.data[0].embedding) == DIM


@pytest.mark.parametrize(
    ("model", "texts", "dimensions", "param", "status"),
    [
        ("colours-v2", ["red"], None, "model", 404),
        ("colours-v1", ["red"], 2, "dimensions", 404),
        ("colours-v1", [], None, "input", 422),
        ("colours-v1", ["red", " "], None, "query[1].text", 422),
        ("colours-v1", ["data:image/png;base64,%%"], None, "input[0]", 422),
    ],
    ids=["other-release", "other-dimensions", "nothing", "blank", "broken-picture"],
)
async def test_a_mistake_is_an_error_that_the_client_understands(
    client: openai.AsyncOpenAI,
    model: str,
    texts: list[str],
    dimensions: int | None,
    param: str,
    status: int,
) -> None:
    wanted = openai.omit if dimensions is None else dimensions
    with pytest.raises(openai.APIStatusError) as caught:
        await client.embeddings.create(model=model, input=texts, dimensions=wanted)
    assert caught.value.status_code == status
    assert caught.value.param == param
    assert caught.value.message
