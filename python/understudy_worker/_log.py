"""Log records on their way to the root's logger."""

from __future__ import annotations

import datetime
import logging
import os
import time
from typing import Any, Callable, Dict, List

DEBUG, INFO, WARNING, ERROR = -4, 0, 4, 8  # as in Go's slog


class Log:
    """A logger: a text, and attributes by keyword.

    ``ctx.log.info("blurred", radius=3, took=0.2)``
    """

    def __init__(self, send: Callable[[Dict[str, Any]], None], path: str, level: int, attrs: Dict[str, Any]) -> None:
        self._send, self._path, self._level, self._attrs = send, path, level, attrs

    def bind(self, **attrs: Any) -> "Log":
        """Return a logger that adds these attributes to each record."""
        return Log(self._send, self._path, self._level, {**self._attrs, **attrs})

    def debug(self, text: str, **attrs: Any) -> None:
        self.log(DEBUG, text, **attrs)

    def info(self, text: str, **attrs: Any) -> None:
        self.log(INFO, text, **attrs)

    def warning(self, text: str, **attrs: Any) -> None:
        self.log(WARNING, text, **attrs)

    def error(self, text: str, **attrs: Any) -> None:
        self.log(ERROR, text, **attrs)

    def log(self, level: int, text: str, **attrs: Any) -> None:
        """Log at a level as in Go's slog: 0 is information."""
        if level < self._level:
            return
        self._send({"time": time.time_ns(), "level": level, "text": str(text), "path": self._path, "pid": os.getpid(),
                    "attrs": [_attr(k, v) for k, v in {**self._attrs, **attrs}.items()]})


def _attr(key: str, v: Any) -> Dict[str, Any]:
    if isinstance(v, datetime.timedelta):
        return {"key": key, "value": int(v.total_seconds() * 1e9), "type": "duration"}
    if isinstance(v, datetime.datetime):
        return {"key": key, "value": v.astimezone(datetime.timezone.utc).isoformat(), "type": "time"}
    if isinstance(v, dict):
        members: List[Dict[str, Any]] = [_attr(str(k), x) for k, x in v.items()]
        return {"key": key, "value": None, "type": "group", "group": members}
    if v is None or isinstance(v, (bool, float, str)) or isinstance(v, int) and -(1 << 63) <= v < 1 << 64:
        return {"key": key, "value": v}
    return {"key": key, "value": repr(v)}


class Handler(logging.Handler):
    """Sends the records of package logging the same way."""

    def __init__(self, log: Log) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        try:
            attrs: Dict[str, Any] = {"logger": record.name}
            if record.exc_info:
                attrs["exception"] = logging.Formatter().formatException(record.exc_info)
            self._log.log((record.levelno - logging.INFO) * 4 // 10, record.getMessage(), **attrs)
        except Exception:
            self.handleError(record)
