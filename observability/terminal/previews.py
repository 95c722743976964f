"""Messages as a page that looks as Slack does."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from observability.alerts.outbox import Operation
from observability.alerts.printing import Printed
from observability.alerts.slack.preview import Shown, render_preview
from observability.errors import ObserveError


def write_preview(messages: Sequence[Printed], file: Path) -> None:
    """Write the page. Raises ObserveError where the file cannot be written."""
    try:
        file.write_text(preview(messages), encoding="utf-8")
    except OSError as error:
        raise ObserveError(
            f"the preview cannot be written: {error.strerror}",
            where=str(file),
            next_step="name a file in a folder that is there",
        ) from error


def preview(messages: Sequence[Printed]) -> str:
    """The page: each message with its last edit, and its thread below it."""
    shown: dict[str, Shown] = {}
    for one in messages:
        said = Shown(one.payload.text, one.payload.blocks)
        if one.operation is Operation.POST:
            shown[one.ts] = said
        elif one.operation is Operation.UPDATE and one.ts in shown:
            shown[one.ts] = replace(shown[one.ts], text=said.text, blocks=said.blocks, edited=True)
        elif one.operation is Operation.REPLY and one.thread_ts in shown:
            parent = shown[one.thread_ts]
            answers = (*parent.replies, replace(said, broadcast=one.broadcast))
            shown[one.thread_ts] = replace(parent, replies=answers)
        else:  # of a message that was there before
            shown[f"{one.ts} {len(shown)}"] = replace(said, edited=one.operation is Operation.UPDATE)
    channels = dict.fromkeys(one.channel.removeprefix("#") for one in messages)
    return render_preview(", ".join(channels) or "nothing to tell", list(shown.values()))
