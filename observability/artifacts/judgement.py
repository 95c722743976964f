"""The schema judge's verdict: on the files that a step rests on, and in full on whatever files one asks about."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from observability.artifacts.conformance import BackgroundJudge, Deviation, Verdict, deviations, judge
from observability.artifacts.folder import ARTIFACTS, FRESHNESS, RUN_RESULTS, StepFiles, find_steps
from observability.artifacts.json_file import open_json_file, schema_of
from observability.artifacts.kinds import Artifact, parse_schema_url
from observability.artifacts.reader import StepRecord
from observability.errors import ObserveError, UnreadableArtifact, UnsupportedArtifact

_JUDGED_IN_BACKGROUND = 5_000_000
"""Size in bytes from which a process of its own costs less than waiting."""


def begin_to_judge(files: StepFiles) -> dict[str, BackgroundJudge]:
    """Large results are judged in the background, for as long as loading them takes."""
    return {
        name: BackgroundJudge(Artifact.RUN_RESULTS if name == RUN_RESULTS else Artifact.SOURCES, file.path)
        for name, file in files.files.items()
        if name in {RUN_RESULTS, FRESHNESS[0]} and file.size >= _JUDGED_IN_BACKGROUND
    }


def judge_record(record: StepRecord, judges: Mapping[str, BackgroundJudge], manifest_max_bytes: int | None) -> Verdict:
    """The schema judge's verdict on the files that a step rests on: false where any deviates, null where not judged.

    A manifest that the store knows already has been judged before: then `manifest_max_bytes` is None.
    """
    verdicts: list[tuple[str, Verdict]] = []
    for name in record.used:
        document = record.files.files[name].document
        url = _schema_of(record, name) or ""
        kind = parse_schema_url(url)
        if kind is None:
            continue
        if kind[0] is Artifact.MANIFEST:
            if manifest_max_bytes is not None:
                verdicts.append((name, judge(kind[0], document, url, max_bytes=manifest_max_bytes)))
        elif name in judges:
            verdicts.append((name, judges[name].verdict(document, url)))
        else:
            verdicts.append((name, judge(kind[0], document, url)))
    return combine(verdicts)


def _schema_of(record: StepRecord, name: str) -> str | None:
    by_name = {"manifest.json": record.manifest, "run_results.json": record.run_results}
    artifact = by_name.get(name, record.sources)
    return artifact.metadata.dbt_schema_version if artifact and artifact.metadata else None


def combine(verdicts: Sequence[tuple[str, Verdict]]) -> Verdict:
    """One verdict of several: a deviation anywhere is one; what was not judged is said."""
    told = "; ".join(f"{name}: {verdict.error}" for name, verdict in verdicts if verdict.error) or None
    judged = [verdict.conforms for _, verdict in verdicts if verdict.conforms is not None]
    if not judged:
        return Verdict(None, told)
    if not all(judged):
        return Verdict(False, told)
    complete = len(judged) == len(verdicts)
    return Verdict(True if complete else None, told)


@dataclass(frozen=True)
class Judged:
    """The judge's findings on one file; `reason` says why there are none."""

    path: Path
    schema: str | None
    deviations: tuple[Deviation, ...] = ()
    reason: str | None = None


@dataclass(frozen=True)
class Validation:
    """The judge's findings on every file."""

    files: tuple[Judged, ...]
    errors: tuple[ObserveError, ...]

    @property
    def deviates(self) -> bool:
        """Whether any file keeps not to its schema."""
        return any(file.deviations for file in self.files)


def validate(targets: Sequence[str | Path]) -> Validation:
    """Hold every artifact below the targets against the schema that it names, in full."""
    files: list[Judged] = []
    errors: list[ObserveError] = []
    for path in _artifacts(targets):
        try:
            files.append(_judge_file(path))
        except ObserveError as error:
            errors.append(error)
    if not files and not errors:
        errors.append(
            UnreadableArtifact(
                "there is no artifact of dbt's",
                where=", ".join(str(target) for target in targets),
                next_step=f"give a folder that holds {', '.join(ARTIFACTS)}, or such a file",
            )
        )
    return Validation(tuple(files), tuple(errors))


def _artifacts(targets: Sequence[str | Path]) -> Iterator[Path]:
    for target in map(Path, targets):
        if target.is_dir():
            for folder in find_steps(target):
                yield from (folder / name for name in ARTIFACTS if (folder / name).is_file())
        else:
            yield target


def _judge_file(path: Path) -> Judged:
    file = open_json_file(path)
    url = schema_of(file)
    kind = parse_schema_url(url)
    if kind is None:
        raise UnreadableArtifact(
            f"{url} is no schema that is read", where=str(path), next_step=f"give one of {', '.join(ARTIFACTS)}"
        )
    try:
        return Judged(path, url, tuple(deviations(kind[0], file.document, url)))
    except UnsupportedArtifact as error:
        return Judged(path, url, reason=error.what)
