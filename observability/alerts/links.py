"""Links below a message: from what an incident holds, and from templates in the settings."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import quote

from observability.alerts.incidents import Incident
from observability.errors import ConfigError

if TYPE_CHECKING:
    from jinja2 import Template

Link = tuple[str, str]
"""A label and a URL."""
_LONGEST = 2_000
_MEANINGFUL = ":/?#[]@!$&()*+,;=%-._~"

VARIABLES = (
    "command",
    "dag_id",
    "dag_run_id",
    "environment",
    "failures_table",
    "incident_id",
    "invocation_id",
    "job_location",
    "job_project",
    "kind",
    "log_url",
    "map_index",
    "name",
    "original_file_path",
    "project_name",
    "query_id",
    "resource_type",
    "run_date",
    "severity",
    "subject",
    "task_id",
    "try_number",
    "unique_id",
)
"""What a template may speak of. Where one of those that it uses is not known, the link is left out."""


@dataclass(frozen=True)
class Links:
    """The links of the settings: labels and Jinja2 templates; `pages` is where the triage pages are, if anywhere."""

    templates: Mapping[str, str]
    pages: str | None = None

    def check(self) -> None:
        """Raise ConfigError for a template that cannot be used."""
        _ = self._compiled

    def of(self, incident: Incident) -> tuple[Link, ...]:
        """The links that can be made for an incident; those of the settings last, or in place of ours."""
        known = {name: value for name, value in _facts(incident).items() if value is not None}
        runbook = incident.declared.observe.runbook
        made = {
            "Triage page": self._page(incident),
            "Log": incident.log_url,
            "DAG run": dag_run_url(incident.log_url),
            "BigQuery job": _job(incident),
            "Runbook": runbook,
        }
        for label, (template, used) in self._compiled.items():
            made[label] = _rendered(template, known) if used <= known.keys() else None
        return tuple((label, url) for label, text in made.items() if (url := as_url(text)))

    def _page(self, incident: Incident) -> str | None:
        if not (self.pages and incident.invocation_id):
            return None
        return f"{self.pages.rstrip('/')}/{quote(incident.invocation_id, safe='')}.html"

    @cached_property
    def _compiled(self) -> "dict[str, tuple[Template, frozenset[str]]]":
        if not self.templates:
            return {}
        from jinja2 import StrictUndefined, TemplateError, meta
        from jinja2.sandbox import ImmutableSandboxedEnvironment

        environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined)
        made = {}
        for label, text in self.templates.items():
            where = f'slack.links."{label}"'
            try:
                used = frozenset(meta.find_undeclared_variables(environment.parse(text)))
                template = environment.from_string(text)
                if unknown := sorted(used - set(VARIABLES)):
                    raise ConfigError(
                        f"the link {label!r} speaks of {', '.join(unknown)}, which is not known",
                        where=where,
                        next_step=f"there are: {', '.join(VARIABLES)}",
                    )
                url = template.render(dict.fromkeys(VARIABLES, "x"))
            except (TemplateError, ArithmeticError, LookupError, TypeError, ValueError) as error:
                raise ConfigError(
                    f"the link {label!r} is no template that can be used: {error}",
                    where=where,
                    next_step="write it as https://example.com/{{ unique_id | urlencode }}",
                ) from error
            if not as_url(url):
                raise ConfigError(
                    f"the link {label!r} gives no URL, but {url[:80]!r}",
                    where=where,
                    next_step="begin it with https:// and put values into it as {{ unique_id | urlencode }}",
                )
            made[label] = template, used
        return made


def dag_run_url(log_url: str | None) -> str | None:
    """The run that a task's log belongs to, as Airflow's own URLs have it."""
    run, _, task = (log_url or "").partition("/tasks/")
    return run if task and "/dags/" in run and "/runs/" in run else None


def as_url(text: str | None) -> str | None:
    """A text as a URL that people may follow, what has a meaning elsewhere percent-encoded; None where it is none."""
    url = quote(text or "", safe=_MEANINGFUL)
    return url if url.startswith(("https://", "http://")) and len(url) <= _LONGEST else None


def _rendered(template: "Template", known: Mapping[str, object]) -> str | None:
    try:
        return template.render(known)
    except (ArithmeticError, LookupError, TypeError, ValueError):
        return None  # it was tried with texts; a number may not suit it


def _facts(incident: Incident) -> dict[str, object]:
    worst = incident.failures[0] if incident.failures else None
    return {
        "command": incident.command,
        "dag_id": incident.dag_id,
        "dag_run_id": incident.dag_run_id,
        "environment": incident.environment,
        "failures_table": incident.warehouse.failures_table,
        "incident_id": incident.id,
        "invocation_id": incident.invocation_id,
        "job_location": incident.warehouse.job_location,
        "job_project": incident.warehouse.job_project,
        "kind": incident.kind.value,
        "log_url": incident.log_url,
        "map_index": incident.map_index,
        "name": incident.name,
        "original_file_path": worst.original_file_path if worst else None,
        "project_name": incident.project_name,
        "query_id": incident.warehouse.query_id,
        "resource_type": incident.resource_type,
        "run_date": f"{incident.seen_at:%Y-%m-%d}",
        "severity": incident.severity.value,
        "subject": incident.subject,
        "task_id": incident.task_id,
        "try_number": incident.try_number,
        "unique_id": worst.unique_id if worst else incident.subject,
    }


def _job(incident: Incident) -> str | None:
    """The page of BigQuery's console for a job."""
    job = incident.warehouse
    if not (job.query_id and job.job_project and job.job_location):
        return None
    project, location, name = (quote(part, safe="") for part in (job.job_project, job.job_location, job.query_id))
    return f"https://console.cloud.google.com/bigquery?project={project}&j=bq:{location}:{name}&page=queryresults"
