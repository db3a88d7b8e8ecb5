"""Whatever untrusted text holds, every command prints it as text: no markup, no escapes, no traceback."""

from __future__ import annotations

import ast
import contextlib
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

import service.cli
from migrations.errors import SkillrankError
from service.cli import output
from service.cli.main import app
from service.text import visible
from store.contract.tracking import NewInvocation, NewOutcome
from store.protocol import Store
from store.sqlite import open_store

MARKUP = r"\[/INST\] [/frac] [red] [link=https://example.com]x[/link] [bold {x} %s :boom: \\"
ESCAPES = (
    "\x1b[2J \x1b]0;title\x07 \x1b]8;;https://example.com\x1b\\ \x9b31m \r \x08 \x7f \u202e \u2066 \u200b \ufeff é 日本"
)
# Without a slash or a control character, which names and ids may refuse before anything could print them.
TIGHT = "[red]\\[bold]\\"
HOSTILE = pytest.mark.parametrize("text", [MARKUP, ESCAPES, TIGHT], ids=["markup", "escapes", "tight"])
ACTING = [chr(code) for code in [*range(0x20), *range(0x7F, 0xA0)] if chr(code) != "\n"]
ACTING += ["\u202e", "\u2066", "\u200b", "\ufeff"]


def run(*arguments: str | Path) -> Result:
    result = CliRunner().invoke(app, [str(each) for each in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise AssertionError(f"{arguments} ended in a traceback") from result.exception
    acting = [character for character in ACTING if character in result.output]
    assert not acting, f"{arguments} printed {acting} in {result.output!r}"
    return result


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SKILLRANK_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("SKILLRANK_MODEL", "hashing")
    return tmp_path


@contextlib.contextmanager
def store_of(data: Path) -> Iterator[Store]:
    store = open_store(data / "data" / "skillrank.db")
    try:
        yield store
    finally:
        store.close()


def index_one(data: Path, text: str) -> None:
    folder = data / "skills" / "hostile"
    folder.mkdir(parents=True, exist_ok=True)
    front = json.dumps({"name": "hostile", "description": text + " mend the database"}, ensure_ascii=True)
    (folder / "SKILL.md").write_text(
        f"---\n{front}\n---\n# Mend {text}\n\nThe database is mended with {text}.\n", "utf-8"
    )


@HOSTILE
def test_every_command_shows_documents_as_they_are_written(data: Path, text: str) -> None:
    index_one(data, text)
    run("index", data / "skills", "-v")
    listed = run("skills").output
    assert "mend the database" in listed
    assert text != MARKUP or "[/INST" in listed
    assert "hostile" in run("search", "mend the database").output
    run("search", f"mend the database {text}")
    for arguments in (("skills", "overlap"), ("eval",), ("doctor",)):
        run(*arguments)
    run("index", data / "skills" / text.replace("/", "").replace("\0", ""))
    run("search", "x", "--category", text)
    run("skills", text)
    run("skills", "overlap", text)
    run("serve", "--host", text)
    run("index", data / text)
    run("index", f"~{text}")


@HOSTILE
def test_every_command_shows_names_and_ids_as_they_are_written(data: Path, text: str) -> None:
    with store_of(data) as store, contextlib.suppress(SkillrankError):
        outcome = NewOutcome(outcome="failed", error_type=text, duration_seconds=1.0)
        store.import_invocations(
            [(NewInvocation(skill_name=text, session_id=text, workflow_path=text, user_query=text), outcome)]
        )
    for arguments in (
        ("metrics", "summary"),
        ("metrics", "show"),
        ("metrics", "show", text),
        ("metrics", "timeline", text),
        ("metrics", "timeline", "x", "--bucket", text),
        ("metrics", "timeline", "x", "--window", text),
        ("metrics", "rebuild"),
        ("project", "declare", text, "--name", text, "--skill", text),
        ("project", "join", text, "--user", text),
        ("track", "update", text, "--project", text, "--user", text),
        ("project", "complete", text),
        ("signals", "distribution"),
        ("signals", "momentum"),
        ("signals", "momentum", "--bucket", text),
        ("signals", "activity"),
        ("signals", "activity", "--cursor", text),
        ("session", "start", "--id", text),
        ("track", "start", text, "--id", text, "--session", text),
        ("track", "finish", text, "--error", text),
        ("track", "finish", "x", "--outcome", text),
        ("report", "session", text),
        ("session", "end", text),
        ("report", "session", text),
        ("report", "workflows", "--since", text),
        ("aggregate",),
        ("aggregate", "--source", data / text.replace("/", "")),
        ("insights",),
        ("insights", "--kind", text),
        ("insights", "projects"),
        ("restore", data / text),
        ("backup", "--to", data / "x" / text),
        ("import-json", data / text),
        ("train-adapter", data / "out", "--queries", data / text),
        ("tune", "--judged", data / text),
        ("eval", "--fail-under", text),
        ("eval", "--compare", text),
        ("search", "x", "--data-dir", f"~{text}"),
        ("search", "x", "--session", text),
        (text,),
        ("search", f"--{text}"),
    ):
        run(*arguments)


@HOSTILE
def test_files_of_results_are_reported_as_they_are_written(data: Path, text: str) -> None:
    run("session", "start", "--id", "s")
    events = data / "events.jsonl"
    named = {"workflow": text, "phase": text, "step": text, "status": "failed", "session_id": "s"}
    events.write_text(json.dumps(named) + "\n" + json.dumps({text: text}) + "\n", "utf-8")
    run("track", "workflow", events)
    run("report", "session", "s")
    run("report", "workflows")
    tracked = data / "skill_metrics.json"
    row = {"skill_name": text, "timestamp": text, "outcome": text}
    tracked.write_text(json.dumps({"invocations": [row], "skills": {text: {"total_invocations": 3}}}), "utf-8")
    run("import-json", tracked)
    run("cutover", "--status")
    judged = data / "judged.jsonl"
    judged.write_text(json.dumps({"query": text, "expected": [text]}) + "\n", "utf-8")
    run("eval", "-q", judged)


@given(parts=st.lists(st.text(max_size=8) | st.sampled_from([MARKUP, ESCAPES]), min_size=1, max_size=4))
def test_no_way_of_printing_lets_text_act(parts: list[str]) -> None:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        output.say(*parts, style="bold", indent=3)
        output.note(*parts, wrap=False)
        output.say(output.styled(parts[0], "red"))
        output.heading(parts[0])
        output.print_error("".join(parts))
        output.print_value("".join(parts))
        output.table(["name", "value"], [(part, output.lines_of(parts)) for part in parts], title=parts[0])
        output.print_json(parts)
    acting = [character for character in ACTING if character in printed.getvalue()]
    assert not acting


@given(text=st.text())
def test_visible_text_holds_nothing_that_acts_and_is_its_own_visible_text(text: str) -> None:
    shown = visible(text)
    assert not [character for character in shown if not character.isprintable() and character not in "\u200c\u200d"]
    assert visible(shown) == shown


@pytest.mark.parametrize("text", [r"\[/INST\] [a-z]+", "“é” 日本", "👩\u200d💻", "C:\\skills\\"])
def test_printable_text_is_shown_as_it_is(text: str) -> None:
    assert visible(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J", "^[[2J"),
        ("\x07", "^G"),
        ("\x7f", "^?"),
        ("\x9b", "<U+009B>"),
        ("\u202e", "<U+202E>"),
        ("a\nb", "a^Jb"),
        ("\udcff", "\\xff"),
    ],
)
def test_what_acts_is_written_out(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_only_one_module_of_the_command_line_prints() -> None:
    # Whoever prints past service.cli.output prints untrusted text unguarded.
    folder = Path(service.cli.__file__).parent
    for path in sorted(folder.glob("*.py")):
        if path.name == "output.py":
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            match node:
                case ast.Import(names=names):
                    assert not [each.name for each in names if each.name.split(".")[0] == "rich"], path
                case ast.ImportFrom(module=str(module)):
                    assert module.split(".")[0] != "rich", path
                case ast.Call(func=ast.Name(id="print")) | ast.Attribute(attr="echo" | "stdout" | "stderr"):
                    raise AssertionError(f"{path}:{node.lineno} prints by itself")
