"""How the engine logs: for people on a terminal, as JSON lines everywhere else.

Owns the one-time set-up of structlog and of the standard library's logging, so that uvicorn's and asyncpg's records
look like ours. Everything goes to stderr; stdout belongs to what a command was asked for. Refuses to write files or
to rotate: that is the business of whoever runs the process. Invariant: one JSON record is one line.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from typing import Final, TextIO

import structlog
from structlog.typing import Processor

__all__ = ["configure", "leave_to_the_program"]

LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
# Libraries that speak at info level about each connection or request.
QUIET_LIBRARIES: Final = ("asyncio", "uvicorn", "uvicorn.error", "uvicorn.access", "grpc", "asyncpg", "httpx")
# When PostgreSQL goes away each pool warns with a stack trace, again and again; our own warnings say it in one line.
SILENT_LIBRARIES: Final = ("asyncpg.pool",)
# They say every header at this level, tokens among them.
TALKATIVE_LIBRARIES: Final = ("hpack", "h2", "httpcore")


def configure(level: str = "info", format: str = "auto", stream: TextIO | None = None) -> None:
    """Set up logging for the process. `format` is console, json, or auto: console if the stream is a terminal."""
    target = stream if stream is not None else sys.stderr
    people = format == "console" or (format == "auto" and target.isatty())
    threshold = LEVELS[level]
    shared: Sequence[Processor] = (
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name if not people else _unchanged,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="%H:%M:%S" if people else "iso", utc=not people),
        structlog.processors.StackInfoRenderer(),
    )
    renderer: Processor
    if people:
        renderer = structlog.dev.ConsoleRenderer(
            colors=target.isatty(), pad_event_to=28, exception_formatter=structlog.dev.plain_traceback
        )
    else:
        renderer = structlog.processors.JSONRenderer()
    handler = logging.StreamHandler(target)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *(() if people else (structlog.processors.format_exc_info,)),
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(threshold)
    for name in QUIET_LIBRARIES:
        library = logging.getLogger(name)
        library.handlers = []
        library.propagate = True
        library.setLevel(max(threshold, logging.WARNING) if level != "debug" else logging.DEBUG)
    for name in SILENT_LIBRARIES:
        logging.getLogger(name).setLevel(logging.ERROR if level != "debug" else logging.DEBUG)
    for name in TALKATIVE_LIBRARIES:
        logging.getLogger(name).setLevel(logging.WARNING)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.stdlib.LoggerFactory(),
        # Module-level loggers may be made before this runs; a cached one would keep the old set-up.
        cache_logger_on_first_use=False,
    )


def leave_to_the_program() -> None:
    """For an engine inside somebody's program: by the standard library's logging, under the names of our modules,
    unless the program set structlog up itself."""
    if structlog.is_configured():
        return
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.processors.format_exc_info,
            structlog.stdlib.render_to_log_kwargs,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    logging.getLogger("broadaxe").addHandler(logging.NullHandler())


def _unchanged(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    return event
