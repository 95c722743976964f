"""What a loader asks the store before it stores: each question once, and none of a store that does not answer."""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from observability.audit.build import Load
from observability.errors import StoreUnavailable
from observability.stores.base import Store, StoredLoad

T = TypeVar("T")


class Lookups:
    """The questions of one call. `outage` is why the store does not answer, once it did not."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.outage: StoreUnavailable | None = None
        self._loads: dict[str, StoredLoad | None] = {}
        self._states: dict[str, bool] = {}

    def _ask(self, question: Callable[[], T], otherwise: T) -> T:
        if self.outage:
            return otherwise
        try:
            return question()
        except StoreUnavailable as error:
            self.outage = error
            return otherwise

    def expect(self, content_hashes: Sequence[str]) -> None:
        """Ask for many loads at once."""
        if content_hashes:
            found = self._ask(lambda: self.store.find_loads(content_hashes), _none())
            self._loads |= {one: found.get(one) for one in content_hashes}

    def find_load(self, content_hash: str) -> StoredLoad | None:
        """The committed load that has this content."""
        if content_hash not in self._loads:
            self.expect([content_hash])
        return self._loads.get(content_hash)

    def find_invocation(self, invocation_id: str, waiting: Sequence[Load]) -> StoredLoad | None:
        """The winning load of an invocation, or one that is about to be stored."""
        for load in waiting:
            row = load.invocation
            if row.invocation_id == invocation_id:
                return StoredLoad(
                    load.load_id, invocation_id, row.command, row.outcome, row.exit_code, evidence=row.evidence
                )
        return self._ask(lambda: self.store.find_invocations([invocation_id]), _none()).get(invocation_id)

    def is_known(self, manifest_id: str) -> bool:
        """Whether the store has the rows of a project state."""
        if manifest_id not in self._states:
            nothing: set[str] = set()
            self._states[manifest_id] = bool(self._ask(lambda: self.store.known_states([manifest_id], []), nothing))
        return self._states[manifest_id]

    def learned(self, manifest_ids: Iterable[str]) -> None:
        """The store has the rows of these project states by now."""
        self._states |= dict.fromkeys(manifest_ids, True)


def _none() -> dict[str, StoredLoad]:
    return {}
