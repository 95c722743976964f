"""Chromium, driven by Playwright: for the documentation's pictures, and for the tests of pages."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright


class NoBrowser(Exception):
    """No chromium is installed here."""


@contextmanager
def start_browser() -> Iterator[Browser]:
    """A headless Chromium that asks nobody anything by itself. Errors: NoBrowser."""
    binary = shutil.which("chromium") or shutil.which("google-chrome")
    if binary is None:
        message = "neither chromium nor google-chrome is on the PATH; on Debian: apt install chromium fonts-lato"
        raise NoBrowser(message)
    quiet = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=binary, args=[*quiet, "--hide-scrollbars"])
        try:
            yield browser
        finally:
            browser.close()
