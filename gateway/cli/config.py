"""`lookalike config`: what this gateway would run with."""

from __future__ import annotations

from pydantic import SecretStr
from rich.table import Table
from rich.text import Text

from gateway.cli.console import out
from gateway.domain.access import parse_keys
from gateway.settings import PREFIX, Settings

MASK = "********"


def config() -> None:
    """Print the settings in effect, secrets masked; what is not the default is bold.

    Every problem with them is told, as at the start of the gateway.
    """
    settings = Settings()
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, field in Settings.model_fields.items():
        value = getattr(settings, name)
        changed = value != field.get_default(call_default_factory=True, validated_data={})
        style = "bold" if changed else "dim"
        table.add_row(Text(f"{PREFIX}{name.upper()}", style), Text(shown(name, value), style))
    out.print(table)


def shown(name: str, value: object) -> str:
    """A setting's value for people; of a secret only that there is one, of keys their scopes."""
    if value is None or value == ():
        return "unset"
    if isinstance(value, SecretStr):
        if name != "keys":
            return MASK
        keys = parse_keys(value.get_secret_value())
        return ", ".join(f"{'+'.join(sorted(key.scopes))}:{MASK}" for key in keys)
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return str(value)
