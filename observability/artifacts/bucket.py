"""A place in an object store: how it is opened, how long it is waited for, and what its SDK's errors mean.

The only place where a filesystem of fsspec's is asked for anything but files.
"""

import errno
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from observability.errors import ConfigError, ObjectStoreError

EXTRA = "pip install 'dbt-observability[gcs]'"
_SECONDS, _BYTES_A_SECOND = 10.0, 1_000_000
"""A request may take so long, and a second more for so many bytes."""
_WITHOUT_BUCKET = frozenset({"file", "local", "memory"})


class ObjectPath(Protocol):
    """A UPath, or Airflow's ObjectStoragePath: what knows its filesystem and the credentials for it."""

    @property
    def fs(self) -> Any:
        """The fsspec filesystem."""

    @property
    def path(self) -> str:
        """Bucket and key."""

    @property
    def protocol(self) -> str:
        """The URI's scheme."""


Location = str | ObjectPath


@dataclass(frozen=True)
class Place:
    """A prefix in an object store."""

    fs: Any
    key: str
    uri: str

    def __truediv__(self, name: str) -> "Place":
        return Place(self.fs, f"{self.key}/{name}", f"{self.uri}/{name}")

    @property
    def is_folder(self) -> bool:
        """Whether it is one of this machine's, or mounted: there is no bucket."""
        return self.uri.startswith(("file:", "local:", "/"))

    def beside(self, suffix: str) -> "Place":
        """A prefix next to this one."""
        return Place(self.fs, self.key + suffix, self.uri + suffix)


def is_uri(target: object) -> bool:
    """Whether a target names an object store rather than a path of this machine's."""
    return isinstance(target, str) and re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", target) is not None


def open_place(location: Location) -> Place:
    """Raises ConfigError for what names no place in an object store that can be used here."""
    if not isinstance(location, str):
        key = location.path.rstrip("/")
        scheme = location.protocol
        if scheme in {"", "file", "local"}:
            return Place(location.fs, key, f"file://{key}")
        return Place(location.fs, key, f"{scheme}://{key.lstrip('/')}")
    if not is_uri(location):
        return _open_path(str(Path(location).absolute()))
    parts = urlsplit(location)
    if parts.scheme not in _WITHOUT_BUCKET and not parts.netloc:
        raise ConfigError(
            f"{location} names no bucket", where=location, next_step=f"write {parts.scheme}://bucket/prefix"
        )
    if "@" in parts.netloc:
        raise ConfigError(
            "the bucket is named with a connection, which only Airflow knows",
            where=location,
            next_step=f"write {parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}",
        )
    return _open_path(location)


def _open_path(location: str) -> Place:
    logger = logging.getLogger("gcsfs")
    if not logger.handlers:  # else it prints tracebacks of what we tell ourselves
        logger.addHandler(logging.NullHandler())
    try:
        from upath import UPath
    except ImportError as error:
        raise ConfigError(
            "object stores need the package universal-pathlib, and gs:// gcsfs as well",
            where=location,
            next_step=EXTRA,
        ) from error
    try:
        path = UPath(location)
        fs, key = path.fs, str(path.path).rstrip("/")
    except ImportError as error:
        raise ConfigError(
            f"a package for {location.partition(':')[0]}:// is missing: {error}",
            where=location,
            next_step=f"{EXTRA}; for other stores, install what the message names",
        ) from error
    except ValueError as error:
        raise ConfigError(
            f"{location} is no URI of an object store: {error}",
            where=location,
            next_step="write gs://bucket/prefix, or another scheme that universal-pathlib knows",
        ) from error
    except Exception as error:  # an SDK that finds no credentials has errors of its own
        raise told(error, "the object store cannot be used", location) from error
    return Place(fs, key, location.rstrip("/"))


def in_time(fs: Any, request: Callable[..., Any], *arguments: Any, size: int = 0, **options: Any) -> Any:
    """A request that ends: an SDK repeats what fails for half a minute and longer. Raises TimeoutError."""
    if getattr(fs, "async_impl", False):
        options["timeout"] = _SECONDS + size / _BYTES_A_SECOND
    return request(*arguments, **options)


@dataclass(frozen=True)
class _Reason:
    why: str
    next_step: str


_ABSENT = _Reason("there is no such bucket", "check its name, or make it; it is never made for you")
_FORBIDDEN = _Reason(
    "this account may not",
    "grant it roles/storage.objectUser on the bucket (objects.list, .get and .create), "
    "or name another account by GOOGLE_APPLICATION_CREDENTIALS",
)
_NO_CREDENTIALS = _Reason(
    "there are no credentials",
    "run as a service account (workload identity), or set GOOGLE_APPLICATION_CREDENTIALS",
)
UNREACHABLE = _Reason("it does not answer", "check the network and the endpoint, then try again")
_FULL = _Reason("this machine's disk is full", "set TMPDIR to a larger one, or load fewer steps at a time")


def reason_of(error: BaseException) -> _Reason | None:
    """Why an SDK failed, by what their errors have in common: none of them is imported here."""
    code = getattr(error, "code", None) or getattr(error, "status", None)
    name, text = type(error).__name__, str(error)
    if isinstance(error, FileNotFoundError) or code in {404, "404"}:
        return _ABSENT
    if "DefaultCredentials" in name or "NoCredentials" in name:
        return _NO_CREDENTIALS
    if isinstance(error, PermissionError) or code in {401, 403, "401", "403"} or text.startswith("Forbidden"):
        return _FORBIDDEN
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return _FULL
    out_of_reach = isinstance(error, TimeoutError | ConnectionError) or any(
        word in name for word in ("Timeout", "Connect", "Transport", "ClientError", "ServerDisconnected")
    )
    return UNREACHABLE if out_of_reach or code in {429, 500, 502, 503, 504} else None


def told(error: BaseException, what: str, where: str) -> ObjectStoreError:
    """An SDK's error as ours: what we wanted, why it could not be, what can be done."""
    reason = reason_of(error)
    text = " ".join(str(error).split())[:300]
    if reason is None:
        return ObjectStoreError(f"{what}: {type(error).__name__}: {text}", where=where, next_step="see the message")
    said = f" ({text})" if text and reason is not _ABSENT else ""
    return ObjectStoreError(f"{what}: {reason.why}{said}", where=where, next_step=reason.next_step)


def modified_at(info: Mapping[str, Any]) -> datetime | None:
    """Each filesystem has a name and a type of its own for it."""
    for name in ("mtime", "updated", "LastModified", "last_modified", "created"):
        value = info.get(name)
        if isinstance(value, int | float):
            return datetime.fromtimestamp(value, UTC)
        if isinstance(value, str):
            try:
                value = datetime.fromisoformat(value)
            except ValueError:
                continue
        if isinstance(value, datetime):
            return value.replace(tzinfo=value.tzinfo or UTC).astimezone(UTC)
    return None


def has_bucket(place: Place) -> bool:
    """Whether what lies nowhere could at least lie there."""
    if place.uri.startswith("memory:"):
        return True
    if place.is_folder:
        return False
    try:
        place.fs.ls(place.key.split("/", 1)[0])
    except FileNotFoundError:
        return False
    except Exception:  # noqa: BLE001 - every SDK has errors of its own; that the prefix is empty is known
        return True
    return True
