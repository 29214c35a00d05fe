"""What can go wrong while fine-tuning, each as one sentence that a person can act on.

FinetuneError
├── BadPairs        the file of pairs cannot be read as pairs
├── TooFewPairs     there are fewer products than one batch needs
├── BadModel        the model, its configuration or its weights cannot be loaded
├── BadDevice       the device cannot be used, or has too little memory
├── BadCheckpoint   the folder holds a run that was started with other options or other data
└── Diverged        the loss is not a number any more
"""

from __future__ import annotations

from gateway.domain.errors import LookalikeError


class FinetuneError(LookalikeError):
    """Fine-tuning cannot go on; the message says why and what to do."""


class BadPairs(FinetuneError):
    """The file of pairs cannot be read as pairs."""


class TooFewPairs(FinetuneError):
    """There are fewer products than one batch needs."""


class BadModel(FinetuneError):
    """The model, its configuration or its weights cannot be loaded."""


class BadDevice(FinetuneError):
    """The device cannot be used, or has too little memory."""


class BadCheckpoint(FinetuneError):
    """The folder holds a run that was started with other options or other data."""


class Diverged(FinetuneError):
    """The loss is not a number any more."""
