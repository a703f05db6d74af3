"""The files of the monitor: a fixed list, with strict headers."""

import hashlib
import re
from collections.abc import Callable
from pathlib import Path

import azure.functions as func
import pytest

from api import monitor
from tests.unit.api.support import BASE

get_monitor: Callable[[func.HttpRequest], func.HttpResponse] = monitor.get_monitor._function.get_user_function()
ROOT = Path(__file__).parents[3]
VENDOR = monitor.FOLDER / "vendor"


def ask(path: str = "", etag: str = "", url: str = "") -> func.HttpResponse:
    return get_monitor(
        func.HttpRequest(
            method="GET",
            url=url or f"{BASE}/monitor" + (f"/{path}" if path else ""),
            headers={"If-None-Match": etag} if etag else {},
            route_params={"path": path} if path else {},
            body=b"",
        )
    )


def test_the_page_has_a_strict_policy() -> None:
    response = ask()
    assert (response.status_code, response.mimetype) == (200, "text/html")
    assert {
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src 'self' data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    } == set(response.headers["Content-Security-Policy"].split("; "))
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Referrer-Policy"] == "no-referrer"
    assert response.headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize("path", sorted(monitor.files()))
def test_every_file_has_its_type_and_304_while_it_is_the_same(path: str) -> None:
    response = ask(path)
    assert response.get_body() == (monitor.FOLDER / path).read_bytes()
    assert (
        response.mimetype
        == {"html": "text/html", "js": "text/javascript", "css": "text/css"}[path.rsplit(".", maxsplit=1)[-1]]
    )
    known = ask(path, etag=response.headers["ETag"])
    assert (known.status_code, known.get_body()) == (304, b"")
    assert known.headers["ETag"] == response.headers["ETag"]


@pytest.mark.parametrize(
    "path",
    ["../monitor.py", "..%2fmonitor.py", "vendor/../../monitor.py", "/etc/passwd", "vendor", "INDEX.HTML", "no.js",
     "vendor/LICENSE.htm", "./index.html", "vendor//preact-htm.js"],
)  # fmt: skip
def test_any_other_path_is_404(path: str) -> None:
    response = ask(path)
    assert (response.status_code, response.mimetype) == (404, "text/plain")
    assert response.headers["X-Content-Type-Options"] == "nosniff"


def test_a_slash_at_the_end_is_redirected_because_the_links_are_relative() -> None:
    response = ask(url=f"{BASE}/monitor/")
    assert (response.status_code, response.headers["Location"]) == (308, "../monitor")


def test_nothing_is_loaded_from_elsewhere_and_no_text_becomes_html() -> None:
    for path in monitor.FOLDER.rglob("*"):
        if path.is_file() and path.parent != VENDOR:
            text = path.read_text()
            assert not re.search(r"https?://(?!www\.w3\.org/)", text), path
            assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function", text), (
                path
            )


@pytest.mark.parametrize(
    ("folder", "licences"),
    [
        (VENDOR, {"LICENSE.htm", "LICENSE.preact", "LICENSE.uPlot"}),
        (ROOT / "tests" / "browser" / "vendor", {"LICENSE.axe-core"}),
    ],
    ids=["page", "tests"],
)
def test_the_libraries_are_the_published_ones_with_their_licences(folder: Path, licences: set[str]) -> None:
    lines = (line.split("  ") for line in (folder / "SHA256SUMS").read_text().splitlines())
    listed = {name: digest for digest, name in lines}
    present = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
    del present["SHA256SUMS"], present["README.md"]
    assert present == listed
    assert licences <= present.keys()
