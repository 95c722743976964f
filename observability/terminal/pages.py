"""What `report` prints: the verdict, and where the page is."""

from rich.text import Text

from observability.pipeline.reporting import WrittenPage
from observability.terminal.console import console
from observability.terminal.machine import print_json
from observability.terminal.plain import plain


def show_page(done: WrittenPage, *, as_json: bool) -> None:
    """A page that was written."""
    page = done.page
    if as_json:
        print_json(
            {
                "verdict": page.verdict.text,
                "tone": page.verdict.tone,
                "invocation_id": page.invocation_id,
                "places": list(done.places),
                "bytes": done.size,
            }
        )
        return
    _say(f"{page.title}: {page.verdict.text} {page.verdict.detail}".rstrip())
    for place in done.places:
        _say(f"  {place} ({done.size / 1000:,.0f} kB)")


def _say(text: str) -> None:
    console().print(Text(plain(text)), soft_wrap=True)
