"""HTTP route of the monitor: a page that shows jobs in a browser, with its scripts, styles and libraries.

It holds no data, so it asks for no key. The page asks for one when a route that it calls does.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from urllib.parse import urlsplit

import azure.functions as func

from api import conditional
from api.problems import answers_problems

blueprint = func.Blueprint()

FOLDER = Path(__file__).with_name("monitor_page")
PAGE = "index.html"

_MEDIA_TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = MappingProxyType(
    {
        "Content-Security-Policy": CONTENT_SECURITY_POLICY,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        # A page and scripts of two versions may not fit together, so each load asks whether they have changed.
        "Cache-Control": "no-cache",
    }
)


@dataclass(frozen=True)
class _File:
    content: bytes
    media_type: str
    digest: str


@blueprint.function_name("get_monitor")
@blueprint.route(route="monitor/{*path}", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@answers_problems
def get_monitor(req: func.HttpRequest) -> func.HttpResponse:
    """Returns the page, or one of its files."""
    if urlsplit(req.url).path.endswith("/"):  # its links are relative to the path without a slash
        return func.HttpResponse(status_code=308, headers={**_HEADERS, "Location": "../monitor"})
    path = str(req.route_params.get("path") or PAGE)
    found = files().get(path)
    if found is None:
        return func.HttpResponse("no such file", status_code=404, mimetype="text/plain", headers=_HEADERS)
    headers = {**_HEADERS, "ETag": f'"{found.digest}"'}
    if conditional.is_known(req.headers.get("If-None-Match", ""), found.digest):
        return func.HttpResponse(status_code=304, headers=headers)
    return func.HttpResponse(found.content, mimetype=found.media_type, charset="utf-8", headers=headers)


@cache
def files() -> Mapping[str, _File]:
    """The files of the page by their paths: no other path is ever looked up on the disk."""
    return {
        str(PurePosixPath(path.relative_to(FOLDER))): _file(path)
        for path in sorted(FOLDER.rglob("*"))
        if path.suffix in _MEDIA_TYPES
    }


def _file(path: Path) -> _File:
    content = path.read_bytes()
    return _File(content, _MEDIA_TYPES[path.suffix], hashlib.sha256(content).hexdigest()[:32])
