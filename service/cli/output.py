"""Printing: the only module through which commands write to the standard streams.

Nothing here interprets markup. Every string is taken as untrusted text and shown as it is written, with control
characters written out (`service.text.visible`); only `styled` and `table` add styles, and only to whole fragments.
"""

from __future__ import annotations

import codecs
import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from typing import Any, Final, TextIO

import msgspec
from rich.cells import cell_len
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from service.text import visible

Cell = str | Text

# A pipe has no width: whole lines are easier to search and to process.
_PIPE_COLUMNS: Final = 100_000
_PIPE_LINES: Final = 25
# Columns up to this width are never wrapped, so that figures and dates stay in one piece.
_KEPT_WHOLE: Final = 20
_FEWEST_COLUMNS: Final = 16
_GAP: Final = 2
_ERROR_HANDLER: Final = "skillrank.substitute"
_SUBSTITUTES: Final = str.maketrans(
    {
        "“": '"',
        "”": '"',
        "‘": "'",
        "’": "'",
        "–": "-",
        "—": "-",
        "…": "...",
        "·": "|",
        "›": ">",
        "→": "->",
        "←": "<-",
        "█": "#",
        "▓": "#",
        "▒": "+",
        "░": ".",
        "━": "-",
        "╸": "-",
        "╺": "-",
        "•": "*",
        "\N{NO-BREAK SPACE}": " ",
    }
)
# Valid in JSON, but not safe on a terminal: C1 controls, bidirectional and other invisible characters.
_UNSEEN: Final = re.compile("[\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e007f]")


def _console(*, stderr: bool) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    wide = not stream.isatty() and "COLUMNS" not in os.environ
    return Console(
        stderr=stderr,
        markup=False,
        emoji=False,
        highlight=False,
        width=_PIPE_COLUMNS if wide else None,
        height=_PIPE_LINES if wide else None,
    )


_OUT: Final = _console(stderr=False)
_ERR: Final = _console(stderr=True)


def prepare_streams() -> None:
    """Let the standard streams replace what their encoding cannot express, instead of failing."""
    codecs.register_error(_ERROR_HANDLER, _substitute)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors=_ERROR_HANDLER)


def finish_output() -> bool:
    """Flush standard output, and return whether that worked; print an error if not."""
    try:
        sys.stdout.flush()
    except OSError as error:
        # Otherwise the interpreter flushes again at exit and prints a traceback.
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        # A reader that has seen enough, such as head, is no error.
        if isinstance(error, BrokenPipeError):
            return True
        print_error(f"the output cannot be written: {error.strerror}")
        return False
    return True


def styled(text: str, style: str) -> Text:
    """Return `text`, which may be untrusted, in a style."""
    return Text(visible(text), style)


def lines_of(parts: Iterable[Cell]) -> Text:
    """Return one cell that shows each part on a line of its own."""
    return Text("\n").join([_text(part) for part in parts])


def say(*parts: Cell, style: str = "", indent: int = 0, wrap: bool = True) -> None:
    """Print one line on standard output.

    Parameters
    ----------
    *parts : str or Text
        Joined without a space between them.
    style : str
    indent : int
        Spaces before each line.
    wrap : bool
        False leaves it to the terminal to wrap the line, so that paths and commands can be copied whole.
    """
    _print(_OUT, parts, style, indent, wrap=wrap)


def note(*parts: Cell, style: str = "", wrap: bool = True) -> None:
    """Print one line on standard error."""
    _print(_ERR, parts, style, 0, wrap=wrap)


def print_error(message: str) -> None:
    """Print an error in one line on standard error."""
    note(styled("skillrank:", "bold red"), " ", " ".join(message.split("\n")), wrap=False)


def heading(text: str) -> None:
    """Print the title of a section, after an empty line."""
    say()
    say(text, style="bold")


def table(headers: Sequence[str], rows: Iterable[Sequence[Cell]], *, title: str = "") -> None:
    """Print a table, or one block of lines per row when the terminal is too narrow.

    Parameters
    ----------
    headers : sequence of str
    rows : iterable of sequences of str or Text
        Cells; a cell that is a str may be untrusted.
    title : str
    """
    cells = [[_text(cell) for cell in row] for row in rows]
    if title:
        heading(title)
    widths = [max([cell_len(header), *(_width(row[place]) for row in cells)]) for place, header in enumerate(headers)]
    least = [
        width if width <= _KEPT_WHOLE else max(_FEWEST_COLUMNS, min(width, _longest_word(row[place] for row in cells)))
        for place, width in enumerate(widths)
    ]
    if sum(least) + _GAP * len(least) > _OUT.width:
        _print_blocks(headers, cells)
        return
    drawn = Table(box=None, padding=(0, _GAP, 0, 0), pad_edge=False, header_style="dim")
    for header, width, fewest in zip(headers, widths, least, strict=True):
        drawn.add_column(Text(header), no_wrap=width <= _KEPT_WHOLE, min_width=fewest, overflow="fold")
    for row in cells:
        drawn.add_row(*row)
    for segments in _OUT.render_lines(drawn, _OUT.options, pad=False):
        line = Text.assemble(*((segment.text, segment.style or "") for segment in segments))
        line.rstrip()
        _OUT.print(line, soft_wrap=True)


def print_json(payload: Any) -> None:
    """Print any record as indented JSON, and nothing else, on standard output."""
    try:
        encoded = msgspec.json.format(msgspec.json.encode(payload), indent=2).decode()
    except UnicodeEncodeError:
        # File names that are not UTF-8 contain surrogates, which UTF-8 cannot express.
        encoded = json.dumps(_written_out(msgspec.to_builtins(payload)), indent=2)
    escaped = _UNSEEN.sub(lambda found: json.dumps(found[0])[1:-1], encoded)
    if not _holds(sys.stdout, escaped):
        escaped = re.sub("[^\x00-\x7f]", lambda found: json.dumps(found[0])[1:-1], escaped)
    sys.stdout.write(escaped + "\n")
    # `serve` prints its address and keeps running, so the reader must not wait for a full buffer.
    sys.stdout.flush()


def print_document(text: str) -> None:
    """Print a document: unchanged into a pipe or a file, with control characters written out on a terminal."""
    # Line ends of Windows are not worth showing as ^M.
    sys.stdout.write(visible(text.replace("\r\n", "\n"), keep="\n\t") if sys.stdout.isatty() else text)


def print_value(value: str) -> None:
    """Print one value, such as an id, on a line of its own for a program to read."""
    sys.stdout.write(visible(value) + "\n")


def announce(*parts: Cell) -> None:
    """Print a line on standard error and flush it, for a program that waits for it."""
    note(*parts, wrap=False)
    sys.stderr.flush()


@contextmanager
def progress(*, of_bytes: bool = False, quiet: bool = False) -> Iterator[Callable[[str, float, float | None], None]]:
    """Show a progress bar on standard error if it is a terminal; the bar disappears at the end.

    Parameters
    ----------
    of_bytes : bool
        Count bytes instead of steps.
    quiet : bool
        Show nothing.

    Yields
    ------
    callable
        Takes the name of the step, how much is done, and the total, which is None while unknown.
    """
    amount = DownloadColumn() if of_bytes else MofNCompleteColumn()
    bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        amount,
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=_ERR,
        transient=True,
        disable=quiet or not _ERR.is_terminal,
    )
    with bar:
        task = bar.add_task("starting", total=None)
        yield lambda doing, done, total: bar.update(task, description=visible(doing), completed=done, total=total)


def _print(console: Console, parts: Sequence[Cell], style: str, indent: int, *, wrap: bool) -> None:
    text = Text.assemble(*(_text(part) for part in parts), style=style)
    margin = Text(" " * indent)
    if not wrap:
        console.print(margin + text, soft_wrap=True)
        return
    for line in text.wrap(console, max(console.width - indent, _FEWEST_COLUMNS)):
        line.rstrip()
        console.print(margin + line, soft_wrap=True)


def _print_blocks(headers: Sequence[str], rows: Sequence[Sequence[Text]]) -> None:
    for first, *others in rows:
        _print(_OUT, [first], "bold", 0, wrap=True)
        for header, cell in zip(headers[1:], others, strict=True):
            if cell:
                _print(_OUT, [f"{header}: " if header else "", cell], "", 2, wrap=True)


def _text(part: Cell) -> Text:
    return part if isinstance(part, Text) else Text(visible(part))


def _width(cell: Text) -> int:
    return max((cell_len(line) for line in cell.plain.split("\n")), default=0)


def _longest_word(cells: Iterable[Text]) -> int:
    return max((cell_len(word) for cell in cells for word in cell.plain.split()), default=0)


def _holds(stream: TextIO, text: str) -> bool:
    try:
        text.encode(stream.encoding or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _written_out(value: Any) -> Any:
    if isinstance(value, str):
        return value if _is_unicode(value) else visible(value, keep="\n\t")
    if isinstance(value, dict):
        return {_written_out(key): _written_out(each) for key, each in value.items()}
    return [_written_out(each) for each in value] if isinstance(value, list) else value


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _substitute(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    found = error.object[error.start : error.end].translate(_SUBSTITUTES)
    return found.encode("ascii", "backslashreplace").decode("ascii"), error.end
