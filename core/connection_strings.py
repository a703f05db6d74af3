"""Checks the connection strings of the settings without showing them: both hold a secret.

The drivers repeat a part of a wrong connection string in their errors, which may be a part of the password. So a string
that a driver would misread is refused before a driver sees it.
"""

import re
from urllib.parse import unquote

_HOST = r"(?:\[[^\]@/]*\]|[^\s:,/?@\[\]]*)(?::\d{0,5})?"
_POSTGRES_URL = re.compile(rf"postgres(?:ql)?://(?:[^@/]*@)?{_HOST}(?:,{_HOST})*(?:/[^@?]*)?(?:\?[^@]*)?")
_BAD_ESCAPE = re.compile(r"%(?:00|(?![0-9A-Fa-f]{2}))|\x00")
_ENDPOINT = re.compile(r"[A-Za-z]+://[^\s/@\[\]]+/?")


def check_postgres_url(url: str) -> str:
    """Returns a URL that libpq reads as it was meant: an `@` or `/` in a password would end the password early.

    Raises:
        ValueError: it is none; the message says what is right and repeats nothing.
    """
    if not _POSTGRES_URL.fullmatch(url) or _BAD_ESCAPE.search(url) or not _is_utf8(url):
        raise ValueError(
            "must read postgresql://USER:PASSWORD@HOST:PORT/NAME; percent-encode the special characters of a user name "
            "or password, for example @ as %40, / as %2F and % as %25"
        )
    return url


def _is_utf8(url: str) -> bool:
    try:
        unquote(url, errors="strict").encode()
    except UnicodeError:
        return False
    return True


def check_service_bus(connection_string: str) -> str:
    """Returns a connection string of Service Bus that its client accepts: the client checks it at each send.

    Raises:
        ValueError: it is none; the message says what is right and repeats nothing.
    """
    parts = [part.partition("=") for part in connection_string.strip().rstrip(";").split(";")]
    given = {name.lower(): value for name, _, value in parts if value}
    signature, name, key = (given.get(f"sharedaccess{part}") for part in ("signature", "keyname", "key"))
    is_complete = all(equals for _, equals, _ in parts) and _ENDPOINT.fullmatch(given.get("endpoint", ""))
    if not is_complete or bool(signature) == bool(key) or bool(name) != bool(key):
        raise ValueError(
            "must read Endpoint=sb://NAME.servicebus.windows.net/;SharedAccessKeyName=...;SharedAccessKey=..."
        )
    return connection_string
