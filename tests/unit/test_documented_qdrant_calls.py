"""What docs/ send to Qdrant's own API is what Qdrant's client would send."""

from __future__ import annotations

import json
import re
from pathlib import Path

from pydantic import TypeAdapter
from qdrant_client import models

from gateway.adapters.qdrant_cluster_query import dense_config
from gateway.domain.ports import CollectionSpec

DOCS = Path(__file__).parents[2] / "docs"


def _bodies(page: str) -> list[str]:
    """The JSON bodies of a page's curl calls to Qdrant."""
    text = (DOCS / page).read_text()
    return [
        found
        for block in re.findall(r"^ *```\w*\n(.*?)^ *```$", text, re.DOTALL | re.MULTILINE)
        if "6333" in block
        for found in re.findall(r"-d '(\{.*?\})'", block, re.DOTALL)
    ]


def test_turning_quantisation_on_names_the_vectors_that_there_are() -> None:
    [body] = _bodies("scaling.md")
    asked = models.UpdateCollection.model_validate(json.loads(body))
    assert asked.vectors is not None
    assert set(asked.vectors) <= set(dense_config(CollectionSpec("any", 2, "any", {})))


def test_copying_a_shard_is_an_operation() -> None:
    [body] = _bodies("runbook.md")
    TypeAdapter(models.ClusterOperations).validate_python(json.loads(body))
