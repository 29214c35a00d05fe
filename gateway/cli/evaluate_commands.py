"""`lookalike evaluate` and the commands below it."""

from __future__ import annotations

import typer
from typer.core import TyperGroup

from gateway.cli import evaluate, evaluate_tune, make_golden

DEFAULT = "run"


class _RunByDefault(TyperGroup):
    """`evaluate RELEASE …` is `evaluate run RELEASE …`."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]  # click's own Context is the same at run time
        """Puts the command in when the first word is none."""
        if args and args[0] not in self.commands and args[0] != "--help":
            args = [DEFAULT, *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_RunByDefault,
    help="Measure a release on a golden set: `evaluate RELEASE --golden FILE`.",
    no_args_is_help=True,
)
app.command(DEFAULT)(evaluate.run)
app.command("tune")(evaluate_tune.tune)
app.command("make-golden")(make_golden.make_golden)
