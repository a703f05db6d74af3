"""Debian's Chromium: `make` installs it where it can."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_START_MILLISECONDS = 200_000


def chromium_path() -> str | None:
    """Where the browser is, or None where there is none."""
    return next(filter(None, map(shutil.which, _NAMES)), None)


@contextmanager
def running_chromium(path: str) -> Iterator[Browser]:
    """The browser for the length of a block, in which no other test of this process can run an event loop."""
    with sync_playwright() as playwright:
        # Root has no sandbox; in a container /dev/shm is small.
        arguments = ["--no-sandbox", "--disable-dev-shm-usage"]
        yield playwright.chromium.launch(executable_path=path, args=arguments, timeout=_START_MILLISECONDS)
