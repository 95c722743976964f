"""`dbt-observe`: thin commands over `pipeline`. Heavy imports stay inside them, so that `--help` is quick."""

import os
import sys
from contextlib import suppress
from io import TextIOWrapper
from typing import TYPE_CHECKING, Any

from observability.cli import checking, loading, looking, reading, reporting, storing, telling  # noqa: F401 - each registers its commands
from observability.cli.app import app

__all__ = ["app", "console_script", "main"]

if TYPE_CHECKING:
    from collections.abc import Callable


def main(arguments: list[str] | None = None) -> Any:
    """Run a command; ends in SystemExit."""
    run_app: Callable[..., Any] = app
    return run_app(args=arguments if arguments is not None else sys.argv[1:], prog_name="dbt-observe")


def console_script() -> None:
    """`dbt-observe`. Ends without taking objects down one by one, which takes long after a large load."""
    code: object = 0
    streams = (sys.stdout, sys.stderr)
    for stream in streams:
        if isinstance(stream, TextIOWrapper):  # what a terminal has no character for is spelled out
            stream.reconfigure(errors="backslashreplace")
    try:
        main()
    except SystemExit as ended:
        code = ended.code
    for stream in streams:
        with suppress(AttributeError, OSError):  # one that was closed from the start is None
            stream.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))
