"""Output for machines."""

import msgspec
import typer


def print_json(value: object) -> None:
    """A value as indented JSON on stdout, in UTF-8 whatever the terminal speaks."""
    typer.echo(msgspec.json.format(msgspec.json.encode(value, enc_hook=_text), indent=2))


def _text(value: object) -> str:
    # the name of a file may be no Unicode at all
    return str(value).encode(errors="backslashreplace").decode()
