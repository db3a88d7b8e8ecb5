"""Results files as tools write them, damaged ones, and hostile ones."""

from __future__ import annotations

import io
import json
import os
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from service.work.results.feeding import Fed, feed
from service.work.results.junit import MOST_SUITES, MOST_TAG_BYTES, read_junit
from service.work.results.lines import MOST_LINE_BYTES
from service.work.results.reported import Reported, Told, UnreadableResults, Unusable
from store.protocol import Store
from store.sqlite import open_store

PYTEST = """<?xml version="1.0" encoding="utf-8"?>
<testsuites name="pytest tests"><testsuite name="pytest" errors="1" failures="1" skipped="1" tests="5" time="3.5"
 timestamp="2026-03-04T09:00:00.500000+01:00" hostname="here">
<testcase classname="tests.unit.test_a" name="test_good[1-&lt;x&gt;]" time="0.5" />
<testcase classname="tests.unit.test_a" name="test_bad" time="1.25"><failure message="assert 1 == 2">def test</failure>
</testcase>
<testcase classname="tests.unit.test_a" name="test_unset" time="0.25"><error message="failed on setup">E</error>
</testcase>
<testcase classname="tests.unit.test_b" name="test_later" time="0"><skipped type="pytest.skip" message="no GPU"/>
</testcase>
<testcase classname="tests.unit.test_b" name="test_loud" time="1"><system-out>x&lt;testcase/&gt;</system-out></testcase>
</testsuite></testsuites>"""

NESTED = """<testsuites><testsuite name="outer" timestamp="2026-03-04T08:00:00Z">
<properties><property name="a" value="b"/></properties>
<testsuite name="inner"><testcase name="one" time="1"/><testcase name="two" time="1"/></testsuite>
<testsuite name="timed" timestamp="2026-03-04T10:00:00Z"><testcase name="three" time="2"/></testsuite>
<testcase name="four" time="1"/>
</testsuite></testsuites>"""

Feed = Callable[..., Fed]


def read(text: str | bytes, zone: Any = None, **told: Any) -> list[Reported]:
    data = text.encode() if isinstance(text, str) else text
    found = list(read_junit(io.BytesIO(data), Told(**{"session_id": "s"} | told), zone))
    assert all(isinstance(each, Reported) for each in found), found
    return found  # type: ignore[return-value]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = open_store(tmp_path / "data" / "x.db")
    yield store
    store.close()


@pytest.fixture
def fed(store: Store, tmp_path: Path) -> Feed:
    """Write a results file and feed it."""

    def give(content: str | bytes, **told: Any) -> Fed:
        path = tmp_path / "results"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return feed(store, path, Told(**{"session_id": "s"} | told))

    return give


def test_results_of_pytest_are_read() -> None:
    found = read(PYTEST, workflow="unit tests", phase="test", project_id="shop")
    assert [(each.step, each.status) for each in found] == [
        ("tests.unit.test_a::test_good[1-<x>]", "passed"),
        ("tests.unit.test_a::test_bad", "failed"),
        ("tests.unit.test_a::test_unset", "failed"),
        ("tests.unit.test_b::test_later", "skipped"),
        ("tests.unit.test_b::test_loud", "passed"),
    ]
    assert [each.occurred_at for each in found][:2] == ["2026-03-04T08:00:01.000000Z", "2026-03-04T08:00:02.250000Z"]
    assert [each.duration_seconds for each in found] == [0.5, 1.25, 0.25, 0.0, 1.0]
    assert found[1].payload == {"suite": "pytest", "ended_by": "failure", "message": "assert 1 == 2"}
    assert found[2].payload["ended_by"] == "error"
    assert (found[0].workflow, found[0].phase, found[0].project_id) == ("unit tests", "test", "shop")
    assert (found[0].where, found[2].where) == ("line 4", "line 7")


def test_nested_suites_share_a_clock_unless_they_have_their_own() -> None:
    found = {each.step: (each.occurred_at or "")[11:19] for each in read(NESTED)}
    assert found == {"one": "08:00:01", "two": "08:00:02", "three": "10:00:02", "four": "08:00:03"}


def test_times_that_are_missing_or_odd_stay_unknown() -> None:
    told = '<testsuite><testcase name="{}" time="{}"/></testsuite>'
    for time, seconds in (
        ("", None),
        ("fast", None),
        ("-1", None),
        ("inf", None),
        ("nan", None),
        ("1e99", None),
        ("1,234.5", 1234.5),
        ("0,5", 0.5),
        (" 2 ", 2.0),
    ):
        (found,) = read(told.format("a", time))
        assert (found.duration_seconds, found.occurred_at) == (seconds, None)
    (found,) = read('<testsuite timestamp="last Tuesday"><testcase name="a"/></testsuite>')
    assert found.occurred_at is None
    (found,) = read('<testsuite timestamp="9999-12-31T23:59:59Z"><testcase name="a" time="99"/></testsuite>')
    assert found.occurred_at is None


def test_a_time_without_an_offset_is_in_the_given_zone() -> None:
    text = '<testsuite timestamp="2026-03-04T09:00:00"><testcase name="a" time="1"/></testsuite>'
    (found,) = read(text, ZoneInfo("Asia/Tokyo"))
    assert found.occurred_at == "2026-03-04T00:00:01.000000Z"


def test_results_of_other_tools_are_read() -> None:
    gtest = (
        '<testsuites><testsuite name="S"><testcase name="Ran" status="run" result="completed" time="0.1" '
        'timestamp="2026-03-04T09:00:00Z" classname="S"/><testcase name="Off" status="notrun" result="suppressed" '
        'classname="S"/></testsuite></testsuites>'
    )
    assert [(each.step, each.status) for each in read(gtest)] == [("S::Ran", "passed"), ("S::Off", "skipped")]
    surefire = (
        '<testsuite xmlns:xsi="x" name="S"><testcase name="flaky" classname="C" time="1,000.5"><flakyFailure '
        'message="m"/><rerunFailure/></testcase></testsuite>'
    )
    (found,) = read(surefire)
    assert (found.status, found.duration_seconds) == ("passed", 1000.5)
    prefixed = '<j:testsuite xmlns:j="u"><j:testcase name="a"><j:failure/></j:testcase></j:testsuite>'
    assert [each.status for each in read(prefixed)] == ["failed"]
    assert [each.step for each in read('<testsuite><testcase classname="only.class"/></testsuite>')] == ["only.class"]


def test_other_encodings_are_read() -> None:
    text = '<?xml version="1.0" encoding="{}"?><testsuite><testcase name="Prüfung"/></testsuite>'
    for encoding in ("utf-8", "latin-1", "utf-16"):
        (found,) = read(text.format(encoding).encode(encoding))
        assert found.step == "Prüfung"


def test_a_case_without_a_name_is_reported_and_not_fatal(fed: Feed) -> None:
    result = fed('<testsuite>\n<testcase time="1"/>\n<testcase name="a"/></testsuite>')
    assert (result.added, result.refused) == (1, 1)
    assert result.reasons == [Unusable(where="line 2", reason="a test case without a name")]


def test_names_that_are_too_long_stay_distinct(fed: Feed, store: Store) -> None:
    cases = "".join(f'<testcase name="{"x" * 2000}{n}"/>' for n in range(3))
    assert fed(f"<testsuite>{cases}</testsuite>").added == 3
    assert len({each.step for each in store.session_story("s").events}) == 3


def test_long_messages_are_truncated(store: Store, fed: Feed) -> None:
    fed(f'<testsuite><testcase name="a"><failure message="{"m" * 100_000}"/></testcase></testsuite>')
    (event,) = store.session_story("s").events
    assert len(store.workflow_event(event.id).payload["message"]) == 500


@pytest.mark.parametrize("again", [PYTEST, PYTEST.replace("\n<", "<")])
def test_the_same_file_again_adds_nothing(fed: Feed, again: str) -> None:
    assert (fed(PYTEST).added, fed(PYTEST).known) == (5, 5)
    result = fed(again)
    assert (result.added, result.known, result.refused) == (0, 5, 0)


def test_equal_cases_of_one_file_are_different_events(fed: Feed) -> None:
    text = '<testsuite><testcase name="a"/><testcase name="a"/></testsuite>'
    assert (fed(text).added, fed(text).known) == (2, 2)


def test_the_same_file_in_another_session_gives_other_events(fed: Feed) -> None:
    assert fed(PYTEST).added == fed(PYTEST, session_id="t").added == fed(PYTEST, workflow="w").added == 5


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))


@pytest.mark.parametrize(
    "attack",
    [
        f'<!DOCTYPE t [<!ENTITY l0 "ha">{LAUGHS}]><testsuite><testcase name="&l9;"/></testsuite>',
        '<!DOCTYPE t [<!ENTITY x SYSTEM "file:///etc/passwd">]><testsuite><testcase name="a">&x;</testcase>',
        '<!DOCTYPE t SYSTEM "http://127.0.0.1:9/evil.dtd"><testsuite/>',
        '<!DOCTYPE t [<!ENTITY % p SYSTEM "http://127.0.0.1:9/p"> %p;]><testsuite/>',
        "<!DOCTYPE testsuite><testsuite/>",
    ],
)
def test_document_types_and_entities_are_refused_before_anything_is_read(attack: str, fed: Feed) -> None:
    result = fed(attack)
    assert result.added == 0
    assert "entities" in (result.broken or "")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<html><body/></html>", "begins with <html>"),
        ("<coverage/>", "begins with <coverage>"),
        ("<testsuite><testcase", "not well-formed"),
        ("<testsuite>", "not well-formed"),
        ("<testsuite/><testsuite/>", "not well-formed"),
        ("<testsuite><testcase name='a'>&nbsp;</testcase></testsuite>", "not well-formed"),
        ('<?xml version="1.0" encoding="klingon"?><testsuite/>', ""),
        (b"<testsuite>\xff\xfe</testsuite>", "not well-formed"),
        ("<testsuite \x00/>", "not well-formed"),
    ],
)
def test_a_document_that_is_not_junit_is_refused_with_the_reason(text: str | bytes, said: str, fed: Feed) -> None:
    result = fed(text)
    assert result.broken is not None
    assert said in result.broken


def test_events_before_a_break_are_recorded_and_the_whole_file_adds_the_rest(fed: Feed) -> None:
    cases = "".join(f'<testcase name="t{n}"/>' for n in range(50))
    whole = f"<testsuite>{cases}</testsuite>"
    cut = fed(whole[: len(whole) // 2])
    assert cut.broken
    assert cut.added > 0
    repaired = fed(whole)
    assert (repaired.added + cut.added, repaired.known) == (50, cut.added)


def test_captured_output_is_never_kept(tmp_path: Path) -> None:
    path = tmp_path / "big.xml"
    with path.open("wb") as file:
        file.write(b'<testsuite><testcase name="a"><system-out>')
        for _ in range(200):
            file.write(b"<![CDATA[" + b"x" * 100_000 + b"]]>")
        file.write(b"</system-out></testcase></testsuite>")
    with path.open("rb") as stream:
        tracemalloc.start()
        found = list(read_junit(stream, Told(session_id="s")))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert len(found) == 1
    assert peak < 5_000_000 < path.stat().st_size


def test_suites_can_be_nested_deeply() -> None:
    deep = 20_000
    text = "<testsuite>" * deep + '<testcase name="a"/>' + "</testsuite>" * deep
    assert [each.step for each in read(text)] == ["a"]


def test_lines_are_read_with_defaults_from_the_command_line(fed: Feed, store: Store) -> None:
    lines = [
        {"step": "build", "status": "passed", "occurred_at": "2026-03-04T09:00:00Z", "duration_seconds": 3},
        {"step": "ship", "status": "failed", "workflow": "cd", "session_id": "t", "phase": "late", "id": "mine"},
    ]
    text = "\ufeff" + "\r\n".join(map(json.dumps, lines)) + "\n\n"
    result = fed(text, workflow="ci", phase="early", project_id="shop")
    assert (result.added, result.refused) == (2, 0)
    (first,) = store.session_story("s").events
    assert (first.workflow, first.phase, first.duration_seconds) == ("ci", "early", 3.0)
    assert (store.workflow_event("mine").workflow, store.workflow_event("mine").phase) == ("cd", "late")
    again = fed(text, workflow="ci", phase="early", project_id="shop")
    assert (again.added, again.known) == (0, 2)


def test_bad_lines_are_reported_by_number_and_not_fatal(fed: Feed) -> None:
    good = '{"step": "a", "status": "passed"}'
    lines = [
        good,
        "not json",
        '{"step": "a", "status": "maybe"}',
        '{"status": "passed"}',
        '{"step": "a", "status": "passed", "colour": "red"}',
        "[1]",
        '{"step": "a", "status": "passed", "duration_seconds": -1}',
        '{"step": "a", "status": "passed", "occurred_at": "soon"}',
        '{"step": "a", "status": "passed", "payload": [1]}',
        "[" * 100_000,
        '{"step": "' + "x" * (2 * MOST_LINE_BYTES) + '", "status": "passed"}',
        "\xff",
        '{"step": "\\ud800", "status": "passed"}',
        good.replace("passed", "failed"),
    ]
    result = fed("\n".join(lines).encode("latin-1"), workflow="ci")
    assert result.added == 2
    assert sorted(int(each.where.split()[1]) for each in result.reasons) == list(range(2, 14))
    assert result.refused == 12


def test_a_line_without_a_session_or_workflow_says_how_to_give_it(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_text('{"step": "a", "status": "passed"}\n')
    for told, option in ((Told(workflow="w"), "--session"), (Told(session_id="s"), "--workflow")):
        (reason,) = feed(store, path, told).reasons
        assert option in reason.reason


def test_junit_without_a_session_says_so(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "results"
    path.write_text(PYTEST)
    with pytest.raises(UnreadableResults, match="--session"):
        feed(store, path, Told())
    with pytest.raises(UnreadableResults, match="cannot be read"):
        feed(store, tmp_path / "nowhere", Told(session_id="s"))
    with pytest.raises(UnreadableResults, match="cannot be read"):
        feed(store, tmp_path, Told(session_id="s"))


def test_progress_is_reported_to_the_end(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "results"
    path.write_text("".join(f'{{"step": "s{n}", "status": "passed"}}\n' for n in range(2500)))
    seen: list[int] = []
    assert feed(store, path, Told(session_id="s", workflow="w"), progress=seen.append).added == 2500
    assert seen == sorted(seen)
    assert seen[-1] == path.stat().st_size


def test_a_pipe_is_read_too(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writing = threading.Thread(target=path.write_text, args=(PYTEST,))
    writing.start()
    assert feed(store, path, Told(session_id="s")).added == 5
    writing.join()


def _parts(*parts: bytes | tuple[bytes, int]) -> io.BytesIO:
    return io.BytesIO(b"".join(part if isinstance(part, bytes) else part[0] * part[1] for part in parts))


def test_only_the_first_failure_of_a_case_is_kept() -> None:
    one = b"<failure message='%s' type='first'/>" % (b"x" * 2_000)
    stream = _parts(
        b"<testsuite><testcase name='a'>", one, (b"<error type='later'/>", 100_000), b"</testcase></testsuite>"
    )
    tracemalloc.start()
    (case,) = read_junit(stream, Told(session_id="s"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert isinstance(case, Reported)
    assert (case.status, case.payload["type"], len(case.payload["message"])) == ("failed", "first", 500)
    assert peak < 4_000_000


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"<testsuite><testcase name='", b"'/></testsuite>"),
        (b"<testsuite><!--", b"--></testsuite>"),
        (b"<testsuite ", b"/>"),
    ],
)
def test_a_tag_of_many_megabytes_is_refused_and_read_only_so_far(before: bytes, after: bytes) -> None:
    stream = _parts(before, (b"x", 3 * MOST_TAG_BYTES), after)
    with pytest.raises(UnreadableResults, match="a tag or comment has more than"):
        list(read_junit(stream, Told(session_id="s")))
    assert stream.tell() < 2 * MOST_TAG_BYTES


def test_text_of_any_length_is_skipped() -> None:
    stream = _parts(
        b"<testsuite><testcase name='a'><system-out>",
        (b"x", 2 * MOST_TAG_BYTES),
        b"</system-out></testcase></testsuite>",
    )
    assert len(list(read_junit(stream, Told(session_id="s")))) == 1


def test_suites_that_are_nested_too_deeply_are_refused() -> None:
    with pytest.raises(UnreadableResults, match="nested"):
        list(read_junit(_parts((b"<testsuite>", MOST_SUITES + 1)), Told(session_id="s")))


def test_lines_without_a_time_keep_their_order(fed: Feed, store: Store) -> None:
    statuses = ["failed", "passed"] * 1_100
    lines = [{"id": f"e{n}", "step": "unit", "status": status} for n, status in enumerate(statuses)]
    assert fed("\n".join(map(json.dumps, lines)).encode(), session_id="s", workflow="ci").added == len(lines)
    moments = [store.workflow_event(f"e{n}").occurred_at for n in range(len(statuses))]
    assert moments == sorted(set(moments))
    assert [each.status for each in store.session_story("s").events] == statuses
