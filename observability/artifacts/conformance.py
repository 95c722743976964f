"""Does an artifact conform to the schema that it names? dbt-artifacts-parser is the judge.

Its models forbid unknown keys, so dbt's own additions fail them: the verdict is recorded, never a gate. Only the module
of the version in question is imported (0.3 s for manifest v12; all of them take 1 s). The document goes through
`json.loads` because that is what the parser is fed: pydantic's own JSON reader and msgspec's are no quicker here, and
they differ over repeated keys, huge numbers, NaN and lone surrogates.
"""

import gc
import importlib
import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version as installed_version
from mmap import mmap
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from pydantic import BaseModel, ValidationError

from observability.artifacts.json_file import open_json_file, schema_of
from observability.artifacts.kinds import Artifact, parse_schema_url
from observability.errors import ArtifactError, UnreadableArtifact, UnsupportedArtifact

_PARSER = "dbt_artifacts_parser"
_SUMMARY_LENGTH = 500  # characters
_PORTION = 100  # entries of a section that are judged at once
_WHOLE = "$"
_EXPECTED = "Input should be "
_QUOTED = re.compile(r"'[^']*'")
_JSON_WORDS = {
    "model_type": "Input should be an object",
    "dict_type": "Input should be an object",
    "list_type": "Input should be an array",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the judge found. `conforms` is None where it did not judge, and `error` then says why."""

    conforms: bool | None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Deviation:
    """What is wrong at `count` places of a document.

    `path` is dotted, with `*` for what differs between the places (a unique_id, a column, a list position);
    `example` is the first of them in full. `$` is the document itself.
    """

    path: str
    problem: str
    count: int
    example: str


def judge(
    artifact: Artifact, document: bytes | memoryview | mmap, schema_url: str, *, max_bytes: int | None = None
) -> Verdict:
    """Judge a document by the schema that `schema_url` names; nothing in it makes this raise.

    The error is at most 500 characters: how many deviations, and the first.
    """
    if max_bytes is not None and len(document) > max_bytes:
        return Verdict(None, f"not judged: {artifact} of {_size(len(document))} is above {_size(max_bytes)}")
    try:
        found = deviations(artifact, document, schema_url)
    except ArtifactError as error:
        return Verdict(None, f"not judged: {error.what}")
    return Verdict(False, _summary(found)) if found else Verdict(True)


class BackgroundJudge:
    """Judges a file in a process of its own, beside our other work: a large one takes as long as loading it.

    `verdict` waits for it. Where no process can be had, the file is judged when the verdict is asked for.
    """

    def __init__(self, artifact: Artifact, path: Path) -> None:
        self._artifact, self._path = artifact, path
        self._process: subprocess.Popen[bytes] | None = None
        command = [sys.executable, "-m", __name__, artifact, str(path)]
        with suppress(OSError):
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )

    def verdict(self, document: bytes | mmap, schema_url: str) -> Verdict:
        """The verdict on the file; `document` is its content and `schema_url` its stamp."""
        output = self._process.communicate()[0] if self._process else b""
        try:
            told = json.loads(output)
            return Verdict(told["conforms"], told["error"])
        except (ValueError, KeyError, TypeError):
            return judge(self._artifact, document, schema_url)

    def cancel(self) -> None:
        """End it, if it is still at work."""
        if self._process and self._process.poll() is None:
            self._process.kill()
            self._process.communicate()


def _main(artifact: str, path: str) -> None:
    gc.disable()  # it would more than double the time, and find nothing
    file = open_json_file(Path(path))
    verdict = judge(Artifact(artifact), file.document, schema_of(file))
    sys.stdout.write(json.dumps({"conforms": verdict.conforms, "error": verdict.error}))


def deviations(artifact: Artifact, document: bytes | memoryview | mmap, schema_url: str) -> list[Deviation]:
    """List all that deviates from the schema, the same deviation of many nodes once; empty if the document conforms.

    Raises UnsupportedArtifact where the judge has no such schema, UnreadableArtifact where it cannot get through.
    """
    model = _model(artifact, schema_url)
    try:
        content = _decode(document)
    except ValueError as error:
        return [Deviation(_WHOLE, f"Input should be JSON: {_clean(str(error))}", 1, _WHOLE)]
    except RecursionError as error:
        raise UnreadableArtifact(
            f"this {artifact} is nested too deeply to be judged", next_step="see what wrote it; dbt does not nest so"
        ) from error
    return _collapse(artifact, _faults(model, content))


def _decode(document: bytes | memoryview | mmap) -> Any:
    """What `json.loads` gives. msgspec gives the same where it accepts a document, and is quicker; it accepts less."""
    try:
        return msgspec.json.decode(document)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return json.loads(bytes(document))


def _model(artifact: Artifact, schema_url: str) -> type[BaseModel]:
    kind, version = parse_schema_url(schema_url) or (None, 0)
    if kind is not artifact:
        raise UnsupportedArtifact(
            f"its schema is {_clip(_clean(schema_url), 100)}, which is none of {artifact}"
            if schema_url
            else "it carries no schema version",
            where="metadata.dbt_schema_version",
            next_step="judge it as the artifact that it is; what dbt before 0.19 wrote cannot be judged",
        )
    name = artifact.replace("-", "_")
    package = f"{_PARSER}.parsers.{name}"
    module = None
    try:
        module = importlib.import_module(f"{package}.{name}_v{version}")
    except ModuleNotFoundError as error:
        # With the parser itself broken, every verdict would be "not judged" for ever.
        if error.name not in {package, f"{package}.{name}_v{version}"}:
            raise
    model: type[BaseModel] | None = getattr(module, f"{name.title().replace('_', '')}V{version}", None)
    if model is None:
        raise UnsupportedArtifact(
            f"{_PARSER} {installed_version(_PARSER)} has no schema of {artifact} v{version}",
            where="metadata.dbt_schema_version",
            next_step=f"upgrade {_PARSER}, if a later one has it",
        )
    return model


# A step on the way to a fault: a key or list position of the document, or a union's branch, its name in a tuple.
_Step = str | int | tuple[str]


class _Fault(NamedTuple):
    way: tuple[_Step, ...]
    problem: str


def _faults(model: type[BaseModel], content: Any) -> Iterator[_Fault]:
    for portion, only in _portions(content):
        try:
            model.model_validate(portion)
        except ValidationError as error:
            found = error.errors(include_url=False, include_context=False, include_input=False)
            faults = [
                _Fault(_way(portion, entry["loc"], entry["type"]), _JSON_WORDS.get(entry["type"], entry["msg"]))
                for entry in found
                if only is None or (entry["loc"][:1] == (only,) and len(entry["loc"]) > 1)
            ]
            yield from _settle(faults, 0)


def _portions(content: Any) -> Iterator[tuple[Any, str | None]]:
    """Cut large sections up, so that neither models nor errors (86 for one key of one node) of all are held at once.

    Yields documents, and the key below which alone faults are news; None for all. No rule of a model spans two keys.
    """
    if not isinstance(content, dict):
        yield content, None
        return
    large = {
        key: list(value)
        for key, value in content.items()
        # Of all sections only the metadata has keys that belong together.
        if key != "metadata" and isinstance(value, dict) and len(value) > _PORTION
    }
    yield content | {key: {each: content[key][each] for each in ids[:_PORTION]} for key, ids in large.items()}, None
    for key, ids in large.items():
        for start in range(_PORTION, len(ids), _PORTION):
            yield {key: {each: content[key][each] for each in ids[start : start + _PORTION]}}, key


def _way(content: Any, loc: tuple[str | int, ...], kind: str) -> tuple[_Step, ...]:
    """Tell apart what pydantic mixes in `loc`: places in the document, and names of a union's branches."""
    way: list[_Step] = []
    for part in loc:
        if isinstance(content, dict) and part in content:
            content = content[part]
            way.append(part)
        elif isinstance(part, int):
            # No list here means that a key has the name of a branch: the way is then inexact, and still told.
            content = content[part] if isinstance(content, list) and part < len(content) else None
            way.append(part)
        else:
            way.append((part,))
    if kind == "missing":
        way[-1] = loc[-1]
    return tuple(way)


def _settle(faults: list[_Fault], depth: int) -> list[_Fault]:
    """Of each union keep the branch that the value was meant for. All faults agree on their first `depth` steps."""
    settled: list[_Fault] = []
    by_step: dict[_Step, list[_Fault]] = {}
    for fault in faults:
        if len(fault.way) == depth:
            settled.append(fault)
        else:
            by_step.setdefault(fault.way[depth], []).append(fault)
    branches = []
    for step, group in by_step.items():
        below = group if len(group) == 1 else _settle(group, depth + 1)
        if isinstance(step, tuple):
            branches.append(below)
        else:
            settled += below
    return settled + _meant(branches, depth + 1) if branches else settled


def _meant(branches: list[list[_Fault]], depth: int) -> list[_Fault]:
    """Pick the branch that accepts the resource_type, looks into the value at all, and has the fewest faults."""
    refusals = [[fault for fault in branch if _refuses_type(fault, depth)] for branch in branches]
    if all(refusals):
        return [_joined([fault for refusal in refusals for fault in refusal])]
    fitting = [branch for branch, refusal in zip(branches, refusals, strict=True) if not refusal]
    closer = [branch for branch in fitting if any(len(fault.way) > depth for fault in branch)]
    return min(closer, key=len) if closer else [_joined([fault for branch in fitting for fault in branch])]


def _refuses_type(fault: _Fault, depth: int) -> bool:
    return fault.way[depth:] == ("resource_type",)


def _joined(faults: list[_Fault]) -> _Fault:
    """Say at once what each branch would have accepted."""
    problems = list(dict.fromkeys(fault.problem for fault in faults))
    if all(problem.startswith(_EXPECTED) for problem in problems):
        wanted = [problem.removeprefix(_EXPECTED) for problem in problems]
        if all(want.startswith("'") for want in wanted):
            wanted = list(dict.fromkeys(value for want in wanted for value in _QUOTED.findall(want)))
        return _Fault(faults[0].way, _EXPECTED + " or ".join(filter(None, (", ".join(wanted[:-1]), wanted[-1]))))
    return _Fault(faults[0].way, "; or: ".join(problems))


def _collapse(artifact: Artifact, faults: Iterable[_Fault]) -> list[Deviation]:
    groups: dict[tuple[str, str], tuple[int, str]] = {}
    for fault in faults:
        parts = [step for step in fault.way if not isinstance(step, tuple)]
        key = _dotted(_pattern(artifact, parts)), _clean(fault.problem)
        count, example = groups.get(key, (0, ""))
        groups[key] = count + 1, example or _dotted(parts)
    return [
        Deviation(pattern if count > 1 else example, problem, count, example)
        for (pattern, problem), (count, example) in groups.items()
    ]


def _pattern(artifact: Artifact, parts: list[str | int]) -> list[str | int]:
    """Put `*` for list positions and, in a manifest, for unique_ids and columns."""
    manifest = artifact is Artifact.MANIFEST
    return [
        "*"
        if isinstance(part, int)
        or (manifest and position == 1 and parts[0] != "metadata")
        or (manifest and position > 1 and parts[position - 1] == "columns")
        else part
        for position, part in enumerate(parts)
    ]


def _dotted(parts: list[str | int]) -> str:
    return _clean(".".join(map(str, parts))) or _WHOLE


def _clean(text: str) -> str:
    """Keep a document's keys on one line and storable: control characters and lone surrogates are escaped."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def _summary(found: list[Deviation]) -> str:
    total = sum(deviation.count for deviation in found)
    first = f"{found[0].example}: {found[0].problem}"
    if total == 1:
        return _clip(f"1 deviation: {first}", _SUMMARY_LENGTH)
    kinds = f" of {len(found)} kinds" if len(found) > 1 else ""
    return _clip(f"{total:,} deviations{kinds}; first: {first}", _SUMMARY_LENGTH)


def _clip(text: str, length: int) -> str:
    if len(text) <= length:
        return text
    kept = text[: length - 40]
    return f"{kept}… ({len(text) - len(kept):,} more characters)"


def _size(count: int) -> str:
    return f"{round(count / 1e6, 1):,g} MB" if count >= 1_000_000 else f"{count:,} bytes"


if __name__ == "__main__":
    _main(*sys.argv[1:])
