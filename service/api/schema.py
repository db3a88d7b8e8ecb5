"""The OpenAPI document: what Litestar derives from the routes, with the errors that are really sent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Final

import msgspec
from litestar import Request
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.plugins import JsonRenderPlugin, YamlRenderPlugin

from service.api.problems import PROBLEM_TYPE


class ProblemDocument(msgspec.Struct, frozen=True, kw_only=True):
    """An error (RFC 9457). Further members depend on the error: `recorded` of a conflict, `cause` of a 503."""

    status: int
    title: str
    detail: Annotated[str, msgspec.Meta(description="What is wrong, and what to do about it.")]
    type: Annotated[str, msgspec.Meta(description="A URN that is the same for all errors of this kind.")]


NOT_FOUND: Final = {404: ResponseSpec(ProblemDocument, description="There is no such record.", media_type=PROBLEM_TYPE)}
CONFLICT: Final = {
    409: ResponseSpec(ProblemDocument, description="Contradicts what is recorded.", media_type=PROBLEM_TYPE)
}

_OF_ALL: Final = {
    "403": "The request comes from a web page of another origin.",
    "421": "The Host header does not name this service.",
}
_OF_BODIES: Final = {
    "400": "The body is not JSON in UTF-8, or is nested too deeply or holds too many values.",
    "413": "The body is too large.",
    "415": "The body says that it is not JSON.",
}
_INVALID: Final = {"422": "A parameter or a part of the body is invalid; `errors` or `field` names it."}
_UNAVAILABLE: Final = {"503": "The database cannot be used now; `cause` says why."}
_WITHOUT_STORE: Final = frozenset({"getLiveness", "getReadiness", "getIndexJob"})


class JsonSchema(JsonRenderPlugin):
    """Renders the document as JSON."""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """Return the document."""
        return super().render(request, with_errors(openapi_schema))


class YamlSchema(YamlRenderPlugin):
    """Renders the document as YAML."""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """Return the document."""
        return super().render(request, with_errors(openapi_schema))


def with_errors(document: dict[str, Any]) -> dict[str, Any]:
    """Return `document` with the error responses of each operation and with exact tuples."""
    paths = {
        path: {method: _with_errors(path, operation) for method, operation in operations.items()}
        for path, operations in document["paths"].items()
    }
    components = _exact_tuples(document["components"])
    return document | {"paths": paths, "components": components}


def _with_errors(path: str, operation: dict[str, Any]) -> dict[str, Any]:
    body = operation.get("requestBody")
    # Litestar's own description of a 400 has the form that it would send without problem documents.
    responses = {
        status: _problem(told["description"]) if PROBLEM_TYPE in told.get("content", ()) else told
        for status, told in operation["responses"].items()
        if status != "400"
    }
    for status, description in _errors(path, operation, has_body=body is not None):
        responses.setdefault(status, _problem(description))
    changed: dict[str, Any] = {"responses": dict(sorted(responses.items()))}
    if body is not None:
        changed["requestBody"] = body | {"required": not _may_be_null(body)}
    return operation | changed


def _errors(path: str, operation: dict[str, Any], *, has_body: bool) -> Iterator[tuple[str, str]]:
    yield from _OF_ALL.items()
    if has_body:
        yield from _OF_BODIES.items()
    if has_body or any(parameter["in"] != "path" for parameter in operation.get("parameters", ())):
        yield from _INVALID.items()
    if "{" in path:
        yield "404", str(NOT_FOUND[404].description)
    if operation["operationId"] not in _WITHOUT_STORE:
        yield from _UNAVAILABLE.items()


def _problem(description: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/ProblemDocument"}
    return {"description": description, "content": {PROBLEM_TYPE: {"schema": schema}}}


def _may_be_null(body: dict[str, Any]) -> bool:
    schema = body["content"]["application/json"]["schema"]
    return any(each.get("type") == "null" for each in schema.get("oneOf", ()))


def _exact_tuples(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_exact_tuples(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    told = {key: _exact_tuples(each) for key, each in schema.items()}
    if isinstance(told.get("prefixItems"), list):
        size = len(told["prefixItems"])
        told |= {"minItems": size, "maxItems": size}
    return told
