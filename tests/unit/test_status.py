"""The table from errors to status codes is total."""

from __future__ import annotations

from collections.abc import Iterator

import grpc
import pytest

from gateway.api.status import TABLE, code_of, status_of
from gateway.domain import errors


def tree(root: type[errors.LookalikeError]) -> Iterator[type[errors.LookalikeError]]:
    yield root
    for child in root.__subclasses__():
        yield from tree(child)


# The exporter has kinds of its own, which never reach an API.
GATEWAYS = [kind for kind in tree(errors.LookalikeError) if kind.__module__ == errors.__name__]
ALL = sorted(set(GATEWAYS), key=lambda kind: kind.__name__)


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_every_error_has_a_status_that_is_no_server_fault(
    kind: type[errors.LookalikeError],
) -> None:
    status = status_of(kind("x"))
    assert status.grpc is not grpc.StatusCode.OK
    if kind is not errors.LookalikeError:
        assert status.http != 500


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_every_error_is_in_the_modules_list(kind: type[errors.LookalikeError]) -> None:
    assert f"- {kind.__name__}: " in (errors.__doc__ or "")


def test_a_subclass_has_its_parents_status() -> None:
    assert status_of(errors.BadFilter("x")) is TABLE[errors.InvalidQuery]
    assert code_of(errors.UndecodablePicture("x")) == "undecodable-picture"
