"""Loads that a store did not take, kept in a local folder until it does.

Each is a folder of Arrow files, one a table. It is complete once it has its name, and gone once the store has it. What
is stored twice by two that replay at once, or by one that is killed between the two, is stored once: its content is
known.
"""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from filelock import FileLock, Timeout
from uuid_utils import uuid7

from observability.audit.prepared import COMMIT, WRITTEN, PreparedLoad
from observability.errors import ObserveError, StoreError, StoreUnavailable
from observability.stores.base import Committed, Store

_SUFFIX = ".arrow"


@dataclass(frozen=True)
class Spool:
    """The loads that are kept aside for one store, in a folder of its own."""

    directory: Path
    store_url: str

    @property
    def folder(self) -> Path:
        """Where this store's loads are kept."""
        return self.directory / quote(self.store_url.partition("?")[0], safe="")

    def keep(self, load: PreparedLoad) -> Path:
        """Keep a load aside. Raises StoreError where there is no room for it."""
        from pyarrow import feather

        target = self.folder / load.load_id
        partial = target.with_name(f"{load.load_id}.{os.getpid()}.partial")
        try:
            partial.mkdir(parents=True)
            for name, table in load.tables.items():
                feather.write_feather(table, str(partial / f"{name}{_SUFFIX}"), compression="zstd")
            partial.replace(target)
        except OSError as error:
            shutil.rmtree(partial, ignore_errors=True)
            raise StoreError(
                f"the load cannot be kept aside: {error}",
                where=str(target),
                next_step="make room there, or name another place: DBT_OBSERVE_SPOOL_DIR; then load the step again",
            ) from error
        return target

    def kept(self) -> list[Path]:
        """The loads that are kept aside, the oldest first."""
        if not self.folder.is_dir():
            return []
        return sorted(
            path for path in self.folder.iterdir() if (path / f"{COMMIT}{_SUFFIX}").is_file() and not path.suffix
        )

    def replay(self, store: Store) -> Iterator[Committed | ObserveError]:
        """Store what is kept aside, one after the other, and remove it; gives what became of each.

        A load that cannot be read, or that the store refuses, is told and stays. Raises StoreUnavailable where the
        store still does not answer. Nothing is done while another process replays.
        """
        if not self.kept():
            return
        try:
            with FileLock(self.folder / "lock", timeout=0):
                for path in self.kept():
                    outcome = _replay(path, store)
                    if isinstance(outcome, Committed):
                        shutil.rmtree(path)
                    yield outcome
        except Timeout:
            return


def _replay(path: Path, store: Store) -> Committed | ObserveError:
    load = _read(path)
    if not isinstance(load, PreparedLoad):
        return load
    try:
        # when it was kept aside, nobody could say what the store has
        states = load.states
        known = store.known_states([states.get("nodes", "")], [states.get("exposure_ancestors", "")]) if states else ()
        # a new attempt: the old one may be half in, and too old to be committed
        (committed,) = store.append([load.without(known).renewed(str(uuid7()), datetime.now(UTC))])
    except StoreUnavailable:
        raise
    except StoreError as error:
        return error
    return committed


def _read(path: Path) -> PreparedLoad | ObserveError:
    import pyarrow as pa
    from pyarrow import feather

    names = [name for name in (*WRITTEN, COMMIT) if (path / f"{name}{_SUFFIX}").is_file()]
    try:
        return PreparedLoad({name: feather.read_table(path / f"{name}{_SUFFIX}") for name in names})
    except (OSError, pa.ArrowException) as error:
        return StoreError(
            f"a load that was kept aside cannot be read: {str(error).partition(chr(10))[0]}",
            where=str(path),
            next_step="load its step again if dbt's files are still there, and remove this folder",
        )
