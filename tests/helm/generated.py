"""What of the chart is made of something else: `python -m tests.helm.generated` writes it.

- `gateway.settings` of values.schema.json, of the gateway's own settings;
- the table of values in helm/README.md, of values.schema.json and values.yaml.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import yaml

from gateway.settings import Settings
from tests.helm.chart import CHART

SCHEMA = CHART / "values.schema.json"
README = CHART / "README.md"

# What the chart sets itself, by its other values, or leaves as it is in a container.
MANAGED = frozenset({
    "host", "port", "grpc_port", "model_repository", "edge_folder", "store",
    "triton", "triton_key", "triton_key_file",
    "qdrant_host", "qdrant_grpc_port", "qdrant_api_key", "qdrant_api_key_file", "qdrant_tls",
    "qdrant_shards", "qdrant_replicas", "qdrant_write_consistency",
    "admin_key", "admin_key_file", "keys", "keys_file", "client_key", "client_key_file",
    "pictures_folder",
})  # fmt: skip

# The drain and the deadlines decide how long a pod may take to end.
_REQUIRED = ["default_timeout_s", "max_timeout_s", "drain_s"]
_KEPT = (
    "type",
    "enum",
    "items",
    "pattern",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
)

_BEGIN = "<!-- the values: written by `python -m tests.helm.generated` -->"
_END = "<!-- until here -->"


def settings_schema() -> dict[str, Any]:
    """The schema of `gateway.settings`."""
    told = Settings.model_json_schema()
    properties = {}
    for name, field in told["properties"].items():
        if name in MANAGED:
            continue
        kind = field["anyOf"][0] if "anyOf" in field else field
        if "$ref" in kind:
            kind = told["$defs"][kind["$ref"].rpartition("/")[2]]
        rules = {key: kind[key] for key in _KEPT if key in kind}
        if rules.get("type") == "array":
            rules["items"] = {"type": "string"}
        description = field["description"].replace(", with commas between", "")
        properties[name] = {"description": description, **rules}
    return {
        "type": "object",
        "description": "The gateway's settings, by their names in docs/settings.md in small "
        "letters and without LOOKALIKE_. Those of Triton, Qdrant and secrets follow from other "
        "values.",
        "additionalProperties": False,
        "required": _REQUIRED,
        "properties": properties,
    }


def _leaves(
    schema: dict[str, Any], values: Any, path: tuple[str, ...] = ()
) -> Iterator[tuple[str, Any, str]]:
    """Every value's path, default and description. What is described as a whole is one value."""
    if "description" in schema:
        yield ".".join(path), values, schema["description"]
        return
    for key, below in schema["properties"].items():
        if key != "global":  # Helm's own
            yield from _leaves(below, values[key], (*path, key))


def values_table() -> str:
    """The table of every value."""
    schema = json.loads(SCHEMA.read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    lines = ["| value | default | what |", "|---|---|---|"]
    for name, default, what in _leaves(schema, values):
        shown = json.dumps(default, ensure_ascii=False)
        allowed = _allowed(schema, name)
        lines.append(f"| `{name}` | `{shown}` | {what}{allowed} |")
    return "\n".join(lines)


def _allowed(schema: dict[str, Any], name: str) -> str:
    for key in name.split("."):
        schema = schema["properties"][key]
    return f" One of {', '.join(f'`{v}`' for v in schema['enum'])}." if "enum" in schema else ""


def with_table(readme: str) -> str:
    """`readme` with its table of values as it should be."""
    before, _, rest = readme.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return f"{before}{_BEGIN}\n\n{values_table()}\n\n{_END}{after}"


def main() -> None:
    """Writes both."""
    schema = json.loads(SCHEMA.read_text())
    schema["properties"]["gateway"]["properties"]["settings"] = settings_schema()
    SCHEMA.write_text(json.dumps(schema, indent=2, ensure_ascii=False) + "\n")
    README.write_text(with_table(README.read_text()))


if __name__ == "__main__":
    main()
