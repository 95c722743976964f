"""The GoogleSQL analyzer as a judge of our SQL: Google's own, compiled to WebAssembly.

It knows names, types and signatures as BigQuery does, says in BigQuery's words what is wrong, and can evaluate a query
over rows. It is not BigQuery: MAX_BY, scripts and INFORMATION_SCHEMA are unknown to it, and so are BigQuery's limits.
"""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from observability.audit.prepared import prepare
from observability.audit.schema import TABLES, Column, ColumnType
from observability.audit.views import views

if TYPE_CHECKING:
    import pyarrow as pa
    from wasmtime import Engine, Module

    from observability.audit.build import Load

SCHEMAS = {"raw": "`test-project`.`audit_raw`", "main": "`test-project`.`audit`"}
"""What `{raw}` and `{main}` stand for in the catalogue of our tables and views."""

_VENV = Path(__file__).parents[1] / ".venv"
_EPOCH = date(1970, 1, 1)
_ERROR = re.compile(r"Code: \d+, Message: (.*)", re.DOTALL)
_VIEW = re.compile(r"\{main\}\.(\w+)")
_TABLE = re.compile(r"\{raw\}\.(\w+)")
_WITH = re.compile(r"\s*(?:--[^\n]*\n\s*)*WITH\b", re.IGNORECASE)
_PARAMETER_TYPES: dict[type, ColumnType] = {
    bool: ColumnType.BOOL,
    int: ColumnType.INT64,
    float: ColumnType.FLOAT64,
    str: ColumnType.STRING,
    datetime: ColumnType.TIMESTAMP,
    date: ColumnType.DATE,
}
# the analyzer's names for types, where they are not GoogleSQL's
_TYPE_NAMES = {"DOUBLE": "FLOAT64", "FLOAT": "FLOAT32"}
# what the analyzer can do and BigQuery cannot
_NOT_IN_BIGQUERY = (
    "AGGREGATE_FILTERING",
    "ARRAY_EQUALITY",
    "ARRAY_GREATEST_LEAST",
    "ARRAY_ORDERING",
    "BRACED_PROTO_CONSTRUCTORS",
    "DML_RETURNING",
    "EXPERIMENTAL_MODULES",
    "EXTRACT_FROM_PROTO",
    "FILTER_FIELDS",
    "FOR_UPDATE",
    "INSERT_ON_CONFLICT_CLAUSE",
    "JSON_TYPE_COMPARISON",
    "LATERAL_COLUMN_REFERENCES",
    "LATERAL_JOIN",
    "MULTILEVEL_AGGREGATION",
    "MULTILEVEL_AGGREGATION_ON_UDAS",
    "MULTIWAY_UNNEST",
    "PROTO_MAPS",
    "REPLACE_FIELDS",
    "STRUCT_POSITIONAL_ACCESSOR",
    "TIMESTAMP_NANOS",
    "TIMESTAMP_PICOS",
    "TIMESTAMP_PRECISION",
    "UNNEST_AND_FLATTEN_ARRAYS",
    "UUID_TYPE",
    "WITH_RECURSIVE_DEPTH_MODIFIER",
)
# and what both can, though it counts as unfinished there
_IN_BIGQUERY = ("CREATE_VIEWS_WITH_COLUMN_OPTIONS",)


class NotGoogleSQL(Exception):
    """What the analyzer says against a statement."""


class Analyzer:
    """The judge over a catalogue: columns by the dotted names of tables, such as `audit_raw.invocations`.

    Parameters are given with their types in GoogleSQL, such as TIMESTAMP or ARRAY<STRING>.
    """

    def __init__(self, catalogue: Mapping[str, Sequence[Column]]) -> None:
        from zetasql.wasi._pb2.zetasql.proto.simple_catalog_pb2 import SimpleCatalogProto

        self._catalogue = catalogue
        catalog = SimpleCatalogProto(name="catalogue")
        catalog.builtin_function_options.language_options.CopyFrom(_language())
        for name, columns in catalogue.items():
            *path, table = name.split(".")
            parent = catalog
            for part in path:
                parent = next((one for one in parent.catalog if one.name == part), None) or parent.catalog.add(
                    name=part
                )
            _add_table(parent, table, columns)
        service = _messages()
        request = service.RegisterCatalogRequest(simple_catalog=catalog)
        self._id = _call("RegisterCatalog", request, service.RegisterResponse).registered_id

    def check(self, sql: str, parameters: Mapping[str, str] | None = None) -> None:
        """Raise NotGoogleSQL unless the statement is one, over these tables."""
        self._analyze(sql, parameters)

    def columns(self, sql: str, parameters: Mapping[str, str] | None = None) -> list[tuple[str, str]]:
        """The names and types of what a query gives."""
        statement = self._analyze(sql, parameters).resolved_statement.resolved_query_stmt_node
        return [(one.name, _type_text(one.column.type)) for one in statement.output_column_list]

    def evaluate(
        self,
        sql: str,
        contents: "Mapping[str, pa.Table] | None" = None,
        parameters: Mapping[str, object] | None = None,
    ) -> list[dict[str, Any]]:
        """The rows of a query over these contents of tables, which it names in one pair of backticks: `raw.nodes`.

        A table that is not given is empty. As in BigQuery's answers, an array that is null is an empty one.
        """
        service = _messages()
        given = parameters or {}
        request = service.EvaluateQueryRequest(
            sql=sql, options=_options({name: _type_of(value) for name, value in given.items()})
        )
        request.simple_catalog.builtin_function_options.language_options.CopyFrom(_language())
        for name, columns in self._catalogue.items():
            # the executor finds rows at the top of the catalogue only
            _add_table(request.simple_catalog, name, columns)
            _fill(request.table_content[name].table_data, columns, (contents or {}).get(name))
        for name, value in given.items():
            _encode(value, request.params.add(name=name).value)
        response = _call("EvaluateQuery", request, service.EvaluateQueryResponse)
        found = [(column.name, column.type) for column in response.prepared.columns]
        return [
            {name: _decode(cell, kind) for cell, (name, kind) in zip(row.cell, found, strict=True)}
            for row in response.content.table_data.row
        ]

    def _analyze(self, sql: str, parameters: Mapping[str, str] | None) -> Any:
        service = _messages()
        request = service.AnalyzeRequest(
            sql_statement=sql, registered_catalog_id=self._id, options=_options(parameters or {})
        )
        return _call("Analyze", request, service.AnalyzeResponse)


def our_catalogue() -> dict[str, tuple[Column, ...]]:
    """Our tables, and our views as they are declared, so that each is judged against what it says it reads."""
    raw, main = (schema.replace("`", "") for schema in (SCHEMAS["raw"], SCHEMAS["main"]))
    tables = {f"{raw}.{table.name}": table.columns for table in TABLES.values()}
    return tables | {f"{main}.{view.name}": view.columns for view in views()}


def tables_catalogue() -> dict[str, tuple[Column, ...]]:
    """Our tables as `over_tables` names them."""
    return {f"raw.{table.name}": table.columns for table in TABLES.values()}


def over_tables(sql: str) -> str:
    """A query over `{raw}.…` and `{main}.…` as one over the tables alone: each view that it reads stands before it.

    The views look at the parameter @now in place of the clock.
    """
    wanted = set(_VIEW.findall(sql))
    before = []
    for view in reversed(views()):
        if view.name in wanted:
            wanted |= view.reads
            before.append(f"view_{view.name} AS (\n{view.sql(raw='{raw}', main='{main}', now='@now')}\n)")
    if before:
        opening = _WITH.match(sql)
        rest = ",\n" + sql[opening.end() :] if opening else f"\n{sql}"
        sql = "WITH\n" + ",\n".join(reversed(before)) + rest
    return _TABLE.sub(r"`raw.\1`", _VIEW.sub(r"view_\1", sql))


class _Wasm:
    """The module's functions: bytes in, bytes out."""

    def __init__(self) -> None:
        from wasmtime import Config, Engine, Linker, Store, WasiConfig
        from zetasql.core.wasm_client import get_tzinfo_dir

        config = Config()
        config.shared_memory = True
        engine = Engine(config)
        wasi = WasiConfig()
        wasi.inherit_stderr()
        wasi.preopen_dir(get_tzinfo_dir(), "/usr/share/zoneinfo")
        self._store = Store(engine)
        self._store.set_wasi(wasi)
        linker = Linker(engine)
        linker.define_wasi()
        self._exports: Any = linker.instantiate(self._store, _module(engine)).exports(self._store)
        self._run("_initialize")

    def call(self, name: str, request: bytes) -> bytes:
        """Raises NotGoogleSQL where the analyzer refuses."""
        given, size = self._run("wasm_malloc", len(request)), self._run("wasm_malloc", 4)
        try:
            self._memory(given, len(request))[:] = request
            answer = self._run(f"ZetaSqlLocalService_{name}", given, len(request), size)
            if not answer:
                length = self._run("wasm_get_last_error_size")
                told = bytes(self._memory(self._run("wasm_get_last_error"), length)).decode()
                matched = _ERROR.match(told)
                raise NotGoogleSQL(matched[1] if matched else told)
            length = int.from_bytes(bytes(self._memory(size, 4)), "little")
            response = bytes(self._memory(answer, length))
            self._run("wasm_free", answer)
            return response
        finally:
            self._run("wasm_free", given)
            self._run("wasm_free", size)

    def _run(self, name: str, *arguments: int) -> Any:
        return self._exports[name](self._store, *arguments)

    def _memory(self, start: int, length: int) -> Any:
        import ctypes

        # an address in the upper half comes as a negative number
        address = ctypes.addressof(self._exports["memory"].data_ptr().contents) + start % 2**32
        return (ctypes.c_char * length).from_address(address)


def _module(engine: "Engine") -> "Module":
    """The module, compiled once a machine: that takes a quarter of a minute."""
    from wasmtime import Module, WasmtimeError
    from zetasql.wasi import get_wasm_path

    _VENV.mkdir(exist_ok=True)
    compiled = _VENV / f"zetasql-{version('zetasql')}-wasmtime-{version('wasmtime')}.cwasm"
    with FileLock(f"{compiled}.lock"):
        if compiled.exists():
            with suppress(WasmtimeError):  # compiled on another kind of machine
                return Module.deserialize_file(engine, str(compiled))
        module = Module.from_file(engine, get_wasm_path())
        partial = compiled.with_suffix(".partial")
        partial.write_bytes(module.serialize())
        partial.replace(compiled)
        return module


class AnalyzerEngine:
    """The executor as an engine of stories: loads as a store would hold them, and a query over the views."""

    reorders = False

    def __init__(self, analyzer: Analyzer) -> None:
        self._analyzer = analyzer

    def ask(self, loads: "Sequence[Load]", sql: str, now: datetime | None) -> list[dict[str, Any]]:
        """The rows of a query over `{main}.…` as of a moment, or by the clock."""
        import pyarrow as pa

        known: set[str] = set()
        parts: dict[str, list[pa.Table]] = {}
        for load in loads:
            prepared = prepare(load, known)
            written, _ = prepared.to_write(known)
            known |= set(prepared.states.values())
            for name, rows in written.items():
                parts.setdefault(f"raw.{name}", []).append(rows)
        contents = {name: pa.concat_tables(rows) for name, rows in parts.items()}
        query = over_tables(sql)
        return self._analyzer.evaluate(query, contents, {"now": now or datetime.now(UTC)} if "@now" in query else {})


@cache
def _wasm() -> _Wasm:
    return _Wasm()


def _call(name: str, request: Any, response_type: Any) -> Any:
    return response_type.FromString(_wasm().call(name, request.SerializeToString()))


def _messages() -> Any:
    from zetasql.wasi._pb2.zetasql.local_service import local_service_pb2

    return local_service_pb2


@cache
def _language() -> Any:
    """What the analyzer can, as far as BigQuery can it too."""
    from zetasql.wasi._pb2.zetasql.proto.options_pb2 import LanguageOptionsProto
    from zetasql.wasi._pb2.zetasql.public import options_pb2

    request = _messages().LanguageOptionsRequest(maximum_features=True)
    language = _call("GetLanguageOptions", request, LanguageOptionsProto)
    language.product_mode = options_pb2.PRODUCT_EXTERNAL
    off, on = ({getattr(options_pb2, f"FEATURE_{name}") for name in one} for one in (_NOT_IN_BIGQUERY, _IN_BIGQUERY))
    enabled = sorted({*language.enabled_language_features} - off | on)
    for field in ("enabled_language_features", "supported_statement_kinds", "reserved_keywords"):
        language.ClearField(field)  # no kinds are all kinds; QUALIFY alone is understood where it is reserved, only
    language.enabled_language_features.extend(enabled)
    return language


def _options(parameters: Mapping[str, str]) -> Any:
    from zetasql.wasi._pb2.zetasql.proto.options_pb2 import AnalyzerOptionsProto
    from zetasql.wasi._pb2.zetasql.public import options_pb2

    options = AnalyzerOptionsProto(
        language_options=_language(),
        default_timezone="UTC",
        error_message_mode=options_pb2.ERROR_MESSAGE_ONE_LINE,
    )
    for name, kind in parameters.items():
        element = kind.removeprefix("ARRAY<").removesuffix(">")
        parameter = Column(name, ColumnType(element), "", repeated=element != kind)
        _put_type(parameter, options.query_parameters.add(name=name).type)
    return options


def _type_of(value: object) -> str:
    """A parameter's type in GoogleSQL."""
    if isinstance(value, list):
        (element,) = {_type_of(one) for one in value} or {"STRING"}
        return f"ARRAY<{element}>"
    return _PARAMETER_TYPES[type(value)]


def _add_table(catalog: Any, name: str, columns: Sequence[Column]) -> None:
    table = catalog.table.add(name=name)
    for column in columns:
        _put_type(column, table.column.add(name=column.name).type)


def _put_type(column: Column, into: Any) -> None:
    from zetasql.wasi._pb2.zetasql.public import type_pb2

    if column.repeated:
        into.type_kind = type_pb2.TYPE_ARRAY
        into = into.array_type.element_type
    kinds = {ColumnType.FLOAT64: "DOUBLE", ColumnType.JSON: "STRING"}
    into.type_kind = getattr(type_pb2, f"TYPE_{kinds.get(column.type, column.type)}")
    for field in column.fields:
        _put_type(field, into.struct_type.field.add(field_name=field.name).field_type)


def _type_text(kind: Any) -> str:
    from zetasql.wasi._pb2.zetasql.public import type_pb2

    if kind.type_kind == type_pb2.TYPE_ARRAY:
        return f"ARRAY<{_type_text(kind.array_type.element_type)}>"
    if kind.type_kind == type_pb2.TYPE_STRUCT:
        fields = (f"{field.field_name} {_type_text(field.field_type)}" for field in kind.struct_type.field)
        return f"STRUCT<{', '.join(fields)}>"
    name: str = type_pb2.TypeKind.Name(kind.type_kind).removeprefix("TYPE_")
    return _TYPE_NAMES.get(name, name)


def _fill(data: Any, columns: Sequence[Column], rows: "pa.Table | None") -> None:
    data.SetInParent()
    for row in rows.to_pylist() if rows is not None else ():
        cells = data.row.add().cell
        for column in columns:
            value = row.get(column.name)
            _encode([] if value is None and column.repeated else value, cells.add())


def _encode(value: Any, into: Any) -> None:
    """A value as the executor takes it; one that is not set is null."""
    if isinstance(value, list):
        into.array_value.SetInParent()
        for one in value:
            _encode(one, into.array_value.element.add())
    elif isinstance(value, dict):
        into.struct_value.SetInParent()
        for one in value.values():
            _encode(one, into.struct_value.field.add())
    elif isinstance(value, datetime):
        into.timestamp_value.FromDatetime(value)
    elif isinstance(value, date):
        into.date_value = (value - _EPOCH).days
    elif value is not None:
        names = {bool: "bool_value", int: "int64_value", float: "double_value", str: "string_value"}
        setattr(into, names[type(value)], value)


def _decode(value: Any, kind: Any) -> Any:
    which = value.WhichOneof("value")
    text = _type_text(kind)
    if text.startswith("ARRAY"):
        return [_decode(one, kind.array_type.element_type) for one in value.array_value.element]
    if which is None:
        return None
    if text.startswith("STRUCT"):
        fields = kind.struct_type.field
        return {
            field.field_name: _decode(one, field.field_type)
            for field, one in zip(fields, value.struct_value.field, strict=True)
        }
    if text == "TIMESTAMP":
        return value.timestamp_value.ToDatetime(UTC)
    if text == "DATE":
        return _EPOCH + timedelta(days=value.date_value)
    return getattr(value, which)
