"""BigQuery's faults, put into ours: what is wrong, where, and what the reader can do about it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import requests.exceptions
from google.api_core import exceptions as api
from google.api_core.retry import Retry
from google.auth import exceptions as auth

from observability.errors import QueryError, StoreBusy, StoreError, StoreSchemaError, StoreUnavailable

_PERMISSION = re.compile(r"\b(bigquery\.[a-zA-Z]+\.[a-zA-Z]+)\b")
_ROLES = {
    "bigquery.jobs.create": "roles/bigquery.jobUser on the project",
    "bigquery.datasets.create": "roles/bigquery.dataOwner on the project, for `dbt-observe init`",
    "bigquery.datasets.update": "roles/bigquery.dataOwner on the dataset, for `dbt-observe init`",
    "bigquery.tables.create": "roles/bigquery.dataOwner on the dataset, for `dbt-observe init`",
    "bigquery.tables.updateData": "roles/bigquery.dataEditor on the dataset of tables",
    "bigquery.tables.getData": "roles/bigquery.dataViewer on the dataset",
}
_TRANSIENT = (
    api.TooManyRequests,
    api.InternalServerError,
    api.BadGateway,
    api.ServiceUnavailable,
    api.GatewayTimeout,
    requests.exceptions.ConnectionError,
    requests.exceptions.Timeout,
    requests.exceptions.ChunkedEncodingError,
    ConnectionError,
    TimeoutError,
    auth.TransportError,
)
TRANSIENT_REASONS = frozenset(
    {
        "backendError",
        "internalError",
        "rateLimitExceeded",
        "jobBackendError",
        "jobInternalError",
        "jobRateLimitExceeded",
        "stopped",
        "tableUnavailable",
        "timeout",
    }
)
"""Why a job fails that may well succeed the next time."""


JOB_SECONDS = 900.0
"""How long a job may take from its start to its end."""
NO_RETRY = Retry(predicate=lambda _: False)
"""For requests within something that is itself repeated."""


def is_transient(error: BaseException) -> bool:
    """Whether the same request may well succeed a little later."""
    if isinstance(error, _TRANSIENT):
        return True
    if isinstance(error, auth.GoogleAuthError):
        # a metadata server that is not there yet
        return bool(getattr(error, "retryable", False)) or any(isinstance(one, _TRANSIENT) for one in error.args)
    return bool(_reasons(error) & TRANSIENT_REASONS)


def _reasons(error: BaseException) -> set[str]:
    """What BigQuery calls it: rateLimitExceeded, quotaExceeded, …"""
    return {str(detail.get("reason")) for detail in getattr(error, "errors", None) or () if isinstance(detail, dict)}


def bounded_retry(seconds: float) -> Retry:
    """Repeat what is transient, ever more slowly, for so many seconds in all."""
    return Retry(predicate=is_transient, initial=min(1.0, seconds / 8), maximum=20.0, multiplier=2.0, timeout=seconds)


@contextmanager
def mapped(where: str) -> Iterator[None]:
    """Put what Google's libraries raise into our errors."""
    try:
        yield
    except (api.GoogleAPICallError, api.RetryError, auth.GoogleAuthError, *_TRANSIENT) as error:
        raise to_ours(error, where) from error


def to_ours(error: Exception, where: str) -> StoreError:
    """One fault of BigQuery's as one of ours."""
    if isinstance(error, api.RetryError):
        cause = error.cause
        return to_ours(cause, where) if isinstance(cause, Exception) else _unavailable(error, where)
    if isinstance(error, auth.DefaultCredentialsError | auth.RefreshError) and not is_transient(error):
        return StoreError(
            f"Google Cloud does not know who is asking: {_line(error)}",
            where=where,
            next_step="log in with `gcloud auth application-default login`, or point GOOGLE_APPLICATION_CREDENTIALS at "
            "a service account's or workload identity's configuration; `dbt-observe init --print-ddl` needs neither",
        )
    if is_transient(error):
        return _unavailable(error, where)
    for kind, told in ((api.Forbidden, _forbidden), (api.NotFound, _not_found), (api.BadRequest, _bad_request)):
        if isinstance(error, kind):
            return told(error, where)
    return StoreError(f"BigQuery refuses: {_line(error)}", where=where, next_step="see BigQuery's own words above")


def _unavailable(error: Exception, where: str) -> StoreError:
    return StoreUnavailable(
        f"BigQuery does not answer: {_line(error)}",
        where=where,
        next_step="nothing is lost: what was to be stored is kept aside and stored by the next ingest, or by "
        "`dbt-observe replay`",
    )


def _forbidden(error: Exception, where: str) -> StoreError:
    text = _line(error)
    if "quotaExceeded" in _reasons(error) or "quota exceeded" in text.lower():
        return StoreUnavailable(
            f"a BigQuery quota is used up: {text}",
            where=where,
            next_step="wait until it is renewed, or ask for more; what was to be stored is kept aside meanwhile",
        )
    named = _PERMISSION.search(text)
    permission = named[1] if named else "bigquery.tables.getData" if "permission to query table" in text else None
    role = _ROLES.get(permission or "", "the roles that docs/bigquery.md lists for this use")
    return StoreError(
        f"the permission {permission} is missing" if permission else f"BigQuery forbids it: {text}",
        where=where,
        next_step=f"grant {role}",
    )


def _not_found(error: Exception, where: str) -> StoreError:
    return StoreSchemaError(
        f"there is no such dataset or table: {_line(error)}",
        where=where,
        next_step="make the audit datasets with `dbt-observe init`; where they are in another location, name it in the "
        "store's URL: bigquery://PROJECT/DATASET?location=EU",
    )


def _bad_request(error: Exception, where: str) -> StoreError:
    text = _line(error)
    if re.search(r"Provided Schema does not match|No such field|Cannot add fields|Field .* has changed type", text):
        return StoreSchemaError(
            f"the tables are not as this version writes them: {text}",
            where=where,
            next_step="bring them up to date with `dbt-observe init`",
        )
    if "Could not serialize access" in text or "concurrent update" in text:
        return StoreBusy(
            f"another command changes the same table: {text}", where=where, next_step="try again when it is done"
        )
    return QueryError(
        f"the store does not understand the query: {text}",
        where=where,
        next_step="check the names of its columns and the types that it compares",
    )


def _line(error: BaseException) -> str:
    message = getattr(error, "message", None) or str(error) or type(error).__name__
    return " ".join(str(message).split())[:500]
