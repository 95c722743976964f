"""The table of all nodes: columns, packed, which the page unpacks."""

import base64
import gzip
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from observability.report.text import visible

if TYPE_CHECKING:
    import pyarrow as pa

OUTCOMES = ("failure", "warning", "skipped", "unknown", "ok")
"""As they are sorted: what matters first."""


@dataclass(frozen=True)
class Results:
    """Every result of a run."""

    packed: str
    """Columns as JSON, in gzip, in base64: forty thousand rows are half a megabyte."""
    count: int
    outcomes: Mapping[str, int]
    """How many ended how, in the order of OUTCOMES; those that there are."""


def pack_results(table: "pa.Table", steps: Mapping[str, str]) -> Results:
    """Pack the rows of RESULTS; `steps` gives the name of each invocation's step."""
    columns = {name: table.column(name).to_pylist() for name in table.column_names}
    outcomes = Counter(columns["outcome"])
    names = [visible(name or unique_id) for name, unique_id in zip(columns["name"], columns["unique_id"], strict=True)]
    payload: dict[str, Any] = {
        "name": names,
        "on": _index([_short(node) if node else "" for node in columns["attached_node"]]),
        "type": _index(columns["resource_type"]),
        "status": _index(columns["status"]),
        "outcome": [
            OUTCOMES.index(one) if one in OUTCOMES else OUTCOMES.index("unknown") for one in columns["outcome"]
        ],
        "ms": [None if seconds is None else round(seconds * 1000) for seconds in columns["execution_time"]],
        "rows": _sparse(columns["failures"]),
        "owner": _index([owner or "" for owner in columns["owner"]]),
        "step": _index([steps.get(one, one) for one in columns["invocation_id"]]),
        "message": _sparse([_said(message) for message in columns["message"]]),
    }
    text = json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
    packed = base64.b64encode(gzip.compress(text.encode("utf-8", "replace"), 6, mtime=0)).decode("ascii")
    return Results(packed, len(names), {name: outcomes[name] for name in OUTCOMES if outcomes[name]})


def _index(values: Sequence[str | None]) -> dict[str, Any]:
    """A column of few values: the values, and for each row the number of its."""
    known = dict.fromkeys(value or "" for value in values)
    numbers = {value: number for number, value in enumerate(known)}
    return {"values": list(map(visible, known)), "at": [numbers[value or ""] for value in values]}


def _sparse(values: Sequence[object]) -> dict[int, object]:
    return {row: value for row, value in enumerate(values) if value not in {None, 0, ""}}


def _said(message: str | None) -> str:
    """A message without the line that only says where: the row does."""
    if not message:
        return ""
    first, _, rest = message.partition("\n")
    return visible(rest.strip() if " Error in " in first and rest.strip() else message)


def _short(unique_id: str) -> str:
    return ".".join(unique_id.split(".")[2:]) or unique_id
