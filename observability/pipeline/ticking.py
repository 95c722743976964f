"""What is to be done every ten minutes, whether or not a step has ended."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from observability.config import Settings
from observability.pipeline.alerting import Clock, alert
from observability.pipeline.storing import Replay, replay
from observability.stores.base import Store, open_store

if TYPE_CHECKING:
    from observability.alerts.delivery import Telling


@dataclass(frozen=True)
class Tick:
    """What was done."""

    replay: Replay
    telling: "Telling"

    @property
    def is_well(self) -> bool:
        """Whether nothing is left that could not be stored or told."""
        telling = self.telling
        return not (self.replay.left or telling.failed or telling.dead or telling.problems)


def tick(settings: Settings, now: Clock | None = None, *, store: Store | None = None) -> Tick:
    """Store what was kept aside, then tell what is new: also what no step announces, for it is the clock that does.

    `store` takes the place of the one that the settings name. Where nothing was stored yet, there is nothing to tell.
    Raises as `alert` does, and StoreUnavailable.
    """
    from observability.alerts.delivery import Telling

    store = store or open_store(settings)
    stored = replay(settings, store)
    return Tick(stored, alert(settings, now, store=store) if store.exists else Telling())
