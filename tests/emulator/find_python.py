"""Prints a Python that runs and lies in [LOW, HIGH): `find_python.py 3.13 3.16`. Ends with 3 where there is none.

Version managers keep interpreters that are not on the PATH; and what is on it may be a shim of a version that is not
selected. So each candidate is asked.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ASKED = "EMULATOR_PYTHON"
PROBE = "import sys, venv, sqlite3, ssl; print(*sys.version_info[:2])"
Version = tuple[int, ...]


def candidates(low: Version, high: Version) -> Iterator[Path]:
    """Every place in which an interpreter may lie; the one that is asked for, and it alone, where one is."""
    if asked := os.environ.get(ASKED):
        yield Path(asked)
        return
    yield Path(sys.executable)
    home = Path.home()
    for minor in range(low[1], high[1]):
        for directory in os.environ.get("PATH", "").split(os.pathsep):
            yield Path(directory, f"python3.{minor}")
    managers = (
        (Path(os.environ.get("PYENV_ROOT") or home / ".pyenv", "versions"), "3.*/bin/python3"),
        (home / ".asdf/installs/python", "3.*/bin/python3"),
        (home / ".local/share/mise/installs/python", "3.*/bin/python3"),
        (home / ".local/share/uv/python", "cpython-3.*/bin/python3"),
        (Path("/opt/python"), "*/bin/python3"),
        (Path("/opt/homebrew/bin"), "python3.*"),
        (Path("/usr/local/bin"), "python3.*"),
    )
    for root, pattern in managers:
        yield from sorted(root.glob(pattern))


def version(python: Path) -> Version | None:
    """The version of an interpreter; None for one that does not run or lacks what an environment needs."""
    try:
        ran = subprocess.run([python, "-Ic", PROBE], capture_output=True, text=True, check=False)
    except OSError:
        return None
    return tuple(map(int, ran.stdout.split())) if ran.returncode == 0 else None


def main(low_text: str, high_text: str) -> int:
    """Print the first that fits."""
    low, high = (tuple(map(int, text.split("."))) for text in (low_text, high_text))
    tried = 0
    for python in candidates(low, high):
        if os.access(python, os.X_OK):
            tried += 1
            found = version(python)
            if found and low <= found < high:
                print(python)
                return 0
    print(
        f"no Python >={low_text},<{high_text} runs among the {tried} found on the PATH and where version managers put "
        f"them; install one, or say where it is: {ASKED}=/path/to/python{low_text}",
        file=sys.stderr,
    )
    return 3


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
