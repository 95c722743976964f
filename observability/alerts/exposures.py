"""Who is hurt: the exposures below what is broken."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from observability.alerts.meta import Record, read_observe


class Risk(StrEnum):
    """What an exposure suffers: it is no longer brought up to date, or bad data is live in it."""

    STALE = "stale"
    SUSPECT = "suspect"


@dataclass(frozen=True, kw_only=True)
class Exposure:
    """An exposure that rests on what is broken; `distance` counts the steps from the cause."""

    unique_id: str
    name: str
    owner: str | None
    owner_email: str | None
    url: str | None
    distance: int
    risk: Risk
    critical: bool = False
    channel: str | None = None
    """Where its own people hear of what hurts it."""
    muted_until: datetime | None = None


@dataclass
class Exposures:
    """The exposures of one project and environment, by the nodes that they rest on."""

    scope: tuple[str | None, str]
    rows: Sequence[Record]
    _by_node: dict[str, list[Record]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for row in self.rows:
            if (row["project_name"], row["environment"]) == self.scope:
                self._by_node.setdefault(row["node"], []).append(row)

    def below(self, rows: Sequence[Record], blocked: Sequence[str], *, built: bool) -> tuple[Exposure, ...]:
        """The exposures below the failing nodes, each once, the nearest first; `built` says that bad data is live."""
        stopped = {exposure["exposure_unique_id"] for node in blocked for exposure in self._by_node.get(node, ())}
        stopped |= set(blocked)
        found: dict[str, Exposure] = {}
        for row in rows:
            for node in row["bases"]:
                for exposure in self._by_node.get(node, ()):
                    unique_id = exposure["exposure_unique_id"]
                    suspect = built and unique_id not in stopped
                    candidate = _exposure(exposure, Risk.SUSPECT if suspect else Risk.STALE)
                    if unique_id not in found or candidate.distance < found[unique_id].distance:
                        found[unique_id] = candidate
        return tuple(sorted(found.values(), key=lambda one: (not one.critical, one.distance, one.unique_id)))


def _exposure(row: Record, risk: Risk) -> Exposure:
    said = read_observe(row["meta"])
    return Exposure(
        unique_id=row["exposure_unique_id"],
        name=row["label"] or row["name"] or row["exposure_unique_id"],
        owner=row["owner"],
        owner_email=row["owner_email"],
        url=row["url"],
        distance=row["distance"],
        risk=risk,
        critical=said.severity == "critical",
        channel=said.channel,
        muted_until=said.mute_until,
    )
