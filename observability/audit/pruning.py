"""Which rows may go: what never was committed, and what is past retention. GoogleSQL over `{raw}`, each table as `t`.

Kept whatever its age: what opened an incident that is still open, and the project states that a kept invocation names.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta

ORPHAN_AGE = timedelta(hours=48)
"""Twice as old as a load may be when it is committed: rows of this age without a commit never get one."""

OPEN_NODES = """
SELECT unique_id, CAST(DATE_SUB(MIN(DATE(i.opened_at)), INTERVAL 2 DAY) AS DATE) AS opened_on
FROM {main}.incidents AS i
CROSS JOIN UNNEST(i.failed_nodes) AS unique_id
WHERE i.state IN ('open', 'fixed')
GROUP BY unique_id
ORDER BY unique_id
"""
"""What incidents that are not over rest on: the rows that tell since when are kept.

Rows lie at the day on which their step began, which may be earlier than that on which a node of it failed.
"""

_ORPHAN = "(t.loaded_at < @orphans AND t.load_id NOT IN (SELECT i.load_id FROM {raw}.invocations AS i))"
_OLD_FACT = "(t.run_date < @cutoff AND NOT (t.run_date >= @opened AND t.unique_id IN UNNEST(@open_nodes)))"
_KEPT = """
    SELECT k.load_id
    FROM {raw}.invocations AS k
    WHERE k.run_date >= @cutoff
      OR (k.run_date >= @opened AND k.step IN UNNEST(@open_nodes))
      OR k.load_id IN (
        SELECT r.load_id FROM {raw}.run_results AS r
        WHERE r.run_date >= @opened AND r.unique_id IN UNNEST(@open_nodes))
      OR k.load_id IN (
        SELECT f.load_id FROM {raw}.source_freshness AS f
        WHERE f.run_date >= @opened AND f.unique_id IN UNNEST(@open_nodes))"""


def _named(state: str) -> str:
    """The project states of one kind that a kept invocation names."""
    from_kept = f"FROM {{raw}}.invocations AS n WHERE n.{state} IS NOT NULL AND n.load_id IN ({_KEPT})"
    return f"SELECT n.{state} {from_kept}"


def _old_state(state: str) -> str:
    return f"(t.loaded_at < @orphans AND t.{state} NOT IN ({_named(state)}))"


PRUNED: dict[str, str] = {
    # first: what is left when it stops half-way is then seen by nobody, and goes the next time. One that stored a
    # project state stays while that is named
    "invocations": (
        f"t.load_id NOT IN ({_KEPT})"
        " AND NOT (CAST(JSON_VALUE(t.row_counts, '$.nodes') AS INT64) > 0"
        f" AND COALESCE(t.manifest_id, '') IN ({_named('manifest_id')}))"
        " AND NOT (CAST(JSON_VALUE(t.row_counts, '$.exposure_ancestors') AS INT64) > 0"
        f" AND COALESCE(t.lineage_id, '') IN ({_named('lineage_id')}))"
    ),
    "run_results": f"{_OLD_FACT} OR {_ORPHAN}",
    "source_freshness": f"{_OLD_FACT} OR {_ORPHAN}",
    "nodes": f"{_old_state('manifest_id')} OR {_ORPHAN}",
    "exposure_ancestors": f"{_old_state('lineage_id')} OR {_ORPHAN}",
}
"""Which rows of each table may go, in the order in which they are to be removed."""


def parameters(now: datetime, keep_days: int, open_nodes: Sequence[Mapping[str, object]]) -> dict[str, object]:
    """The parameters of PRUNED; `open_nodes` are the rows of OPEN_NODES."""
    cutoff = now.date() - timedelta(days=keep_days)
    opened = [row["opened_on"] for row in open_nodes]
    return {
        "cutoff": cutoff,
        "opened": min([one for one in opened if isinstance(one, date)], default=cutoff),
        # never empty: an array without an element has no type in DuckDB
        "open_nodes": ["", *(str(row["unique_id"]) for row in open_nodes)],
        "orphans": now - ORPHAN_AGE,
    }
