"""Everything this product refuses or cannot do.

- LookalikeError: the root; never raised itself
  - InvalidQuery: the caller's request cannot be answered as it stands
    - UndecodablePicture: the bytes are not a picture we decode
    - PictureTooLarge: more bytes or pixels than the limits allow
    - UnfetchablePicture: a picture's address gave no picture
    - BadFilter: a filter that is malformed or has a value of the wrong type
    - UnknownField: a field that the catalogue does not have
  - NotFound: no such item or release
  - Conflict: the call is right, but not in the state that things are in
    - StaleToken: a query token of another release than the one that answers
  - Unauthorized: no key, or none of ours
    - Forbidden: a key of ours, but without the needed scope
  - Overloaded: no room now; the same request may succeed after `retry_after_s`
  - DeadlineExceeded: the request's time ran out
  - BackendUnavailable: Triton or Qdrant cannot be reached or is failing
    - ModelUnavailable: it is Triton; what needs no model can still be answered
  - SpaceMismatch: vectors of two releases would have met; refused rather than answered wrongly
  - ReleaseInvalid: a release's files are missing, damaged or contradict its manifest
  - CatalogInvalid: a catalogue file or an item in it cannot be used
    - GoldenInvalid: a line of a golden set's file cannot be used
  - StartupProblem: the machine or the settings do not let the product start

Foreign exceptions become one of these in `gateway.adapters` and nowhere else.
"""

from __future__ import annotations


class LookalikeError(Exception):
    """The root of the tree. `field` names the part of the request at fault, if one is."""

    def __init__(self, detail: str, *, field: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.field = field


class InvalidQuery(LookalikeError):
    """The caller's request cannot be answered as it stands."""


class UndecodablePicture(InvalidQuery):
    """The bytes are not a picture in one of the accepted formats, or they are damaged."""


class PictureTooLarge(InvalidQuery):
    """The picture has more bytes or pixels than the limits allow."""


class UnfetchablePicture(InvalidQuery):
    """A picture's path or URL gave no picture."""


class BadFilter(InvalidQuery):
    """The filter is malformed, or compares a field with a value of another type."""


class UnknownField(InvalidQuery):
    """The catalogue has no such field."""


class NotFound(LookalikeError):
    """No such item or release."""


class Conflict(LookalikeError):
    """The call cannot be done in the state that things are in; the detail says what would help."""


class StaleToken(Conflict):
    """A query token was made by another release, or another gateway's version, than answers now."""


class Unauthorized(LookalikeError):
    """No key was given, or none of this gateway's."""


class Forbidden(Unauthorized):
    """The key is good, but not for a call of this scope."""


class Overloaded(LookalikeError):
    """No room now; the same request may succeed after `retry_after_s` seconds."""

    def __init__(self, detail: str, *, retry_after_s: float = 1.0) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s


class DeadlineExceeded(LookalikeError):
    """The request's time ran out before there was an answer."""


class BackendUnavailable(LookalikeError):
    """Triton or Qdrant cannot be reached, or fails."""


class ModelUnavailable(BackendUnavailable):
    """Triton cannot be reached, or fails; what needs no model can still be answered."""


class SpaceMismatch(LookalikeError):
    """The model and the collection belong to different releases; any answer would be nonsense."""


class ReleaseInvalid(LookalikeError):
    """A release's files are missing, damaged or contradict its manifest."""


class CatalogInvalid(LookalikeError):
    """A catalogue file, or an item in it, cannot be used."""


class GoldenInvalid(CatalogInvalid):
    """A golden set's file, or a line of it, cannot be used."""


class StartupProblem(LookalikeError):
    """The machine or the settings do not let the product start."""
