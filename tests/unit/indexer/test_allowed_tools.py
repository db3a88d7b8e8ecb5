from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.allowed_tools import read_tools
from indexer.discovery import Found
from indexer.document import parse_document

PYTHON = 'Bash(python -c "print(1)":*)'


def tools(written: str) -> list[str]:
    text = f"---\nname: a\ndescription: b\nallowed-tools: {written}\n---\n"
    return list(parse_document(text.encode(), Found(path="/r/x/SKILL.md", root="/r")).allowed_tools)


@pytest.mark.parametrize(
    "written",
    [
        "Read Bash(npm run test:*)",
        "Read, Bash(npm run test:*)",
        "Read,Bash(npm run test:*),",
        "Read; Bash(npm run test:*)",
        "Read and Bash(npm run test:*)",
        "Read, Bash (npm run test:*)",
        "|\n  Read\n  Bash(npm run test:*)",
        ">\n  Read,\n  Bash(npm run test:*)",
        "|\n  - Read\n  * Bash(npm run test:*)",
        "[Read, Bash(npm run test:*)]",
        '["Read", "Bash(npm run test:*)"]',
        """'["Read", "Bash(npm run test:*)"]'""",
        "'[Read, Bash(npm run test:*)]'",
        '"Read, Bash(npm run test:*)"',
        '"Read", "Bash(npm run test:*)"',
        "'Read' 'Bash(npm run test:*)'",
        "“Read”, “Bash(npm run test:*)”",
        "`Read`, `Bash(npm run test:*)`",
        "\n  - Read\n  - Bash(npm run test:*)",
        "\n  - 'Read'\n  - \"Bash(npm run test:*)\"",
        "\n  - Read, Bash(npm run test:*)",
        "\n  - [Read]\n  - - Bash(npm run test:*)",
        "\n  - name: Read\n  - name: Bash(npm run test:*)",
        "{Read: true, Write: false, Bash: 'npm run test:*'}",
        "\n  Read:\n  Bash: npm run test:*\n  Write: no",
        """'{"Read": true, "Bash": ["npm run test:*"]}'""",
        "[Read, Bash(npm run test:*), Read]",
        "Read, Bash(npm run test:*) #Write",
    ],
)
def test_every_usual_form_is_understood(written: str) -> None:
    assert tools(written) == ["Read", "Bash(npm run test:*)"]


@pytest.mark.parametrize(
    "tool",
    [
        PYTHON,
        "Bash(git add:*, git commit:*)",
        'Bash(echo "a)":*)',
        "Bash(echo it's:*)",
        "Bash(a(b(c)) d)",
        "Bash(npm run: test)",
        "Bash({a,b})",
        'Bash(git commit -m "a, b":*)',
        "mcp__server__tool-name",
        "Edit(src/**/*.py)",
        "*",
    ],
)
@pytest.mark.parametrize("form", ["{}, Read", "{} Read", "[{}, Read]", "\n  - {}\n  - Read"])
def test_what_stands_in_parentheses_belongs_to_its_tool(tool: str, form: str) -> None:
    assert tools(form.format(tool)) == [tool, "Read"]


def test_parentheses_that_are_never_closed_end_at_a_comma() -> None:
    assert tools("Bash(git add, Read") == ["Bash(git add", "Read"]


def test_several_apostrophes_do_not_swallow_what_lies_between() -> None:
    assert tools("Bash(don't), Read, Bash(won't)") == ["Bash(don't)", "Read", "Bash(won't)"]


@pytest.mark.parametrize("written", ["", "~", "[]", "{}", '""', "'[]'", "[~]"])
def test_no_tools_are_none(written: str) -> None:
    assert tools(written) == []


@pytest.mark.parametrize("key", ["allowed_tools", "Allowed-Tools", "allowedTools"])
def test_the_key_is_known_in_other_spellings(key: str) -> None:
    text = f"---\nname: a\n{key}: Read\n---\n"
    assert parse_document(text.encode(), Found(path="/r/x/SKILL.md", root="/r")).allowed_tools == ("Read",)


@pytest.mark.parametrize(
    "text",
    [
        "(" * 65_000,
        "(," * 32_000,
        "a (" * 20_000,
        "\"'" * 30_000,
        '["' * 30_000,
        "a" + " " * 65_000,
        "Bash(" + " " * 65_000 + ")",
        "(\"'" * 20_000,
    ],
)
def test_hostile_text_costs_little(text: str) -> None:
    started = time.process_time()
    read_tools(text)
    assert time.process_time() - started < 5


@given(st.text(alphabet="aB(),;|\"'`[]{}: \n#-*\\", max_size=60))
def test_any_text_is_read(text: str) -> None:
    assert all(tool.strip() for tool in read_tools(text))
