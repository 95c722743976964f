"""The SQL that failed, and the lines in it that dbt's message is about."""

import pytest

from observability.report.sql import show_sql

SQL = """with orders as (
    select * from raw.orders
)
select
    order_id,
    cast(discount as numeric) as discount_usd
from orders
where discount_usd > 0
"""


def marked(message: str, code: str = SQL) -> list[tuple[int, str]]:
    return [(line.number, line.text.strip()) for line in show_sql(code, message).lines if line.is_marked]


DISCOUNT = [(6, "cast(discount as numeric) as discount_usd")]


@pytest.mark.parametrize(
    ("message", "lines"),
    [
        pytest.param(
            "Runtime Error in model stg_promos (models/stg_promos.sql)\n"
            '  Binder Error: Referenced column "discount" not found in FROM clause!\n'
            '  Candidate bindings: "order_id", "status"\n\n'
            "  LINE 9:     cast(discount as numeric) as discount_usd\n"
            "                   ^",
            DISCOUNT,
            id="DuckDB points, and counts what dbt wrapped around it",
        ),
        pytest.param(
            'Database Error in model a (a.sql)\n  column "discount" does not exist\n'
            "  LINE 12:     cast(discount as numeric) as discount_usd\n               ^\n"
            '  HINT:  Perhaps you meant to reference the column "orders.order_id".',
            DISCOUNT,
            id="Postgres points",
        ),
        pytest.param(
            "Runtime Error in model a (a.sql)\n  Parser Error: syntax error\n\n  LINE 9: ...(discount as numeric)...",
            DISCOUNT,
            id="a line that is cut at both ends",
        ),
        pytest.param(
            "Database Error in model a (a.sql)\n  Unrecognized name: discount; Did you mean order_id? at [17:10]",
            DISCOUNT,
            id="BigQuery names it",
        ),
        pytest.param(
            "Database Error in model a (a.sql)\n  Name discount not found inside orders at [17:10]",
            DISCOUNT,
            id="inside",
        ),
        pytest.param(
            "Database Error in model a (a.sql)\n  000904 (42000): SQL compilation error: error line 6 at position 9\n"
            "  invalid identifier 'DISCOUNT'",
            [],
            id="Snowflake names it in its second line",
        ),
        pytest.param(
            'Runtime Error in model a (a.sql)\n  Catalog Error: Table with name "raw.orders" does not exist!\n'
            '  Did you mean "cast"?',
            [(2, "select * from raw.orders")],
            id="a relation",
        ),
        pytest.param("Database Error in model a\n  Query timed out", [], id="nothing is named"),
        pytest.param("Got 3 results, configured to fail if != 0", [], id="a test"),
        pytest.param('Database Error in model a\n  column "nowhere" is missing', [], id="what is named is not there"),
        pytest.param("Error in model a\n  LINE 3: something that dbt wrapped around it", [], id="another line"),
        pytest.param("", [], id="no message"),
    ],
)
def test_the_line_that_a_message_is_about_is_marked(message: str, lines: list[tuple[int, str]]) -> None:
    assert marked(message) == lines


def test_of_lines_that_are_alike_the_nearest_is_marked() -> None:
    code = "\n".join(["select 1 as a", "union all"] * 20)
    assert marked("Error in model a\n  LINE 22: select 1 as a", code) == [(21, "select 1 as a")]


def test_empty_lines_before_it_are_counted_and_not_shown() -> None:
    sql = show_sql("\n  \n\n" + SQL, 'Error in model a\n  column "discount" is not there')
    assert (sql.lines[0].number, sql.lines[0].text, sql.left_out) == (4, "with orders as (", 0)
    assert [line.number for line in sql.lines if line.is_marked] == [9]


def test_a_name_that_stands_everywhere_marks_nothing() -> None:
    assert marked('Error in model a\n  column "a" is ambiguous', "\n".join(["a,"] * 5)) == []
    assert len(marked('Error in model a\n  column "a" is ambiguous', "\n".join(["a,"] * 4))) == 4


def test_the_excerpt_is_what_stands_around_it() -> None:
    sql = show_sql(SQL, 'Error in model a\n  column "discount" is not there')
    assert [line.number for line in sql.excerpt] == [3, 4, 5, 6, 7, 8]
    assert sql.reason == "dbt's message names discount, which stands there"
    assert show_sql(SQL, "").excerpt == ()


def test_long_sql_is_cut_and_says_by_how_much() -> None:
    sql = show_sql("x" * 25_000, "")
    assert (sql.length, sql.left_out) == (20_001, 5_000)
    lines = [f"select {number} as column_{number}," for number in range(5_000)]
    sql = show_sql("\n".join(lines), 'Error in model a\n  column "column_4321" is not there')
    assert [line.number for line in sql.excerpt] == [4319, 4320, 4321, 4322, 4323, 4324, 4325]
    assert sql.length <= 20_001
    assert sql.length + sql.left_out == len("\n".join(lines)) + 1


def test_a_line_that_is_pointed_at_is_shown_however_long_those_above_it_are() -> None:
    lines = [*["y" * 15_000] * 5, "select discount"]
    sql = show_sql("\n".join(lines), 'Error in model a\n  column "discount" is not there')
    assert [(line.number, len(line.text), line.is_marked) for line in sql.excerpt] == [
        (5, 15_000, False),
        (6, 15, True),
    ]
    assert sql.length + sql.left_out == len("\n".join(lines)) + 1
    lines[-1] = "select discount" + "x" * 30_000
    (shown,) = show_sql("\n".join(lines), "Error in model a\n  LINE 6: select discountxx...").excerpt
    assert (shown.number, len(shown.text), shown.is_marked) == (6, 20_000, True)


def test_a_line_number_beyond_all_numbers_points_at_nothing() -> None:
    assert marked(f"Error in model a\n  LINE {'9' * 5_000}: select 1") == []


def test_lines_that_end_as_on_windows_are_lines_as_any() -> None:
    windows = SQL.replace("\n", "\r\n")
    message = "Error in model a\r\n  LINE 9:     cast(discount as numeric) as discount_usd\r\n"
    assert show_sql(windows, message) == show_sql(SQL, message)
    assert marked(message, windows) == DISCOUNT


def test_an_enormous_message_takes_no_time_to_speak_of() -> None:
    assert marked("Error in model a\n" + "\n" * 500_000 + "'" * 500_000 + '"' * 500_000) == []
