"""Structured logs, with the request id on every line that a request causes."""

from __future__ import annotations

import logging
import re
import sys
import time
import uuid
from io import StringIO
from typing import TYPE_CHECKING, Final, Literal, TextIO

import structlog
from litestar.enums import ScopeType

from service.text import visible

if TYPE_CHECKING:
    from litestar.types import ASGIApp, Message, Receive, Scope, Send

REQUEST_ID_HEADER: Final = "x-request-id"
# A caller's id is logged and sent back, so only characters that are safe in both places are accepted.
_SAFE_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,100}")

_log = structlog.get_logger("skillrank.http")


def configure_logs(level: str, log_format: Literal["auto", "json", "console"]) -> None:
    """Send all log lines, including those of the standard library, through structlog to standard error."""
    # Tracebacks leave out the values of variables, which may hold queries and other data of callers.
    console = log_format == "console" or (log_format == "auto" and sys.stderr.isatty())
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    rendered: list[structlog.types.Processor] = (
        [_written_out, structlog.dev.ConsoleRenderer(exception_formatter=_traceback)]
        if console
        else [
            structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False)),
            structlog.processors.JSONRenderer(),
        ]
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendered],
        )
    )
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def _written_out(_: object, __: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
    """Make the values of a log line safe for a terminal; JSON escapes them anyway."""
    return {key: visible(value) if isinstance(value, str) else value for key, value in event.items()}


def _traceback(stream: TextIO, exc_info: structlog.typing.ExcInfo) -> None:
    written = StringIO()
    structlog.dev.plain_traceback(written, exc_info)
    stream.write(visible(written.getvalue(), keep="\n"))


def request_log(app: ASGIApp) -> ASGIApp:
    """Wrap `app` to bind a request id, return it in the response, and log one line per request."""

    async def logged(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await app(scope, receive, send)
            return
        sent = dict(scope["headers"]).get(REQUEST_ID_HEADER.encode(), b"").decode("latin-1")
        request_id = sent if _SAFE_ID.fullmatch(sent) else uuid.uuid4().hex
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        started = time.perf_counter()
        status = 500

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (REQUEST_ID_HEADER.encode(), request_id.encode())]
            await send(message)

        try:
            await app(scope, receive, send_with_id)
        finally:
            _log.info(
                "request",
                method=scope["method"],
                path=scope["path"],
                status=status,
                took_ms=round((time.perf_counter() - started) * 1000, 2),
            )

    return logged
