"""Serves a page for people: a fixed list of files with strict headers and entity tags."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from urllib.parse import urlsplit

import azure.functions as func

from api import conditional

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
class PageFile:
    """A file as it is served."""

    content: bytes
    media_type: str
    digest: str


def files_of(folder: Path) -> dict[str, Path]:
    """Returns the files of a page by their paths under its folder."""
    return {
        str(PurePosixPath(path.relative_to(folder))): path
        for path in sorted(folder.rglob("*"))
        if path.suffix in _MEDIA_TYPES
    }


def answer(req: func.HttpRequest, name: str, files: Mapping[str, Path]) -> func.HttpResponse:
    """Returns the page, or one of its files: no other path is ever looked up on the disk.

    Args:
        req: the request; its route ends with `{*path}`.
        name: the last part of the page's path.
        files: the files of the page by the paths that its links have; one is `PAGE`.
    """
    if urlsplit(req.url).path.endswith("/"):  # its links are relative to the path without a slash
        return func.HttpResponse(status_code=308, headers={**_HEADERS, "Location": f"../{name}"})
    path = files.get(str(req.route_params.get("path") or PAGE))
    if path is None:
        return func.HttpResponse("no such file", status_code=404, mimetype="text/plain", headers=_HEADERS)
    found = read(path)
    headers = {**_HEADERS, "ETag": f'"{found.digest}"'}
    if conditional.is_known(req.headers.get("If-None-Match", ""), found.digest):
        return func.HttpResponse(status_code=304, headers=headers)
    return func.HttpResponse(found.content, mimetype=found.media_type, charset="utf-8", headers=headers)


@cache
def read(path: Path) -> PageFile:
    """Reads a file once."""
    content = path.read_bytes()
    return PageFile(content, _MEDIA_TYPES[path.suffix], hashlib.sha256(content).hexdigest()[:32])
