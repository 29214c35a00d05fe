"""What the exporter refuses, as one sentence.

- ExportRefused: the model cannot be exported as asked; nothing was written
"""

from __future__ import annotations

from gateway.domain.errors import LookalikeError


class ExportRefused(LookalikeError):
    """The model cannot be exported as asked; nothing was written."""
