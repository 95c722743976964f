"""Whatever can be loaded: folders, trees of them, prefixes in object stores. Found, and put in the order of time."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from observability.artifacts.bucket import ObjectPath, is_uri
from observability.artifacts.folder import Folder, find_steps, open_folders
from observability.artifacts.object_store import StoredStep, began_at_all, fetched, list_steps
from observability.artifacts.order import folder_began_at, in_order
from observability.artifacts.step import Step
from observability.errors import ObserveError

Found = Folder | StoredStep
Target = str | Path | Found | ObjectPath

_FETCHED_BYTES = 512_000_000
_OPEN_STEPS = 64


def opened_early(targets: Sequence[str]) -> list[Target]:
    """The same targets; a single folder of this machine's is opened, so that its files are hashed meanwhile."""
    if len(targets) == 1 and not is_uri(targets[0]):
        return list(open_folders(targets))
    return list(targets)


def find_targets(targets: Sequence[Target]) -> tuple[list[Found], list[ObserveError]]:
    """The steps below the targets, the earliest first, and what is wrong with targets that cannot be looked into."""
    found: list[Found] = []
    errors: list[ObserveError] = []
    for target in targets:
        try:
            found += _find(target)
        except ObserveError as error:
            errors.append(error)
    return _sorted(found), errors


def _find(target: Target) -> Sequence[Found]:
    if isinstance(target, Folder | StoredStep):
        return [target]
    if isinstance(target, Path) or (isinstance(target, str) and not is_uri(target)):
        return [Folder(path) for path in find_steps(Path(target))]
    return list_steps(target)


def _sorted(found: list[Found]) -> list[Found]:
    if len(found) < 2:
        return found
    stored = [step for step in found if isinstance(step, StoredStep)]
    times = dict(zip(map(id, stored), began_at_all(stored), strict=True)) if stored else {}
    return in_order(
        (times[id(step)] if isinstance(step, StoredStep) else folder_began_at(step), str(step.place), step)
        for step in found
    )


def portions(found: Sequence[Found]) -> Iterator[list[Found]]:
    """Steps in portions whose files may be open at once, and that a disk holds where they are fetched."""
    portion: list[Found] = []
    size = 0
    for step in found:
        more = step.size if isinstance(step, StoredStep) else 0
        if portion and (len(portion) == _OPEN_STEPS or size + more > _FETCHED_BYTES):
            yield portion
            portion, size = [], 0
        portion.append(step)
        size += more
    if portion:
        yield portion


@contextmanager
def at_hand(found: Sequence[Found], given: Step | None = None) -> Iterator[list[Folder | ObserveError]]:
    """Each of the steps as a folder of this machine's, for as long as this lasts; or why it cannot be fetched."""
    with ExitStack() as stack:
        stored = [step for step in found if isinstance(step, StoredStep)]
        folders = iter(stack.enter_context(fetched(stored, given)) if stored else ())
        yield [next(folders) if isinstance(step, StoredStep) else step for step in found]
