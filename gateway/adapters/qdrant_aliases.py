"""How the parts that collections play change, the same for both stores."""

from __future__ import annotations

from dataclasses import replace

from gateway.domain.ports import Aliases


def activated(before: Aliases, collection: str) -> Aliases:
    """With `collection` active. What was active is what one can go back to."""
    if before.active == collection:
        return before
    on_trial = before.trial is not None and before.trial.release == collection
    trial = None if on_trial else before.trial
    return Aliases(collection, before.active or before.previous, trial)


def without(before: Aliases, collection: str) -> Aliases:
    """With no part left for `collection`."""
    after = before
    if after.active == collection:
        after = replace(after, active=None)
    if after.previous == collection:
        after = replace(after, previous=None)
    if after.trial is not None and after.trial.release == collection:
        after = replace(after, trial=None)
    return after
