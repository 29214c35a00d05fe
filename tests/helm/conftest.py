"""Every case of values, rendered."""

from __future__ import annotations

import pytest

from tests.helm.cases import renders
from tests.helm.chart import Rendered


@pytest.fixture(scope="session")
def all_cases() -> dict[str, Rendered]:
    """Every case, rendered once."""
    return renders()
