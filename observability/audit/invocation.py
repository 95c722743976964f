"""The row of `invocations`: what was run, by whom, and how it ended."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import md5
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote
from uuid import NAMESPACE_URL, uuid5

import msgspec

from observability.artifacts.commands import normalise
from observability.artifacts.reader import StepRecord
from observability.artifacts.step import Step
from observability.audit.nodes import Project
from observability.audit.outcomes import step_outcome
from observability.audit.redaction import Redaction
from observability.audit.schema import Json
from observability.audit.tables import ROW_VERSION, File, Invocation
from observability.audit.values import canonical_json, clean, integer
from observability.version import __version__

_RUN_TYPES = re.compile(r"(scheduled|manual|backfill|dataset_triggered|asset_triggered|asset_materialization)__")


@dataclass(frozen=True, kw_only=True)
class BuildOptions:
    """What the loader's settings and its caller decide of a load."""

    redaction: Redaction
    environment: str | None = None
    alertable: bool = True
    compiled_code: Literal["failures", "all", "none"] = "failures"


def build_invocation(
    record: StepRecord,
    options: BuildOptions,
    project: Project | None,
    statuses: Sequence[str],
    warnings: Sequence[str],
) -> Invocation:
    """The step's own row. Its row_counts are filled in by the store, its verdict by the judge."""
    step, metadata = record.files.step, record.metadata
    redaction = options.redaction
    results = record.run_results
    args: dict[str, object] = dict(
        (results.args if results else None) or (record.events.args if record.events else None) or {}
    )
    text = record.command.text
    linkage = _linkage(step, metadata.env)
    run_type = _RUN_TYPES.match(step.dag_run_id or _variable(metadata.env, "AIRFLOW_RUN_ID") or "")
    return Invocation(
        invocation_id=metadata.invocation_id or _own_id(record),
        content_hash=record.files.content_hash(ROW_VERSION),
        row_version=ROW_VERSION,
        evidence=record.evidence,
        project_name=_project_name(record, project),
        environment=options.environment or step.environment or record.command.target or "default",
        command=record.command.name,
        step=_step(record, linkage),
        invocation_command=redaction.text(text) if text else None,
        run_type=run_type[1] if run_type else None,
        dbt_version=metadata.dbt_version,
        adapter_type=metadata.adapter_type,
        started_at=record.started_at,
        completed_at=record.completed_at,
        elapsed_seconds=_elapsed(record),
        exit_code=step.exit_code,
        outcome=step_outcome(record, statuses).value,
        error=clean(record.events.error if record.events else None),
        will_retry=step.will_retry,
        alertable=options.alertable,
        full_refresh=_flag(args.get("full_refresh"), "--full-refresh" in record.command.flags),
        empty=_flag(args.get("empty"), "--empty" in record.command.flags),
        args=canonical_json(redaction.value(args)) if args else None,
        vars=canonical_json(redaction.value(_variables(args.get("vars")))),
        env=canonical_json(redaction.value(metadata.env)) if metadata.env else None,
        git_sha=step.git_sha,
        git_branch=step.git_branch,
        **linkage,
        max_tries=step.max_tries,
        logical_date=step.logical_date,
        log_url=step.log_url,
        manifest_id=project.manifest_id if project else None,
        lineage_id=project.lineage_id if project else None,
        files=_files(record),
        conforms=None,
        conformance_error=None,
        warnings=list(warnings),
        row_counts=Json("{}"),
        loader_version=__version__,
        run_date=record.started_at.date(),
    )


def _flag(value: object, given: bool) -> bool | None:
    """An option as dbt recorded it; the event log writes options as text."""
    if isinstance(value, str) and value in {"True", "False"}:
        return value == "True"
    return value if isinstance(value, bool) else given or None


def _variables(value: object) -> object:
    """--vars as an object; dbt before 1.5 and its event log record them as text."""
    if not isinstance(value, str):
        return value or {}
    try:
        return msgspec.json.decode(value)
    except msgspec.DecodeError:
        return value


def _variable(env: Mapping[str, str | None] | None, name: str) -> str | None:
    """One of the DBT_ENV_CUSTOM_ENV_ variables."""
    return (env or {}).get(name)


def _linkage(step: Step, env: Mapping[str, str | None] | None) -> dict[str, Any]:
    """Where in Airflow this ran: as its caller said, else as dbt's environment did."""

    def number(name: str) -> int | None:
        return integer(_variable(env, name))

    return {
        "dag_id": step.dag_id or _variable(env, "AIRFLOW_DAG_ID"),
        "dag_run_id": step.dag_run_id or _variable(env, "AIRFLOW_RUN_ID"),
        "task_id": step.task_id or _variable(env, "AIRFLOW_TASK_ID"),
        "map_index": step.map_index if step.map_index is not None else number("AIRFLOW_MAP_INDEX"),
        "try_number": step.try_number if step.try_number is not None else number("AIRFLOW_TRY_NUMBER"),
    }


def _step(record: StepRecord, linkage: Mapping[str, Any]) -> str:
    """What this step has in common with the same step at another time; a retry is the command that it repeats."""
    if linkage["task_id"]:
        index = linkage["map_index"]
        mapped = f"[{index}]" if index is not None and index >= 0 else ""
        return ".".join(filter(None, (linkage["dag_id"], linkage["task_id"]))) + mapped
    command = record.command
    name = command.name
    if name == "retry" and record.run_results is not None:
        which = (record.run_results.args or {}).get("which")
        name = normalise(which) if isinstance(which, str) else name
    words = ["dbt", name or "(unknown command)"]
    for option, values in (("--select", command.select), ("--exclude", command.exclude)):
        if values:
            words += (option, *sorted(values))
    return " ".join([*words, *(("--selector", command.selector) if command.selector else ())])


def _own_id(record: StepRecord) -> str:
    """An id for a step that dbt gave none: of its place in Airflow, else of where and when it ran."""
    step = record.files.step
    if step.dag_id and step.dag_run_id and step.task_id:
        name = [step.dag_id, step.dag_run_id, step.task_id, step.map_index, step.try_number]
    else:
        place = record.files.uri or str(record.files.folder.absolute())
        name = [place, record.started_at.isoformat()]
    return str(uuid5(NAMESPACE_URL, "dbt-observability:" + ":".join(quote(str(part), safe="") for part in name)))


def _project_name(record: StepRecord, project: Project | None) -> str | None:
    """The root project. Before manifest v9 only the md5 of its name is written down; without a manifest, nothing is."""
    metadata = record.metadata
    if metadata.project_name:
        return metadata.project_name
    if project is not None:
        packages = {node.package_name for node in project.nodes.values() if node.package_name}
        stamp = record.manifest.metadata if record.manifest else None
        digest = stamp.project_id if stamp else None
        return next(
            (name for name in packages if md5(name.encode(), usedforsecurity=False).hexdigest() == digest), None
        )
    results = (*(record.run_results.results if record.run_results else ()),)
    named = {result.unique_id.split(".")[1] for result in results if result.unique_id.count(".") > 1}
    # of several packages any may be the root one
    return named.pop() if len(named) == 1 else None


def _elapsed(record: StepRecord) -> float | None:
    source = record.run_results or record.sources
    return source.elapsed_time if source else None


def _unicode(path: Path | str) -> str:
    """A path or a URI as text that every store takes: bytes that are no UTF-8 are spelled out."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _files(record: StepRecord) -> list[File]:
    files = [(name, file) for name, file in record.files.files.items()]
    if record.files.log is not None:
        files.append((record.files.log.name, record.files.log_file))
    return [
        File(
            name=name,
            uri=_unicode(file.uri or file.path.absolute()),
            sha256=file.sha256,
            bytes=file.size,
            used=name in record.used or (name == "dbt.log" and record.events is not None),
        )
        for name, file in files
    ]
