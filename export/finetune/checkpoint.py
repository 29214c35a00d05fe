"""The state of a run, from which it goes on after a kill as if nothing had been."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from export.finetune.errors import BadCheckpoint
from export.finetune.files import write_atomically
from export.finetune.history import Evaluation

CHECKPOINT_FILE = "checkpoint.pt"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Everything that the next step depends on; randomness is a function of seed and step.

    Attributes:
        identity: hash of options and data; another run's checkpoint is refused.
        step: optimiser steps done.
        network: state dict of the weights that learn.
        average: state dict of their moving average.
        optimiser: state dict of AdamW.
        history: all evaluations so far.
    """

    identity: str
    step: int
    network: Mapping[str, Any]
    average: Mapping[str, Any]
    optimiser: Mapping[str, Any]
    history: list[Evaluation] = field(default_factory=list)


def save_checkpoint(checkpoint: Checkpoint, folder: Path) -> None:
    """Write atomically, in place of the last one."""
    state = {name: getattr(checkpoint, name) for name in Checkpoint.__slots__}
    state["history"] = [asdict(item) for item in checkpoint.history]
    write_atomically(folder / CHECKPOINT_FILE, lambda path: torch.save(state, path))


def load_checkpoint(folder: Path, identity: str, device: torch.device) -> Checkpoint | None:
    """The last checkpoint in the folder, or None.

    Raises:
        BadCheckpoint: it is not of this run.
    """
    path = folder / CHECKPOINT_FILE
    if not path.is_file():
        return None
    state = torch.load(path, map_location=device, weights_only=True)
    if state["identity"] != identity:
        raise BadCheckpoint(
            f"{folder} holds a run with other options or other data; "
            "use another folder, or --restart."
        )
    state["history"] = [Evaluation(**item) for item in state["history"]]
    return Checkpoint(**state)
