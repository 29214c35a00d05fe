"""The parts that collections play, as aliases: the one thing that all gateways of a cluster share.

```
lookalike-active                     → the collection that answers
lookalike-previous                   → the one that answered before
lookalike-trial-<canary>-<shadow>    → the candidate; both shares in hundredths of a percent
```
Qdrant applies all changes of one request or none of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from qdrant_client import models

from gateway.domain.ports import Aliases
from gateway.domain.trial import STEPS, Trial

ACTIVE = "lookalike-active"
PREVIOUS = "lookalike-previous"
_TRIAL = re.compile(r"lookalike-trial-(\d+)-(\d+)")


def to_aliases(descriptions: Iterable[models.AliasDescription]) -> Aliases:
    """What the aliases say; those of others are passed over."""
    known = {alias.alias_name: alias.collection_name for alias in descriptions}
    trial = None
    for name, collection in known.items():
        if found := _TRIAL.fullmatch(name):
            canary, shadow = (int(share) / STEPS for share in found.groups())
            trial = Trial(collection, canary, shadow)
    return Aliases(known.get(ACTIVE), known.get(PREVIOUS), trial)


def changes(before: Aliases, after: Aliases) -> list[models.AliasOperations]:
    """What makes `after` of `before`, for one request."""
    old, new = _named(before), _named(after)
    gone = [name for name in old if new.get(name) != old[name]]
    made = [name for name in new if old.get(name) != new[name]]
    return [
        *(models.DeleteAliasOperation(delete_alias=models.DeleteAlias(alias_name=n)) for n in gone),
        *(
            models.CreateAliasOperation(
                create_alias=models.CreateAlias(collection_name=new[n], alias_name=n)
            )
            for n in made
        ),
    ]


def _named(aliases: Aliases) -> Mapping[str, str]:
    named = {}
    if aliases.active is not None:
        named[ACTIVE] = aliases.active
    if aliases.previous is not None:
        named[PREVIOUS] = aliases.previous
    if (trial := aliases.trial) is not None:
        canary, shadow = (round(share * STEPS) for share in (trial.canary, trial.shadow))
        named[f"lookalike-trial-{canary}-{shadow}"] = trial.release
    return named
