"""The SQL that failed, and which of its lines dbt's message is about."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from observability.alerts.message import error_line

_LONGEST = 20_000
"""Characters of SQL that are shown."""
_AROUND = 3
"""Lines above and below the one that is marked."""
_FEW = 4
"""A name that stands in more lines than these points at none."""
_POINTED = re.compile(r"^[ \t]*LINE (\d{1,9}): ?(.*)$", re.MULTILINE)
"""As DuckDB and Postgres point: by a number, which counts what dbt wrapped around the SQL too, and the line itself."""
_QUOTED = re.compile(r"""["'`]([^"'`\n]{1,200})["'`]""")
_NAMED = re.compile(
    r"(?:Unrecognized name|Function not found|Name|invalid identifier|(?:column|Table) with name):? ([\w.$-]+)"
    r"|Unexpected (?:keyword|identifier) ([\w.$]+)"
)
"""As BigQuery names what it does not know; it gives a number as well, of which only dbt knows where it counts from."""
_HINT = re.compile(r"[;.!?]?\s*(?:Did you mean|Candidate|HINT)\b", re.IGNORECASE)


@dataclass(frozen=True)
class SqlLine:
    """A line, counted from 1."""

    number: int
    text: str
    is_marked: bool


@dataclass(frozen=True)
class Sql:
    """Compiled SQL, as much as is shown of it."""

    lines: tuple[SqlLine, ...]
    reason: str
    """Why lines are marked; empty where none is."""
    left_out: int
    """Characters that are not shown."""

    @property
    def excerpt(self) -> tuple[SqlLine, ...]:
        """The first marked line and those around it; empty where none is marked."""
        at = next((place for place, line in enumerate(self.lines) if line.is_marked), None)
        return () if at is None else self.lines[max(at - _AROUND, 0) : at + _AROUND + 1]

    @property
    def length(self) -> int:
        """Characters that are shown."""
        return _length(line.text for line in self.lines)


def show_sql(code: str, message: str) -> Sql:
    """Compiled SQL with the lines marked that dbt's message points at, by their text or by what it names in them."""
    lines = code.replace("\r\n", "\n").rstrip().split("\n")
    marked, reason = _find(lines, message)
    begin = first = next((place for place, line in enumerate(lines) if line.strip()), 0)  # Jinja leaves empty lines
    if marked and _length(lines[first : marked[0] + 1]) > _LONGEST:  # what it is about is shown, wherever it stands
        first = max(marked[0] - _AROUND, 0)
        while first < marked[0] and _length(lines[first : marked[0] + 1]) > _LONGEST:
            first += 1
    shown, room = [], _LONGEST
    for place in range(first, len(lines)):
        text = lines[place][:room]
        shown.append(SqlLine(place + 1, text, place in marked))
        room -= len(text) + 1
        if room <= 0:
            break
    return Sql(tuple(shown), reason, max(_length(lines[begin:]) - _length(line.text for line in shown), 0))


def _length(lines: Iterable[str]) -> int:
    return sum(len(line) + 1 for line in lines)


def _find(lines: list[str], message: str) -> tuple[list[int], str]:
    """The places of the lines that a message is about, and how it says so."""
    if pointed := _POINTED.search(message):
        number, said = int(pointed[1]), pointed[2].strip().strip(".").strip()
        found = [place for place, line in enumerate(lines) if said and said in line]
        if found:
            return [min(found, key=lambda place: abs(place + 1 - number))], "dbt's message points at it"
    error = _HINT.split(error_line(message))[0]
    names = [next(filter(None, groups)) for groups in _NAMED.findall(error)] + _QUOTED.findall(error)
    for name in names:
        for part in dict.fromkeys((name, name.rpartition(".")[2])):
            word = re.compile(rf"(?<!\w){re.escape(part)}(?!\w)", re.IGNORECASE)
            found = [place for place, line in enumerate(lines) if part and word.search(line)]
            if 0 < len(found) <= _FEW:
                return found, f"dbt's message names {part}, which stands there"
    return [], ""
