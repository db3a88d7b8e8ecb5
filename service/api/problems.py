"""Errors as HTTP problem documents (RFC 9457), and their status codes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import msgspec
import structlog
from litestar.exceptions import HTTPException, ValidationException
from litestar.plugins.problem_details import (
    ProblemDetailsConfig,
    ProblemDetailsException,
    ProblemDetailsPlugin,
)
from litestar.status_codes import HTTP_404_NOT_FOUND

from migrations.errors import SchemaMismatch, SkillrankError
from service.catalogue.documents import DocumentUnavailable
from service.catalogue.indexing import IndexBusy
from service.search.queries import InvalidQuery
from store.errors import Conflict, InvalidRecord, NotFound, StoreUnavailable

if TYPE_CHECKING:
    from litestar.types import Send

_log = structlog.get_logger(__name__)

PROBLEM_TYPE: Final = "application/problem+json"

_Problem = Callable[[Any], ProblemDetailsException]


def _problem(
    error: Exception, status: int, title: str, extra: dict[str, Any] | None = None, **headers: str
) -> ProblemDetailsException:
    return ProblemDetailsException(
        detail=str(error),
        status_code=status,
        title=title,
        type_=_type(title),
        extra=extra,
        headers=headers or None,
    )


def _type(title: str) -> str:
    return f"urn:skillrank:problem:{title.lower().replace(' ', '-')}"


def _unavailable(error: StoreUnavailable) -> ProblemDetailsException:
    extra = {"cause": error.cause}
    if error.retry_after_s is None:
        return _problem(error, 503, "Store unavailable", extra)
    return _problem(error, 503, "Store unavailable", extra, **{"Retry-After": f"{error.retry_after_s:.0f}"})


def _http(error: HTTPException) -> ProblemDetailsException:
    extra = {"errors": error.extra} if error.extra else None
    titles = {
        400: "Bad request",
        404: "Not found",
        405: "Method not allowed",
        413: "Too large",
        415: "Unsupported media type",
    }
    title = titles.get(error.status_code, "Request failed")
    # Only routing raises this one, so a person with a browser learns where to look.
    nowhere = "there is nothing at this address; /schema describes the interface, /health the state of the service"
    return ProblemDetailsException(
        detail=nowhere if error.status_code == HTTP_404_NOT_FOUND else error.detail,
        status_code=error.status_code,
        title=title,
        type_=_type(title),
        extra=extra,
        headers=error.headers,
    )


def _invalid_request(error: ValidationException) -> ProblemDetailsException:
    return _problem(
        ValueError("the request does not match the schema (see /schema); `errors` lists the differences"),
        422,
        "Invalid request",
        {"errors": error.extra or [{"message": error.detail}]},
    )


def _internal(error: Exception) -> ProblemDetailsException:
    _log.error("a request failed with an unexpected error", exc_info=error)
    request_id = structlog.contextvars.get_contextvars().get("request_id", "unknown")
    return _problem(
        RuntimeError(f"an internal error occurred; the log has the details under request id {request_id}"),
        500,
        "Internal error",
        {"request_id": request_id},
    )


_PROBLEMS: Final[dict[type[Exception], _Problem]] = {
    HTTPException: _http,
    ValidationException: _invalid_request,
    InvalidQuery: lambda error: _problem(error, 422, "Invalid query"),
    InvalidRecord: lambda error: _problem(error, 422, "Invalid value", {"field": error.field}),
    NotFound: lambda error: _problem(error, 404, "Not found", {"kind": error.kind, "key": error.key}),
    DocumentUnavailable: lambda error: _problem(error, 404, "Document unavailable"),
    Conflict: lambda error: _problem(error, 409, "Conflict", {"recorded": error.recorded}),
    IndexBusy: lambda error: _problem(error, 409, "Index busy", {"job_id": error.job_id}),
    StoreUnavailable: _unavailable,
    SchemaMismatch: lambda error: _problem(error, 503, "Schema mismatch"),
    Exception: _internal,
    SkillrankError: lambda error: _problem(error, 400, "Request refused"),
}


async def send_problem(
    send: Send,
    status: int,
    title: str,
    detail: str,
    *,
    headers: dict[str, str] | None = None,
    extra: dict[str, Any] | None = None,
) -> None:
    """Answer with a problem document where no route has been found yet."""
    body = msgspec.json.encode(
        {"status": status, "type": _type(title), "title": title, "detail": detail} | (extra or {})
    )
    sent = {"content-type": PROBLEM_TYPE, "content-length": str(len(body))} | (headers or {})
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [(name.lower().encode(), value.encode()) for name, value in sent.items()],
        }
    )
    await send({"type": "http.response.body", "body": body, "more_body": False})


def problem_details() -> ProblemDetailsPlugin:
    """Return the plugin that turns every error, also those of Litestar, into a problem document."""
    return ProblemDetailsPlugin(ProblemDetailsConfig(exception_to_problem_detail_map=_PROBLEMS))
