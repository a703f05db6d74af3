"""Where the app is and with which key: both go into requests here and nowhere else."""

import ipaddress
import json
import re
from collections.abc import Generator
from typing import Any
from urllib.parse import urlsplit

import httpx

from client.calls import Call
from client.errors import InvalidArgumentError

KEY_HEADER = "x-functions-key"

_USER_AGENT = "lockstep-client"
_CONNECT_SECONDS = 10.0
_VISIBLE = re.compile(r"[!-~]+", re.ASCII)


class FunctionKey(httpx.Auth):
    """Puts the access key of the app into a header. It is in no URL, and no text shows it.

    Redirects are not followed, so it never goes to another host.

    Raises:
        InvalidArgumentError: the key has characters that no header may have.
    """

    def __init__(self, key: str | None) -> None:
        self._key = (key or "").strip()
        # httpx would show the key in the text of its error.
        if self._key and not _VISIBLE.fullmatch(self._key):
            raise InvalidArgumentError("the key must be visible ASCII characters")

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Adds the key to a request."""
        if self._key:
            request.headers[KEY_HEADER] = self._key
        yield request


def base_url(url: str) -> str:
    """Returns the URL of the app, without a trailing `/` and `/api`.

    Raises:
        InvalidArgumentError: it has no host, or has a user, a query or a fragment, which may hold a secret.
    """
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or True)
    except ValueError:
        usable = False
    if not usable:
        raise InvalidArgumentError("the URL must look like https://my-app.azurewebsites.net")
    if parts.query or parts.fragment or parts.username is not None:
        raise InvalidArgumentError("the URL must not have a user, a query or a fragment; a key goes into LOCKSTEP_KEY")
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/').removesuffix('/api')}"


def client_options(url: str, key: str | None, timeout_seconds: float) -> dict[str, Any]:
    """Returns what both kinds of httpx client are made with."""
    return {
        "base_url": f"{url}/api",
        "auth": FunctionKey(key),
        "timeout": httpx.Timeout(timeout_seconds, connect=min(timeout_seconds, _CONNECT_SECONDS)),
        "headers": {"User-Agent": _USER_AGENT},
        "follow_redirects": False,
        "trust_env": not _is_this_machine(url),  # no proxy leads to this machine
    }


def request_options(call: Call[Any]) -> dict[str, Any]:
    """Returns what httpx is given for a call."""
    options: dict[str, Any] = {
        "method": call.method,
        "url": call.path,
        "params": dict(call.query),
        "headers": dict(call.headers),
    }
    if call.body is not None:
        options["headers"]["Content-Type"] = "application/json"
        options["content"] = json.dumps(call.body, allow_nan=False)
    return options


def not_reachable(url: str, exc: httpx.HTTPError) -> str:
    """Says that the app cannot be reached, and why."""
    why = "no answer in time" if isinstance(exc, httpx.TimeoutException) else str(exc) or type(exc).__name__
    return f"{url} cannot be reached: {why}"


def _is_this_machine(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
