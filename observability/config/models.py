"""The settings, as models: what each means, its type and its default."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from observability.config.deadlines import Deadline
from observability.config.slack import FROZEN, Names, SlackSettings


class RedactionSettings(BaseModel):
    """What is taken out of dbt's environment and variables before they are stored."""

    model_config = FROZEN

    patterns: Names = Field(
        default=("token", "password", "passwd", "secret", "key", "credential", "private"),
        description="Parts of names, in any case: what a variable holds whose name contains one of them is not stored.",
    )
    allow: Names = Field(default=(), description="Names whose values are stored although a pattern matches them.")


class StorageSettings(BaseModel):
    """How much of dbt's artifacts is stored."""

    model_config = FROZEN

    compiled_code: Literal["failures", "all", "none"] = Field(
        default="failures", description="Of which results the compiled SQL is stored."
    )
    conformance_manifest_max_bytes: int = Field(
        default=20_000_000,
        ge=0,
        description="Manifests larger than this are not checked against their schema, which takes 1 s for 20 MB.",
    )


class ReportSettings(BaseModel):
    """Where triage pages are kept."""

    model_config = FROZEN

    to: str | None = Field(
        default=None,
        min_length=1,
        description="Folder or prefix (gs://…) that each load writes its triage page to, with an index.",
    )
    url: str | None = Field(
        default=None,
        pattern=r"^https?://\S+$",
        description="Where people find that folder; messages link the pages in it.",
    )


class Settings(BaseModel):
    """All settings; immutable. `load_settings` reads them from where they are set."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    store: str = Field(
        default="duckdb:///.dbt_observe/audit.duckdb", min_length=1, description="Where the audit rows are kept."
    )
    environment: str | None = Field(
        default=None,
        min_length=1,
        description="Name of the deployment, such as prod; without one, what dbt's --target says, else default.",
    )
    artifacts_dir: Path = Field(
        default=Path(".dbt_observe/artifacts"),
        description="Directory in which `dbt-observe run` gives each dbt command a fresh target path.",
    )
    artifacts_to: str | None = Field(
        default=None,
        min_length=1,
        description="Where `dbt-observe run` uploads what each dbt command leaves, such as gs://bucket/prefix.",
    )
    lock_timeout_seconds: float = Field(
        default=60.0,
        gt=0,
        allow_inf_nan=False,
        description="Seconds to wait for another process that is writing to the store.",
    )
    store_timeout_seconds: float = Field(
        default=60.0,
        gt=0,
        allow_inf_nan=False,
        description="Seconds for which a request to BigQuery is repeated while it does not answer.",
    )
    spool_dir: Path = Field(
        default=Path(".dbt_observe/spool"),
        description="Directory in which loads are kept while the store does not answer; the next ingest stores them.",
    )
    artifacts_kept: int = Field(
        default=10,
        ge=0,
        description="How many loaded steps of `dbt-observe run` keep their artifacts and event log in artifacts_dir.",
    )
    redaction: RedactionSettings = Field(default=RedactionSettings(), description="What is not stored.")
    storage: StorageSettings = Field(default=StorageSettings(), description="How much is stored.")
    deadlines: tuple[Deadline, ...] = Field(
        default=(), description="By when steps are to have run; what did not is told as overdue."
    )
    report: ReportSettings = Field(default=ReportSettings(), description="The triage page.")
    slack: SlackSettings = Field(default=SlackSettings(), description="Where incidents are told.")
