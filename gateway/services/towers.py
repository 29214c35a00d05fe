"""A release's towers on the inference servers: loaded, proven, unloaded."""

from __future__ import annotations

from gateway.domain.deadline import Deadline
from gateway.domain.errors import Conflict
from gateway.domain.loaded_release import LoadedRelease
from gateway.domain.ports import Inference, ModelControl
from gateway.domain.release import Release
from gateway.services.verification import verify

VERIFY_TIMEOUT_S = 120.0


class Towers:
    """Both towers of a release, on every server that there is."""

    def __init__(self, inference: Inference, control: ModelControl) -> None:
        self._inference = inference
        self._control = control

    async def load(self, release: Release) -> None:
        """Has them loaded; BackendUnavailable if a server cannot."""
        await self._control.load(release.models)

    async def prove(self, loaded: LoadedRelease) -> None:
        """Has them loaded, and compares all golden inputs with PyTorch's vectors.

        Raises Conflict if they differ, BackendUnavailable if a server cannot load them.
        """
        await self._control.load(loaded.release.models)
        parity = await verify(self._inference, loaded, Deadline.after(VERIFY_TIMEOUT_S))
        if not parity.passed:
            raise Conflict(
                f"Triton's vectors of {parity.release} are not PyTorch's: cosine image "
                f"{parity.image.least:.4f}, text {parity.text.least:.4f}; at least "
                f"{parity.image.floor} is needed. Export the release again."
            )

    async def unload(self, release: Release) -> None:
        """Takes them off every server; BackendUnavailable if one refuses."""
        await self._control.unload(release.models)
