"""A lint of our GoogleSQL: what the engines answer differently, and what depends on the order in which rows come.

Each rule was measured on DuckDB (through sqlglot) against the GoogleSQL analyzer's own executor, or follows from the
promise that the same facts give the same answer whatever the order in which they were loaded.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import cache

import sqlglot
from sqlglot import exp

BANNED: dict[type[exp.Expr], str] = {
    exp.TimestampDiff: "DuckDB counts the boundaries that lie between, GoogleSQL whole units: use UNIX_MICROS",
    exp.DatetimeDiff: "DuckDB counts the boundaries that lie between, GoogleSQL whole units: use UNIX_MICROS",
    exp.TimeDiff: "DuckDB counts the boundaries that lie between, GoogleSQL whole units: use UNIX_MICROS",
    exp.CurrentDate: "the moment as of which is asked is {now}",
    exp.CurrentDatetime: "the moment as of which is asked is {now}",
    exp.CurrentTime: "the moment as of which is asked is {now}",
    exp.CurrentTimestamp: "the moment as of which is asked is {now}",
    exp.TimeToStr: "the engines' formats differ (%e): text is for who shows it",
    exp.Format: "sqlglot drops its arguments",
    exp.Extract: "the days and weeks of DuckDB have other numbers, and a timestamp's parts follow its session's zone",
    exp.Trim: "GoogleSQL trims all white space, DuckDB only spaces",
    exp.ApproxQuantiles: "sqlglot makes other quantiles of it, and it is approximate",
    exp.ApproxDistinct: "an approximation is another one on each engine",
    exp.ApproxTopK: "an approximation is another one on each engine",
    exp.SafeDivide: "divide by NULLIF(…, 0)",
    exp.Rand: "a view is a function of the facts",
    exp.Uuid: "a view is a function of the facts",
}
_ORDERED_WINDOWS = (
    exp.RowNumber,
    exp.FirstValue,
    exp.LastValue,
    exp.NthValue,
    exp.Lag,
    exp.Lead,
    exp.Rank,
    exp.DenseRank,
    exp.Ntile,
    exp.PercentRank,
    exp.CumeDist,
)
_NAMES = {"GROUP_CONCAT": "STRING_AGG", "TIME_TO_STR": "FORMAT_*", "TIMESTAMPDIFF": "TIMESTAMP_DIFF"}
_NO_ROW_OF_ITS_OWN = (("end_side", "PRECEDING"), ("start_side", "FOLLOWING"))


def lint(sql: str) -> list[str]:
    """What is wrong with a query over `raw.…` and `main.…`, one line a finding."""
    tree = sqlglot.parse_one(sql, read="bigquery")
    return sorted({finding for rule in _RULES for finding in rule(tree)})


def unbounded(sql: str, column: str = "run_date", tables: tuple[str, ...] = ("run_results", "source_freshness")) -> int:
    """How many times a query reads a table of facts without a bound on its partition that no row has a part in."""
    tree = sqlglot.parse_one(sql, read="bigquery")
    return sum(
        not _is_bounded(table, column)
        for table in tree.find_all(exp.Table)
        if table.db == "raw" and table.name in tables
    )


def table_reads(sql: str, views: Mapping[str, str]) -> int:
    """How many tables a query reads once every view and every WITH stands where it is named, as BigQuery plans it."""
    tree = sqlglot.parse_one(sql, read="bigquery")
    steps = {cte.alias: cte.this for cte in tree.find_all(exp.CTE)}

    @cache
    def reads(step: str | None) -> int:
        node = steps[step] if step else tree
        count = 0
        for table in node.find_all(exp.Table):
            if next(_named_steps(table, node), None) is None:
                count += 1 if table.db == "raw" else _of_view(table) if table.db == "main" else reads(table.name)
        return count

    def _of_view(table: exp.Table) -> int:
        return table_reads(views[table.name], views)

    return reads(None)


def _named_steps(table: exp.Expr, within: exp.Expr) -> Iterator[exp.CTE]:
    """The steps of WITH that a table lies in, within a node."""
    node = table.parent
    while node is not None and node is not within:
        if isinstance(node, exp.CTE):
            yield node
        node = node.parent


def _is_bounded(table: exp.Table, column: str) -> bool:
    select = table.find_ancestor(exp.Select)
    where = select.args.get("where") if select else None
    if where is None:
        return False
    conditions = where.this.flatten() if isinstance(where.this, exp.And) else (where.this,)
    return any(
        isinstance(one, exp.GT | exp.GTE | exp.EQ)
        and isinstance(one.this, exp.Column)
        and (one.this.table, one.this.name) == (table.alias_or_name, column)
        and not one.expression.find(exp.Column)
        for one in conditions
    )


def name_of(function: exp.Expr | type[exp.Expr]) -> str:
    """A function's name, as GoogleSQL has it where the two differ."""
    name = str(function.sql_name())  # type: ignore[union-attr]
    return _NAMES.get(name, name)


def _banned(tree: exp.Expr) -> Iterator[str]:
    for node in tree.find_all(*BANNED):
        yield f"{name_of(node)}: {BANNED[type(node)]}"


def _any_value(tree: exp.Expr) -> Iterator[str]:
    for node in tree.find_all(exp.AnyValue):
        if not isinstance(node.this, exp.HavingMax):
            yield "ANY_VALUE: which one, the engine chooses: say HAVING MAX, or MAX"


def _unordered_aggregates(tree: exp.Expr) -> Iterator[str]:
    for node in tree.find_all(exp.ArrayAgg, exp.GroupConcat):
        window = _window(node)
        is_ordered = isinstance(node.this, exp.Order) or (
            isinstance(node.this, exp.Limit) and node.this.find(exp.Order)
        )
        if not (is_ordered or (window and _clause(window, "order"))):
            yield f"{name_of(node)} without ORDER BY: its elements come in any order"


def _unordered_windows(tree: exp.Expr) -> Iterator[str]:
    for window in tree.find_all(exp.Window):
        function = window.this
        while isinstance(function, exp.IgnoreNulls | exp.RespectNulls):
            function = function.this
        if isinstance(function, _ORDERED_WINDOWS) and _clause(window, "order") is None:
            yield f"{name_of(function)} without ORDER BY: which row comes first, the engine chooses"


def _load_time(tree: exp.Expr) -> Iterator[str]:
    for node in tree.find_all(exp.Ordered):
        if any(column.name == "loaded_at" for column in node.find_all(exp.Column)):
            yield "ORDER BY loaded_at: another order of loading would be another answer"


def _stars(tree: exp.Expr) -> Iterator[str]:
    for select in tree.find_all(exp.Select):
        read = [select.args.get("from_"), *select.args.get("joins", [])]
        tables = [one.this for one in read if one and isinstance(one.this, exp.Table)]
        raw = {table.alias_or_name for table in tables if table.db == "raw"}
        for one in select.expressions:
            if raw and (isinstance(one, exp.Star) or (one.is_star and getattr(one, "table", "") in raw)):
                yield "SELECT * from a raw table: it may have columns that a later version added"


def _countif(tree: exp.Expr) -> Iterator[str]:
    for node in tree.find_all(exp.CountIf):
        window = _window(node)
        if not isinstance((window or node).parent, exp.Cast):
            yield "COUNTIF without CAST: DuckDB's is a HUGEINT"
        if _may_be_empty(node, window) and not node.find_ancestor(exp.Coalesce):
            yield "COUNTIF over no rows is NULL on DuckDB and 0 in GoogleSQL: use COUNT(IF(…, 1, NULL))"


def _may_be_empty(node: exp.CountIf, window: exp.Window | None) -> bool:
    if window:
        spec = _clause(window, "spec")
        return spec is not None and any(spec.args.get(side) == where for side, where in _NO_ROW_OF_ITS_OWN)
    select = node.find_ancestor(exp.Select)
    return select is not None and not select.args.get("group")


def _divisors(tree: exp.Expr) -> Iterator[str]:
    for node in tree.find_all(exp.Div):
        divisor = node.expression.unnest()
        is_number = isinstance(divisor, exp.Literal) and float(divisor.name) != 0
        if not (is_number or isinstance(divisor, exp.Nullif)):
            yield f"/ {divisor.sql('bigquery')}: by 0 it is an error in GoogleSQL and infinite on DuckDB: use NULLIF"


def _substrings(tree: exp.Expr) -> Iterator[str]:
    for node in tree.find_all(exp.Substring):
        start = node.args.get("start")
        if isinstance(start, exp.Literal) and start.name == "0":
            yield "SUBSTR from 0: the first character is 1, and DuckDB counts one before it"


def _window(node: exp.Expr) -> exp.Window | None:
    """The window that a function is called over."""
    parent = node.parent
    while isinstance(parent, exp.IgnoreNulls | exp.RespectNulls):
        parent = parent.parent
    return parent if isinstance(parent, exp.Window) else None


def _clause(window: exp.Expr, name: str) -> exp.Expr | None:
    """A window's ORDER BY or frame: its own, else that of the one in the WINDOW clause that it names."""
    own: exp.Expr | None = window.args.get(name)
    select = window.find_ancestor(exp.Select)
    if own is not None or select is None:
        return own
    named = [one for one in select.args.get("windows") or () if one.this.name == window.alias]
    return _clause(named[0], name) if named else None


_RULES: tuple[Callable[[exp.Expr], Iterator[str]], ...] = (
    _banned,
    _any_value,
    _unordered_aggregates,
    _unordered_windows,
    _load_time,
    _stars,
    _countif,
    _divisors,
    _substrings,
)
