"""By when steps are to have run."""

import re
from datetime import date
from typing import Annotated, get_args

from pydantic import AfterValidator, BaseModel, Field

from observability.config.slack import FROZEN, Severity, Weekday, Zone

_CLOCK = re.compile(r"([01]\d|2[0-3]):[0-5]\d")
_EVERY_DAY = get_args(Weekday)


def _clock(text: str) -> str:
    if not _CLOCK.fullmatch(text):
        raise ValueError('should be a time of day, such as "07:30"')
    return text


def _some(days: tuple[Weekday, ...]) -> tuple[Weekday, ...]:
    if not days:
        raise ValueError("should name a day")
    return days


_Clock = Annotated[str, AfterValidator(_clock)]


class Deadline(BaseModel):
    """By when a step is to have run, day by day, by the clock on the wall."""

    model_config = FROZEN

    step: str = Field(
        min_length=1,
        description="The step as `status` lists it, `greenery_daily.run` or `dbt build`; a glob means each that fits.",
    )
    by: _Clock = Field(description='Time of day by which a run of it has ended, such as "07:30".')
    zone: Zone = Field(default="UTC", description="Time zone of these times and days.")
    days: Annotated[tuple[Weekday, ...], AfterValidator(_some)] = Field(
        default=_EVERY_DAY, description="Days on which it is due."
    )
    begins: _Clock | None = Field(
        default=None,
        description="Time of day from which on a run that begins counts; one that is not before `by` is of the day "
        "before. Without it, 12 hours before.",
    )
    since: date | None = Field(
        default=None,
        description="First day that counts. From then on a step is waited for that was never seen, where its name is "
        "no glob and the environment is known, here or as the setting of that name.",
    )
    project: str | None = Field(default=None, min_length=1, description="The dbt project's name; else any.")
    environment: str | None = Field(default=None, min_length=1, description="The deployment's name; else any.")
    severity: Severity = Field(
        default="error", description="How much it matters; only what is critical mentions people."
    )
    owner: str | None = Field(default=None, min_length=1, description="Who can mend it, as `slack.owners` knows them.")
    channel: str | None = Field(default=None, min_length=1, description="Where it is told, unless a rule says where.")
    runbook: str | None = Field(default=None, min_length=1, description="What to do then: a URL or some words.")
