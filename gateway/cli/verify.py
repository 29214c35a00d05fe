"""`lookalike verify`: does the live Triton compute what PyTorch computed?"""

from __future__ import annotations

from typing import Annotated

import typer
import uvloop
from rich.table import Table

from gateway.adapters.release_files import load_release
from gateway.adapters.triton import TritonInference
from gateway.cli.console import errors, out, say
from gateway.domain.deadline import Deadline
from gateway.services.verification import Parity
from gateway.services.verification import verify as verify_release
from gateway.settings import Settings
from gateway.telemetry import Metrics

VERIFY_TIMEOUT_S = 60.0


def verify(
    release: Annotated[str, typer.Argument(help="The release's id.")],
    files: Annotated[
        bool,
        typer.Option("--files", help="Compare only its files with their digests; ask no Triton."),
    ] = False,
) -> None:
    """Send a release's golden inputs to the live Triton and compare with PyTorch's vectors.

    Exits 1 if a cosine is below the floor of the release's precision, or a file is not the one
    that was exported.
    """
    settings = Settings()
    loaded = load_release(settings.model_repository, release)
    if files:
        say(f"{release}: every file is as it was exported.")
        return

    async def run() -> Parity:
        inference = TritonInference(settings.triton, Metrics())
        try:
            return await verify_release(inference, loaded, Deadline.after(VERIFY_TIMEOUT_S))
        finally:
            await inference.close()

    parity = uvloop.run(run())
    table = Table(title=f"{release} on {settings.triton}", title_justify="left")
    for column in ("tower", "inputs", "least cosine", "mean cosine", "floor", ""):
        table.add_column(column, justify="left" if column == "tower" else "right")
    for tower in (parity.image, parity.text):
        table.add_row(
            tower.tower,
            str(tower.inputs),
            f"{tower.least:.6f}",
            f"{tower.mean:.6f}",
            f"{tower.floor}",
            "[green]pass[/]" if tower.passed else "[red]FAIL[/]",
        )
    out.print(table)
    if not parity.passed:
        errors.print("The server's vectors are not the model's: do not activate this release.")
        raise typer.Exit(1)
