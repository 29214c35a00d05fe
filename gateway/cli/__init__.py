"""The command `lookalike`."""

from __future__ import annotations

import sys

import typer
from pydantic import ValidationError
from rich.markup import escape

from gateway.cli import config, demo, evaluate_commands, index, plan, releases, serve, verify
from gateway.cli.console import errors
from gateway.domain.errors import LookalikeError

app = typer.Typer(
    name="lookalike",
    help="Reverse image search for shops.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command("demo")(demo.demo)
app.command("serve")(serve.serve)
app.command("index")(index.index)
app.command("verify")(verify.verify)
app.command("config")(config.config)
app.command("plan")(plan.plan)
app.add_typer(evaluate_commands.app, name="evaluate")
app.add_typer(releases.app, name="releases")


def main() -> None:
    """Runs a command. A user's mistake or a machine's lack is one sentence and exit code 1."""
    try:
        app()
    except LookalikeError as exc:
        errors.print(f"[bold red]error:[/] {escape(exc.detail)}", soft_wrap=True)
        sys.exit(1)
    except ValidationError as exc:
        errors.print("[bold red]error:[/] these settings cannot be used:")
        for fault in exc.errors(include_url=False):
            name = "LOOKALIKE_" + "_".join(str(part) for part in fault["loc"]).upper()
            said = fault["msg"].removeprefix("Value error, ")
            if fault["type"] == "extra_forbidden":
                said = "There is no such setting."
            errors.print(f"  {name}: {escape(said)}", soft_wrap=True, highlight=False)
        sys.exit(1)
