"""What `doctor` prints: a line a check, what to do next below it."""

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import asdict

from rich.text import Text

from observability.alerts.checks import Check, State
from observability.terminal.console import console
from observability.terminal.machine import print_json
from observability.terminal.plain import plain

_MARKS = {
    State.OK: ("✓", "green"),
    State.WARNING: ("!", "yellow"),
    State.FAILED: ("✗", "bold red"),
    State.SKIPPED: ("-", "dim"),
}
_WIDTH = 80


def show_checks(checks: Iterable[Check], *, as_json: bool) -> list[Check]:
    """Show each as soon as it is done, to machines all at once; all of them."""
    done = []
    for one in checks:
        done.append(one)
        if not as_json:
            _show(one)
    if as_json:
        print_json({"checks": [asdict(one) for one in done], "failed": _count(done, State.FAILED)})
    else:
        console().print(Text(f"\n{_verdict(done)}"))
    return done


def _show(check: Check) -> None:
    out = console()
    mark, style = _MARKS[check.state]
    skipped = "skipped: " if check.state is State.SKIPPED else ""
    first, *rest = _lines(f"{check.name}: {skipped}{check.found}", "", "  ")
    out.print(Text.assemble((mark, style), " ", first))
    if check.next_step:
        rest += _lines(check.next_step, "  next: ", "        ")
    for line in rest:
        out.print(Text(f"  {line}"))


def _lines(text: str, first: str, others: str) -> list[str]:
    """A text in lines; what is one word, such as a URL, stays one."""
    return textwrap.wrap(
        plain(text),
        width=_WIDTH - 2,
        initial_indent=first,
        subsequent_indent=others,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _verdict(checks: Sequence[Check]) -> str:
    failed, warnings, skipped = (_count(checks, one) for one in (State.FAILED, State.WARNING, State.SKIPPED))
    parts = [f"{failed} failed" if failed else "", f"{warnings} to look at" if warnings else ""]
    parts.append(f"{skipped} skipped" if skipped else "")
    told = ", ".join(filter(None, parts))
    if failed:
        return f"Telling will not work as it should: {told}."
    return f"Telling will work: {told}." if told else "Telling will work."


def _count(checks: Sequence[Check], state: State) -> int:
    return sum(1 for one in checks if one.state is state)
