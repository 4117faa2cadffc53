"""Structured logs: one JSON object a line on stderr, the libraries' lines among ours, no secrets."""

import contextlib
import logging
import sys
from contextvars import ContextVar
from typing import Literal

import msgspec
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from telemetry.redaction import redact, redact_fields

request_id: ContextVar[str | None] = ContextVar("footfall_request_id", default=None)

_encode = msgspec.json.Encoder(enc_hook=repr, order=None).encode
# Libraries that report at INFO what concerns nobody who operates Footfall.
_QUIET = ("asyncio", "httpx", "httpcore", "uvicorn", "uvicorn.error", "uvicorn.access")
# What it reports as errors, many times a second while a broker is away, eventlog's Kafka adapter says once.
_SILENT = ("aiokafka",)


def configure(service: str, *, level: str = "info", form: Literal["json", "console"] = "json") -> None:
    """Send this process's logs to stderr as lines with time, level, service, logger, event and request_id.

    The standard library's loggers (uvicorn, asyncio) come out in the same form; calling it again replaces
    the configuration. `level` is a name as in the standard library, in any case.
    """
    _redirect(level.upper(), form, service)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_SHARED,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger for module-level use: it looks the configuration up at its first line."""
    return structlog.stdlib.get_logger(name)


class _Stderr(logging.Handler):
    """Writes to what sys.stderr is at that moment."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            sys.stderr.write(f"{self.format(record)}\n")
        except Exception as error:
            # The usual handler of this prints the record as it is, secrets and all.
            lost = {
                "level": "error",
                "event": "a line was lost",
                "logger": record.name,
                "reason": repr(type(error)),
            }
            with contextlib.suppress(OSError, ValueError):
                sys.stderr.write(f"{_encode(lost).decode()}\n")


def _redirect(level: str, form: Literal["json", "console"], service: str) -> None:
    def name_service(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        event["service"] = service
        return event

    handler = _Stderr()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_SHARED,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                name_service,
                _renderer(form),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    quiet = max(root.level, logging.WARNING)
    for name in (*_QUIET, *_SILENT):
        logger = logging.getLogger(name)
        logger.handlers = []
        logger.propagate = True
        logger.setLevel(logging.CRITICAL if name in _SILENT else quiet)


def _name_request(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    current = request_id.get()
    if current is not None:
        event.setdefault("request_id", current)
    return event


def _hide_secrets(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    return redact_fields(event)


# What a logger keeps from its first line on, so nothing here may depend on the configuration.
_SHARED: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.PositionalArgumentsFormatter(),
    structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
    structlog.processors.StackInfoRenderer(),
    _name_request,
    _hide_secrets,
]


def _renderer(form: Literal["json", "console"]) -> Processor:
    if form == "console":
        console = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
        return lambda logger, name, event: redact(str(console(logger, name, event)))
    with_traceback = structlog.processors.format_exc_info

    def render(logger: WrappedLogger, name: str, event: EventDict) -> str:
        line = dict(with_traceback(logger, name, event))
        first = {key: line.pop(key) for key in ("time", "level", "service", "event") if key in line}
        return redact(_encode({**first, **line}).decode())

    return render
