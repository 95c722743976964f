"""Every error that this package raises on purpose.

    ObserveError                 what, where, what next; exit code 2
    ├── ConfigError              a setting is unknown, malformed or contradictory
    ├── ArtifactError            a file of dbt's cannot be used
    │   ├── UnreadableArtifact   not JSON, truncated, or not the shape that its version promises
    │   └── UnsupportedArtifact  a version that we do not read (unstamped files from before dbt 0.19, say)
    ├── ObjectStoreError         a bucket gives or takes not what was asked: absent, forbidden, out of reach
    ├── CommandError             the command that we were to run cannot be run
    │   └── NotStartedError      it is not there, or not executable (in runner; carries the record of the attempt)
    ├── TellingError             nothing can be told where it should be
    ├── ReportError              a page cannot be written where it should be
    └── StoreError               the audit store cannot be used
        ├── QueryError           a question that the store does not understand
        ├── StoreUnavailable     it does not answer; what was to be stored is kept aside
        │   └── StoreBusy        another process holds it for longer than we wait
        └── StoreSchemaError     its tables were made by a version that we cannot write to

Whoever catches `ObserveError` catches all of them; nothing below is ever raised by itself for a fault of ours.
"""


class ObserveError(Exception):
    """An error told in three parts.

    what: the fault in one sentence; where: the file, table or setting; next_step: what the reader can do about it.
    """

    def __init__(self, what: str, *, where: str = "", next_step: str = "") -> None:
        self.what = what
        self.where = where
        self.next_step = next_step
        super().__init__(what, where, next_step)

    def __str__(self) -> str:
        lines = [self.what]
        if self.where:
            lines.append(f"  where: {self.where}")
        if self.next_step:
            lines.append(f"  next:  {self.next_step}")
        return "\n".join(lines)


class ConfigError(ObserveError):
    """A setting is unknown, malformed or contradictory."""


class ArtifactError(ObserveError):
    """A file of dbt's cannot be used."""


class UnreadableArtifact(ArtifactError):
    """Not JSON, truncated, or not the shape that its version promises."""


class UnsupportedArtifact(ArtifactError):
    """A version that is not read."""


class ObjectStoreError(ObserveError):
    """An object store does not give or take what was asked: it is absent, forbidden or out of reach."""


class TellingError(ObserveError):
    """Nothing can be told where it should be."""


class ReportError(ObserveError):
    """A page cannot be written where it should be."""


class CommandError(ObserveError):
    """The command that was to be run cannot be run."""


class StoreError(ObserveError):
    """The audit store cannot be used."""


class QueryError(StoreError):
    """A question that the store does not understand."""


class StoreUnavailable(StoreError):
    """The store does not answer, or not now; a repeat may well succeed."""


class StoreBusy(StoreUnavailable):
    """Another process holds the store for longer than we wait."""


class StoreSchemaError(StoreError):
    """The store's tables were made by a version that cannot be written to."""
