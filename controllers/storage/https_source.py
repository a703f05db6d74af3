"""Reads a file over https, range by range."""

import http.client
import re
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass
from email.message import Message
from http import HTTPStatus
from typing import IO
from urllib.parse import urlsplit

from typing_extensions import override

from controllers.storage.source import Source
from core.errors import SourceError, SourceUnavailableError, source_changed

_TIMEOUT_SECONDS = 20.0
"""The timeout of one wait on the socket: far shorter than a message lock (60 s)."""

_DEFAULT_PORT = 443
_CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+)", re.ASCII)
_PASSING = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})


class HttpsSource(Source):
    """A file behind an https URL whose server answers range requests.

    Certificates are checked against the system's authorities, or those that SSL_CERT_FILE names.

    Args:
        url: https.
        name: names the source in errors.
        allowed_hosts: "host" (port 443) or "host:port"; redirects must lead to these hosts too.
        version: the version that the file must have; None takes the one that the first read finds.

    Raises:
        SourceError: the host is not allowed.
    """

    block_bytes = 4 * 1024 * 1024

    def __init__(self, url: str, name: str, allowed_hosts: frozenset[str], version: str | None = None) -> None:
        check_host(url, allowed_hosts)
        self._url = url
        self._name = name
        self._etag: str | None = None
        self._size: int | None = None
        self._version = version
        # Assembled by hand, because urlopen would also handle http, ftp and file URLs.
        self._opener = urllib.request.OpenerDirector()
        for handler in (
            urllib.request.ProxyHandler(),
            urllib.request.HTTPSHandler(context=ssl.create_default_context()),
            _AllowedRedirects(allowed_hosts),
            urllib.request.HTTPDefaultErrorHandler(),
            urllib.request.HTTPErrorProcessor(),
        ):
            self._opener.add_handler(handler)

    @override
    def read(self, offset: int, length: int) -> bytes:
        """Requests one range.

        Raises:
            SourceError: the server refuses, does not answer range requests, or now has another file.
            SourceUnavailableError: the server cannot be reached, is busy, or broke off.
        """
        if self._size is not None and offset >= self._size:
            return b""
        try:
            with self._opener.open(self._request(offset, length), timeout=_TIMEOUT_SECONDS) as response:
                return self._body(response, offset, length)
        except urllib.error.HTTPError as exc:
            with exc:
                return self._refused(exc, offset)
        except (http.client.InvalidURL, ValueError):  # their texts repeat the URL, with its query
            raise SourceError(
                f"{self._name} has characters that need percent-encoding, or leads to what is no URL"
            ) from None
        except (OSError, http.client.HTTPException) as exc:
            raise SourceUnavailableError(f"{self._name} cannot be read now: {exc}") from exc

    @override
    def size(self) -> int:
        return self._size or 0

    @override
    def version(self) -> str:
        return self._version or ""

    def _request(self, offset: int, length: int) -> urllib.request.Request:
        headers = {
            "Range": f"bytes={offset}-{offset + length - 1}",
            "Accept-Encoding": "identity",  # ranges count bytes of the file, not of a compressed form
            "User-Agent": "lockstep",
        }
        if self._etag is not None:
            headers["If-Range"] = self._etag
        return urllib.request.Request(self._url, headers=headers)  # noqa: S310 - checked to be https

    def _body(self, response: http.client.HTTPResponse, offset: int, length: int) -> bytes:
        if response.status != HTTPStatus.PARTIAL_CONTENT:
            if self._etag is not None:
                raise source_changed(self._name)
            raise SourceError(
                f"the server of {self._name} does not answer range requests: "
                f"status {response.status} instead of {HTTPStatus.PARTIAL_CONTENT}"
            )
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise SourceError(f"the server of {self._name} sends it compressed, so its ranges cannot be used")
        given = _ContentRange.parse(response.headers)
        if given is not None:
            self._remember(response.headers, given.size)
        if given is None or given.start != offset or not offset <= given.end < min(offset + length, given.size):
            raise SourceError(
                f"the server of {self._name} answers another range than bytes {offset}-{offset + length - 1}: "
                f"{response.headers.get('Content-Range')!r}"
            )
        wanted = min(length, given.size - offset)
        if given.length < wanted:
            raise SourceUnavailableError(f"the server of {self._name} answers {given.length:,} of {wanted:,} bytes")
        data = response.read(given.length)
        if len(data) != given.length:
            raise SourceUnavailableError(f"{self._name} broke off after {len(data):,} of {given.length:,} bytes")
        return data

    def _refused(self, error: urllib.error.HTTPError, offset: int) -> bytes:
        if error.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            whole = _ContentRange.parse(error.headers)
            if whole is not None:
                self._remember(error.headers, whole.size)
                if offset >= whole.size:
                    return b""
        message = f"the server of {self._name} answers {error.code} {error.reason}"
        if error.code in _PASSING or error.code >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise SourceUnavailableError(message) from error
        raise SourceError(message) from error

    def _remember(self, headers: Message, size: int) -> None:
        etag = headers.get("ETag")
        if etag is not None and etag.startswith("W/"):  # If-Range allows only strong ETags, RFC 9110 13.1.5
            etag = None
        if (self._size is not None and size != self._size) or (etag and self._etag and etag != self._etag):
            raise source_changed(self._name)
        self._size = size
        self._etag = self._etag or etag
        version = self._etag or f"{headers.get('Last-Modified', '')} {size}".strip()
        if self._version not in {None, version}:
            raise source_changed(self._name)
        self._version = version


def check_host(url: str, allowed_hosts: frozenset[str]) -> None:
    """Checks that a URL leads to an allowed host.

    Raises:
        SourceError: the URL is not https, its host and port are not allowed, or it has a user name or a password.
    """
    try:
        parts = urlsplit(url)
    except ValueError:  # its text quotes the user name and the password
        raise SourceError("a URL cannot be read: its host is not valid") from None
    try:
        host = f"{parts.hostname}:{parts.port or _DEFAULT_PORT}"
    except ValueError as exc:
        raise SourceError(f"a URL of host {parts.hostname} has a port that is not a number") from exc
    allowed = {name.lower() if ":" in name else f"{name.lower()}:{_DEFAULT_PORT}" for name in allowed_hosts}
    if parts.scheme != "https" or host not in allowed:
        raise SourceError(f"{parts.scheme}://{host} is not among the allowed source hosts")
    if parts.username is not None or parts.password is not None:  # the error of a request would repeat them
        raise SourceError(f"a URL of host {parts.hostname} must not contain a user name or a password")


@dataclass(frozen=True)
class _ContentRange:
    """A Content-Range header (RFC 9110 14.4): first and last byte, and the size of the whole file."""

    start: int
    end: int
    size: int

    @property
    def length(self) -> int:
        return self.end - self.start + 1

    @classmethod
    def parse(cls, headers: Message) -> "_ContentRange | None":
        match = _CONTENT_RANGE.fullmatch(headers.get("Content-Range", ""))
        if match is None:
            return None
        start, end, size = match.groups(default="0")
        return cls(int(start), int(end), int(size))


class _AllowedRedirects(urllib.request.HTTPRedirectHandler):
    def __init__(self, allowed_hosts: frozenset[str]) -> None:
        self._allowed_hosts = allowed_hosts

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        try:
            check_host(newurl, self._allowed_hosts)
        except SourceError:
            fp.close()
            raise
        return super().redirect_request(req, fp, code, msg, headers, newurl)
