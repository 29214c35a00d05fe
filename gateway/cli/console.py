"""Where commands print: results to stdout, progress and errors to stderr."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

out = Console()
errors = Console(stderr=True)


def say(line: str) -> None:
    """Prints a sentence as it is: names of files in it are no markup, and are never broken."""
    out.print(line, soft_wrap=True, highlight=False, markup=False)


class _Rate(ProgressColumn):
    """Items a second."""

    def render(self, task: Task) -> Text:
        """The column's text."""
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.0f}/s", style="dim")


def progress() -> Progress:
    """A progress bar that fits 80 columns, on stderr."""
    return Progress(
        SpinnerColumn(finished_text="[green]✓[/]"),
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(compact=True),
        console=errors,
    )


def hits_table(title: str, hits: Sequence[dict[str, Any]]) -> Table:
    """A search's hits as title and score."""
    table = Table(title=title, title_justify="left", title_style="bold", min_width=44)
    table.add_column("title")
    table.add_column("score", justify="right")
    for hit in hits:
        table.add_row(hit["item"]["title"], f"{hit['score']:.3f}")
    return table
