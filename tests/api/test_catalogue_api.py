"""The catalogue, its documents and index runs over HTTP."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient

Client = TestClient[Any]


def wait_for(client: Client, job_id: str) -> dict[str, Any]:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        job: dict[str, Any] = client.get(f"/api/index/jobs/{job_id}").json()
        if job["status"] != "running":
            return job
        time.sleep(0.02)
    raise AssertionError("the index job did not end")


def test_the_catalogue_comes_page_by_page(client: Client) -> None:
    first = client.get("/api/skills?limit=3").json()
    rest = client.get("/api/skills", params={"limit": 3, "after": first["next"]}).json()
    assert [s["skill_name"] for s in first["skills"] + rest["skills"]] == [
        "fix-types",
        "index-advisor",
        "plan-dinners",
        "tune-queries",
    ]
    assert rest["next"] is None


def test_a_skill_tells_its_versions_and_its_neighbours(client: Client) -> None:
    assert len(client.get("/api/skills/fix-types/versions").json()) == 1
    assert client.get("/api/skills/tune-queries/similar").json()[0]["skill_name"] == "index-advisor"


def test_an_unknown_skill_is_a_404_problem(client: Client) -> None:
    for path in ("", "/content", "/versions", "/similar"):
        answer = client.get(f"/api/skills/nobody{path}")
        assert answer.status_code == 404
        assert answer.json()["key"] == "nobody"


def test_a_file_beside_the_document_is_served(client: Client, root: Path) -> None:
    (root / "fix-types" / "notes.md").write_text("some notes", encoding="utf-8")
    content = client.get("/api/skills/fix-types/content", params={"file": "notes.md"}).json()
    assert content["text"] == "some notes"
    assert content["files"] == ["SKILL.md", "notes.md"]


@pytest.mark.parametrize(
    "file", ["../tune-queries/SKILL.md", "/etc/passwd", "link", "link/SKILL.md", "..", "\x00", "./../../data"]
)
def test_no_file_outside_the_skills_folder_is_served(client: Client, root: Path, file: str) -> None:
    (root / "fix-types" / "link").symlink_to(root / "tune-queries")
    assert client.get("/api/skills/fix-types/content", params={"file": file}).status_code == 404


def test_files_that_are_no_text_are_refused(client: Client, root: Path) -> None:
    (root / "fix-types" / "picture.png").write_bytes(b"\x89PNG\xff")
    answer = client.get("/api/skills/fix-types/content", params={"file": "picture.png"})
    assert answer.status_code == 404
    assert "not text" in answer.json()["detail"]


def index(client: Client) -> dict[str, Any]:
    report: dict[str, Any] = wait_for(client, client.post("/api/index").json()["id"])["report"]
    return report


@pytest.mark.parametrize(
    ("encoding", "says"),
    [
        ("utf-16", "Label mustard jars"),
        ("utf-16-le", "Label mustard jars"),
        ("utf-16-be", "Label mustard jars"),
        ("utf-32", "Label mustard jars"),
        ("cp1252", "Prüfe “Rechnungen” für 5 €"),
        ("latin-1", "Prüfe Rechnungen"),
        ("shift_jis", "折り紙で鶴を折る"),
        ("cp1251", "Сложить журавля"),
        ("utf-8-sig", "Prüfe Rechnungen"),
    ],
)
def test_every_document_that_was_indexed_can_be_read(client: Client, root: Path, encoding: str, says: str) -> None:
    (root / "new").mkdir()
    text = f"---\nname: new\ndescription: {says}\n---\n\n# {says}\n"
    (root / "new" / "SKILL.md").write_bytes(text.encode(encoding))
    assert index(client)["added"] == 1
    content = client.get("/api/skills/new/content")
    assert content.status_code == 200
    indexed = client.get("/api/skills/new").json()["skill"]["description"]
    assert f"description: {indexed}\n" in content.json()["text"]
    if encoding not in {"shift_jis", "cp1251"}:
        assert content.json()["text"] == text


def test_a_file_beside_the_document_is_decoded_like_one(client: Client, root: Path) -> None:
    (root / "fix-types" / "notes.md").write_bytes("Größe".encode("cp1252"))
    assert client.get("/api/skills/fix-types/content", params={"file": "notes.md"}).json()["text"] == "Größe"


@pytest.mark.parametrize(
    "file",
    [
        ".env",
        "./.env",
        "sub/../.env",
        ".git/config",
        ".GIT/config",
        ".svn/entries",
        "sub/.env",
        ".hidden/x.md",
        "to-env",
    ],
)
def test_hidden_files_are_neither_listed_nor_served(client: Client, root: Path, file: str) -> None:
    skill = root / "fix-types"
    for name in (".env", ".git/config", ".GIT/config", ".svn/entries", "sub/.env", ".hidden/x.md", "sub/seen.md"):
        (skill / name).parent.mkdir(exist_ok=True)
        (skill / name).write_text("API_KEY=1", encoding="utf-8")
    (skill / "to-env").symlink_to(".env")
    assert client.get("/api/skills/fix-types/content").json()["files"] == ["SKILL.md", "sub/seen.md"]
    answer = client.get("/api/skills/fix-types/content", params={"file": file})
    assert (answer.status_code, answer.json()["kind"]) == (404, "file")


@pytest.mark.parametrize("target", ["../../outside/secret", "{}/outside/secret", "/etc/passwd", "gone", "SKILL.md"])
def test_a_document_that_became_a_link_out_of_its_root_is_refused(
    client: Client, root: Path, tmp_path: Path, target: str
) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text("secret", encoding="utf-8")
    document = root / "fix-types" / "SKILL.md"
    document.unlink()
    document.symlink_to(target.format(tmp_path))
    for query in ({}, {"file": "SKILL.md"}):
        answer = client.get("/api/skills/fix-types/content", params=query)
        assert answer.status_code == 404
        assert answer.json()["title"] == "Document unavailable"
        assert "SKILL.md of 'fix-types' cannot be read" in answer.json()["detail"]


def test_a_document_that_became_a_link_within_its_root_is_served(client: Client, root: Path) -> None:
    (root / "shared.md").write_text("shared", encoding="utf-8")
    document = root / "fix-types" / "SKILL.md"
    document.unlink()
    document.symlink_to("../shared.md")
    content = client.get("/api/skills/fix-types/content").json()
    assert (content["text"], content["file"]) == ("shared", "SKILL.md")


def test_a_folder_that_was_replaced_by_a_link_is_refused(client: Client, root: Path, tmp_path: Path) -> None:
    (root / "fix-types").rename(tmp_path / "elsewhere")
    (root / "fix-types").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "notes.md").write_text("secret", encoding="utf-8")
    for query in ({}, {"file": "notes.md"}):
        answer = client.get("/api/skills/fix-types/content", params=query)
        assert answer.status_code == 404
        assert "'fix-types' was replaced by a link" in answer.json()["detail"]


def test_files_that_are_no_regular_ones_are_refused_without_waiting(client: Client, root: Path) -> None:
    os.mkfifo(root / "fix-types" / "fifo")
    document = root / "plan-dinners" / "SKILL.md"
    document.unlink()
    os.mkfifo(document)
    for _ in range(60):
        assert client.get("/api/skills/plan-dinners/content").status_code == 404
    answer = client.get("/api/skills/fix-types/content", params={"file": "fifo"})
    assert answer.status_code == 404
    assert "not a regular file" in answer.json()["detail"]
    assert client.get("/api/skills/fix-types/content").json()["files"] == ["SKILL.md"]


@pytest.mark.parametrize("file", ["x" * 300, "x/" * 9_000, "loop", "loop/x", "SKILL.md/x", "\udcff", "a\nb", "~"])
def test_paths_that_no_file_can_have_are_404_problems(client: Client, root: Path, file: str) -> None:
    (root / "fix-types" / "loop").symlink_to("loop")
    params = {"file": file.encode("utf-8", "surrogateescape")}
    answer = client.get("/api/skills/fix-types/content", params=params)  # type: ignore[arg-type]
    assert (answer.status_code, answer.json()["title"]) == (404, "Not found")


def test_a_file_whose_name_is_no_text_is_not_listed(client: Client, root: Path) -> None:
    Path(os.fsdecode(os.fsencode(root / "fix-types") + b"/caf\xe9.md")).write_text("x", encoding="utf-8")
    answer = client.get("/api/skills/fix-types/content")
    assert (answer.status_code, answer.json()["files"]) == (200, ["SKILL.md"])


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
def test_a_file_without_read_permission_is_a_problem(client: Client, root: Path) -> None:
    for name in ("notes.md", "sub"):
        (root / "fix-types" / name).mkdir(mode=0) if name == "sub" else (root / "fix-types" / name).touch(mode=0)
    for file in ("notes.md", "sub/x"):
        answer = client.get("/api/skills/fix-types/content", params={"file": file})
        assert answer.status_code == 404
        assert "permission denied" in answer.json()["detail"]
    assert client.get("/api/skills/fix-types/content").status_code == 200


def test_an_index_job_reports_what_it_did(client: Client, root: Path) -> None:
    (root / "new").mkdir()
    (root / "new" / "SKILL.md").write_text("---\nname: new\ndescription: Brand new\n---\n", encoding="utf-8")
    assert client.get("/api/index/status").json()["served"] == 4
    started = client.post("/api/index")
    assert started.status_code == 202
    job = wait_for(client, started.json()["id"])
    assert job["status"] == "done"
    assert (job["report"]["added"], job["report"]["unchanged"]) == (1, 4)
    assert client.get("/api/index/status").json()["served"] == 5


def test_a_document_that_was_edited_is_stale_until_it_is_indexed(client: Client, root: Path) -> None:
    assert client.get("/api/index/status").json()["stale"] == []
    document = root / "fix-types" / "SKILL.md"
    document.write_text(document.read_text(encoding="utf-8") + "more\n", encoding="utf-8")
    assert client.get("/api/index/status").json()["stale"] == [str(document)]
    wait_for(client, client.post("/api/index").json()["id"])
    assert client.get("/api/index/status").json()["stale"] == []


def test_a_root_that_does_not_exist_is_refused(client: Client) -> None:
    answer = client.post("/api/index", json={"roots": ["/no/such/folder"]})
    assert answer.status_code == 422
    assert "/no/such/folder" in answer.json()["detail"]


@pytest.mark.parametrize("path", ["loop", "x" * 5_000, "a\x00b"])
def test_a_root_that_cannot_be_looked_at_is_refused(client: Client, root: Path, path: str) -> None:
    (root / "loop").symlink_to("loop")
    assert client.post("/api/index", json={"roots": [f"{root}/{path}"]}).status_code == 422


def test_a_job_over_a_root_that_cannot_be_read_ends_and_the_next_one_starts(
    client: Client, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stat = Path.stat

    def refusing(path: Path, **options: bool) -> os.stat_result:
        if path == root:
            raise PermissionError(13, "Permission denied")
        return stat(path, **options)

    with monkeypatch.context() as closed:
        closed.setattr(Path, "stat", refusing)
        job = wait_for(client, client.post("/api/index", json={}).json()["id"])
    assert job["status"] == "done"
    assert [(each["status"], each["reason"]) for each in job["report"]["roots"]] == [
        ("unreachable", "permission denied")
    ]
    assert client.get("/api/index/status").json()["served"] == 4
    assert client.post("/api/index", json={}).status_code == 202


def test_a_job_that_meets_a_fault_of_ours_ends_as_failed(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a fault")

    monkeypatch.setattr("service.catalogue.indexing.run_index", broken)
    job = wait_for(client, client.post("/api/index", json={}).json()["id"])
    assert (job["status"], job["error"]) == ("failed", "internal error: RuntimeError")


def test_health_names_what_answers(client: Client) -> None:
    health = client.get("/health").json()
    assert health["status"] == "ok"
    assert health["runtime"] == "hashing"
    assert client.get("/health/ready").status_code == 200
