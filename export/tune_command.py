"""`lookalike-export tune`: batches and queues of a release, as this server's hardware has them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def tune(
    release: Annotated[str, typer.Argument(help="A release that Triton has loaded.")],
    repository: Annotated[Path, typer.Option(help="Triton's folder.")] = Path("model_repository"),
    triton: Annotated[str, typer.Option(help="Triton's gRPC.")] = "localhost:8001",
    queue_budget_ms: Annotated[
        int, typer.Option(min=1, help="How long a full queue may take to be served.")
    ] = 50,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Write nothing.")] = False,
) -> None:
    """Measure a release with NVIDIA's perf_analyzer; write its largest batch and queue length."""
    from rich.console import Console
    from rich.table import Table

    from export.config_file import read_config, read_profile, write_config, write_profile
    from export.perf_analyzer import Load, measure
    from export.triton_config import release_towers
    from export.tuning import batch_sizes_up_to, tuned
    from gateway.adapters.release_files import read_manifest

    console = Console(highlight=False)
    for tower in release_towers(read_manifest(repository, release)):
        path = repository / tower.model / "config.pbtxt"
        config = read_config(path)
        profile = read_profile(config)
        table = Table("batch", "rows/s", "p99 ms", title=tower.model, title_justify="left")
        measured = []
        with console.status(f"Measuring {tower.model}"):
            for size in batch_sizes_up_to(profile.max_batch_size):
                # As many at a time as keep every instance busy while the next ones arrive.
                concurrency = 2 * profile.instances
                load = Load(tower.model, tower.input_name, tower.rows.usual, size, concurrency)
                measured.append(measure(load, triton))
                row = measured[-1]
                table.add_row(f"{size}", f"{row.rows_per_second:.0f}", f"{row.p99_us / 1e3:.1f}")
        console.print(table)
        found = tuned(profile, measured, queue_budget_ms / 1e3)
        console.print(
            f"largest batch {profile.max_batch_size} → {found.max_batch_size}, interactive queue "
            f"{profile.interactive.max_requests} → {found.interactive.max_requests}; delay and "
            "instances as they were"
        )
        if not dry_run:
            had_engines = len(config.cc_model_filenames) > 0
            write_profile(config, tower, found)
            write_config(path, config)
            if had_engines and not config.cc_model_filenames:
                console.print(f"Build its engine again: lookalike-export build-engine {release}")
