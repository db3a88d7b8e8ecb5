"""The OpenAPI document: what Litestar derives from the routes, with exact bodies and the errors that are sent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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


NOT_FOUND: Final = {
    404: ResponseSpec(
        ProblemDocument, description="There is no such record.", media_type=PROBLEM_TYPE, generate_examples=False
    )
}
CONFLICT: Final = {
    409: ResponseSpec(
        ProblemDocument, description="Contradicts what is recorded.", media_type=PROBLEM_TYPE, generate_examples=False
    )
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
_REPEATED: Final = "Recorded before; nothing was changed."
# Creating records that have an id of the caller, which may be repeated.
_REPEATABLE: Final = frozenset({"declareProject", "joinProject", "recordProgressUpdate", "recordMentorshipSession"})
_MOMENTS: Final = frozenset({"since", "until"})
_WITHOUT_STORE: Final = frozenset({"getLiveness", "getIndexJob"})


class JsonSchema(JsonRenderPlugin):
    """Renders the document as JSON."""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """Return the document."""
        return super().render(request, _exact(request, openapi_schema))


class YamlSchema(YamlRenderPlugin):
    """Renders the document as YAML."""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """Return the document."""
        return super().render(request, _exact(request, openapi_schema))


def _exact(request: Request[Any, Any, Any], document: dict[str, Any]) -> dict[str, Any]:
    bodies = {
        handler.operation_id: handler.parsed_data_field.annotation
        for route in request.app.routes
        for handler in getattr(route, "route_handlers", ())
        if handler.parsed_data_field is not None
    }
    return exact(document, bodies)


def exact(document: dict[str, Any], bodies: Mapping[str, Any]) -> dict[str, Any]:
    """Return `document` with what each operation takes and answers.

    Parameters
    ----------
    document : dict
        As Litestar derives it.
    bodies : mapping
        The type of each operation's body. Litestar leaves out the bounds of list items and that unknown fields are
        refused; msgspec, which decodes the bodies, knows both.
    """
    schemas, components = msgspec.json.schema_components(bodies.values(), ref_template="#/components/schemas/{name}")
    described = dict(zip(bodies, schemas, strict=True))
    paths = {
        path: {method: _operation(path, operation, described) for method, operation in operations.items()}
        for path, operations in document["paths"].items()
    }
    known = document["components"]["schemas"] | components
    return document | {"paths": paths, "components": document["components"] | {"schemas": _exact_tuples(known)}}


def _operation(path: str, operation: dict[str, Any], bodies: Mapping[str, Any]) -> dict[str, Any]:
    body = bodies.get(operation["operationId"])
    # Litestar's own description of a 400 has the form that it would send without problem documents.
    responses = {
        status: _problem(told["description"]) if PROBLEM_TYPE in told.get("content", ()) else told
        for status, told in operation["responses"].items()
        if status != "400"
    }
    if operation["operationId"] in _REPEATABLE:
        responses["200"] = responses["201"] | {"description": _REPEATED}
    for status, description in _errors(path, operation, has_body=body is not None):
        sent = _problem(description)
        known = responses.get(status, sent)
        responses[status] = known | {"content": known["content"] | sent["content"]}
    changed: dict[str, Any] = {"responses": dict(sorted(responses.items()))}
    if body is not None:
        required = all(each.get("type") != "null" for each in body.get("anyOf", ()))
        changed["requestBody"] = {"content": {"application/json": {"schema": body}}, "required": required}
    if "parameters" in operation:
        changed["parameters"] = [_parameter(each) for each in operation["parameters"]]
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


def _parameter(parameter: dict[str, Any]) -> dict[str, Any]:
    if parameter["name"] not in _MOMENTS:
        return parameter
    return parameter | {"schema": {"type": "string", "format": "date-time", "minLength": 1, "maxLength": 64}}


def _exact_tuples(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_exact_tuples(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    told = {key: _exact_tuples(each) for key, each in schema.items()}
    if isinstance(told.get("prefixItems"), list):
        members = told.pop("prefixItems")
        # Few tools know `prefixItems`; members of one type need none.
        kinds = {"items": members[0]} if all(each == members[0] for each in members) else {"prefixItems": members}
        told |= kinds | {"minItems": len(members), "maxItems": len(members)}
    return told
