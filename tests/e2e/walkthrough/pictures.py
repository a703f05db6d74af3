"""Takes the pictures of the monitor."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, ViewportSize, expect

from tests.e2e.walkthrough.steps import Picture
from tests.support.chromium import chromium_path, running_chromium

_WIDTH = 1080
_WAIT_MILLISECONDS = 200_000

Take = Callable[[Picture, str], None]
"""Takes a picture, at a place of the monitor."""


@contextmanager
def camera(url: str, directory: Path) -> Iterator[Take | None]:
    """Takes pictures of an app's monitor into a directory; None where there is no Chromium.

    Args:
        url: of the app.
        directory: for the pictures.
    """
    path = chromium_path()
    if path is None:
        yield None
        return
    with running_chromium(path) as browser:
        page = browser.new_page(locale="en-GB", timezone_id="UTC", reduced_motion="reduce")
        page.set_default_timeout(_WAIT_MILLISECONDS)
        yield lambda picture, place: _take(page, picture, f"{url}/api/monitor{place}", directory)


def _take(page: Page, picture: Picture, url: str, directory: Path) -> None:
    page.set_viewport_size(ViewportSize(width=_WIDTH, height=picture.height))
    page.goto("about:blank")  # so that another place of the page is not taken for the one before
    page.goto(url)
    for text in picture.texts:
        expect(page.get_by_role("main")).to_contain_text(text, timeout=_WAIT_MILLISECONDS)
    expect(page.locator("[aria-busy]")).to_have_count(0, timeout=_WAIT_MILLISECONDS)
    if picture.button is not None:
        page.get_by_role("button", name=picture.button).click()
        expect(page.get_by_role("dialog")).to_be_visible(timeout=_WAIT_MILLISECONDS)
    page.screenshot(path=directory / f"{picture.name}.png")
