"""Output for machines."""

import sys

import msgspec


def print_json(value: object) -> None:
    """A value as indented JSON on stdout."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value, enc_hook=str), indent=2).decode() + "\n")
