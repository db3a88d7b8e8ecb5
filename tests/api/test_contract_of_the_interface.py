"""What holds for every route, setting and command."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from litestar.testing import TestClient
from typer.main import get_command

from service.cli.main import app as command_line
from service.settings import PREFIX, Settings

Client = TestClient[Any]
README = Path(__file__).parents[2] / "README.md"


def test_every_route_has_its_own_operation_id(client: Client) -> None:
    paths = client.get("/schema/openapi.json").json()["paths"]
    operations = [operation for path in paths.values() for operation in path.values()]
    identifiers = [operation["operationId"] for operation in operations]
    assert len(set(identifiers)) == len(identifiers) > 20
    # Operation ids are chosen by hand in lowerCamelCase; those of Litestar would contain the path.
    assert [i for i in identifiers if not re.fullmatch(r"[a-z]+(?:[A-Z][a-z]+)*", i)] == []


def test_every_route_has_a_description(client: Client) -> None:
    paths = client.get("/schema/openapi.json").json()["paths"]
    assert [name for path in paths.values() for name, o in path.items() if not o.get("description")] == []


def test_every_error_of_the_framework_is_a_problem_document(client: Client) -> None:
    for answer in (
        client.get("/no/such/route"),
        client.delete("/api/search"),
        client.post("/api/search", content=b"{"),
        client.post("/api/search", content=b"x" * (17 * 1024 * 1024)),
    ):
        assert 400 <= answer.status_code < 500
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == answer.status_code


def test_no_page_loads_anything_from_elsewhere(client: Client) -> None:
    assert client.get("/schema").headers["content-type"].startswith("application/")


def test_every_setting_is_in_the_readme() -> None:
    text = README.read_text(encoding="utf-8")
    assert [name for name in Settings.__struct_fields__ if PREFIX + name.upper() not in text] == []


def test_every_command_has_a_help_text() -> None:
    commands = get_command(command_line).commands  # type: ignore[attr-defined]
    assert [name for name, command in commands.items() if not command.help] == []
    assert {"index", "search", "serve", "demo", "skills", "track", "session", "metrics", "migrate"} <= set(commands)


def test_an_unknown_address_points_to_the_schema(client: Client) -> None:
    lost = client.get("/")
    assert (lost.status_code, "/schema" in lost.json()["detail"]) == (404, True)


def test_the_schema_documents_the_errors_that_are_sent(client: Client) -> None:
    document = client.get("/schema/openapi.json").json()
    for path, operations in document["paths"].items():
        for operation in operations.values():
            errors = {status: told for status, told in operation["responses"].items() if status >= "400"}
            assert {"403", "421"} <= set(errors)
            assert ("404" in errors) or "{" not in path, path
            assert ("415" in errors) == ("requestBody" in operation), path
            assert all("application/problem+json" in told["content"] for told in errors.values()), path


def test_every_reference_of_the_schema_is_defined_and_every_body_is_closed(client: Client) -> None:
    document = client.get("/schema/openapi.json").json()
    schemas = document["components"]["schemas"]
    assert set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(document))) <= set(schemas)
    for operations in document["paths"].values():
        for operation in operations.values():
            body = json.dumps(operation.get("requestBody", {}))
            for name in re.findall(r'"#/components/schemas/([^"]+)"', body):
                assert schemas[name]["additionalProperties"] is False, name


def test_a_creation_that_may_be_repeated_documents_both_answers(client: Client) -> None:
    paths = client.get("/schema/openapi.json").json()["paths"]
    for path in ("/api/projects", "/api/progress_updates", "/api/mentorship_sessions"):
        assert {"200", "201"} <= set(paths[path]["post"]["responses"])


def test_an_optional_body_is_documented_as_optional(client: Client) -> None:
    paths = client.get("/schema/openapi.json").json()["paths"]
    assert paths["/api/sessions"]["post"]["requestBody"]["required"] is False
    assert paths["/api/search"]["post"]["requestBody"]["required"] is True
