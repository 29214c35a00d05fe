"""Log lines for machines and for people. Whatever logs in a request gets its id and trace."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import orjson

from gateway.telemetry.request_record import current_request


class LogFormat(StrEnum):
    """How a line looks."""

    JSON = "json"  # one object a line
    TEXT = "text"


class LogLevel(StrEnum):
    """The least that is said."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


# These tell of every call that they make, with its address.
_CHATTY = ("httpx", "httpcore")


def configure(log_format: LogFormat, level: LogLevel) -> None:
    """Makes this process log so, to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if log_format is LogFormat.JSON else TextLines())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # What none of our lines says need not be found out at every line.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)


class JsonLines(logging.Formatter):
    """One JSON object a line, with the time as RFC 3339 has it, in UTC."""

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter`."""
        line: dict[str, Any] = {
            "time": _rfc3339(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= _fields(record)
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        try:
            return orjson.dumps(line, default=str).decode()
        except orjson.JSONEncodeError:  # text that is no Unicode, such as a path's may be
            return json.dumps(line, default=str)


class TextLines(logging.Formatter):
    """One line for people. What came from outside cannot begin another."""

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter`."""
        said = record.getMessage().replace("\r", "\\r").replace("\n", "\\n")
        fields = " ".join(f"{name}={_plain(value)}" for name, value in _fields(record).items())
        line = f"{record.levelname} {record.name}: {said} {fields}".rstrip()
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    """What a line says besides its message: of the request it belongs to, and of itself."""
    request = current_request()
    found: dict[str, Any] = {}
    if request is not None:
        found = {"request_id": request.request_id, "trace_id": request.trace_id}
    found |= getattr(record, "fields", {})
    return {name: value for name, value in found.items() if value is not None}


def _plain(value: object) -> str:
    if isinstance(value, Mapping):
        return ",".join(f"{name}:{inner}" for name, inner in value.items())
    return str(value)


def _rfc3339(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
