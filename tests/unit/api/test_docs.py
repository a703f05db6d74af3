"""The files of the page to try the API: a fixed list, with the headers of the monitor."""

import hashlib
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import azure.functions as func
import pytest

from api import docs, page_files
from tests.unit.api.support import BASE

get_docs: Callable[[func.HttpRequest], func.HttpResponse] = docs.get_docs._function.get_user_function()
ROOT = Path(__file__).parents[3]
SWAGGER_UI = {
    "swagger-ui-bundle.js": "97f03cdae8b9f09f8f33b604ed4796bd318c378e90763b468bb4aa0860bd90a7",
    "swagger-ui.css": "ca238f7d7c2cf4480c1e77a9c3b9da915ab216e96ffd354e69076560c650c6de",
}
"""The SHA-256 of the files of the npm package swagger-ui-dist 5.32.8, which the Python package ships unchanged."""


def ask(path: str = "", etag: str = "", url: str = "") -> func.HttpResponse:
    return get_docs(
        func.HttpRequest(
            method="GET",
            url=url or f"{BASE}/docs" + (f"/{path}" if path else ""),
            headers={"If-None-Match": etag} if etag else {},
            route_params={"path": path} if path else {},
            body=b"",
        )
    )


def test_the_page_has_the_policy_of_the_monitor() -> None:
    response = ask()
    assert (response.status_code, response.mimetype) == (200, "text/html")
    assert response.headers["Content-Security-Policy"] == page_files.CONTENT_SECURITY_POLICY
    assert "unsafe" not in page_files.CONTENT_SECURITY_POLICY
    assert response.headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize("path", ["index.html", "docs.js", "docs.css", *SWAGGER_UI])
def test_every_file_has_its_type_and_304_while_it_is_the_same(path: str) -> None:
    response = ask(path)
    types = {"html": "text/html", "js": "text/javascript", "css": "text/css"}
    assert (response.status_code, response.mimetype) == (200, types[path.rsplit(".", maxsplit=1)[-1]])
    known = ask(path, etag=response.headers["ETag"])
    assert (known.status_code, known.get_body()) == (304, b"")


def test_there_are_no_other_files() -> None:
    assert docs.files().keys() == {"index.html", "docs.js", "docs.css", *SWAGGER_UI}
    for path in ("../docs.py", "swagger-ui-bundle.js.map", "javascripts/swagger-ui-bundle.js", "/etc/passwd"):
        assert ask(path).status_code == 404


def test_a_slash_at_the_end_is_redirected_because_the_links_are_relative() -> None:
    response = ask(url=f"{BASE}/docs/")
    assert (response.status_code, response.headers["Location"]) == (308, "../docs")


@pytest.mark.parametrize("name", SWAGGER_UI)
def test_swagger_ui_is_the_published_one(name: str) -> None:
    assert hashlib.sha256(ask(name).get_body()).hexdigest() == SWAGGER_UI[name]


def test_the_page_itself_loads_nothing_from_elsewhere() -> None:
    for path in docs.FOLDER.iterdir():
        assert not re.search(r"https?://(?!www\.w3\.org/)|innerHTML|eval\(", path.read_text()), path


def test_the_app_starts_without_looking_for_swagger_ui() -> None:
    """A cold start reads nothing of it; the first request does."""
    code = f"import sys, function_app; sys.exit('{docs.PACKAGE}' in sys.modules or 'bs4' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
    code = "import sys; from api import docs; docs.files(); sys.exit('bs4' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
