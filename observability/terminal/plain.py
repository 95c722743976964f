"""dbt's text is data: what in it would move a cursor, set a colour or turn the line around is shown, not obeyed."""

import re

from observability.errors import ObserveError

_BREAKS = re.compile(r"[ \t]*[\t\n\v\f\r\x1c-\x1e\x85\u2028\u2029]+[ \t]*")
_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def plain(text: object) -> str:
    r"""A text on one line, its control and direction characters spelled out: ESC becomes `\x1b`."""
    return _UNSAFE.sub(_spelled, _BREAKS.sub(" ", str(text)))


def plain_lines(text: object) -> str:
    """The same, with its lines kept."""
    return "\n".join(_UNSAFE.sub(_spelled, line) for line in str(text).split("\n"))


def plain_error(error: ObserveError) -> str:
    """An error of ours in its three lines, whatever names of files or texts of dbt's are in it."""
    return str(ObserveError(plain(error.what), where=plain(error.where), next_step=plain(error.next_step)))


def _spelled(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
