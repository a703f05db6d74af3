"""Checks the connection strings of the settings without showing them: each holds a secret.

The drivers repeat a part of a wrong connection string in their errors, which may be a part of the password. So a string
that a driver would misread is refused before a driver sees it.
"""

import re
from urllib.parse import parse_qs, quote, unquote

from core.storage_connections import is_account_key

_HOST = r"(?:\[[^\]@/]*\]|[^\s:,/?@\[\]]*)(?::\d{0,5})?"
_POSTGRES_URL = re.compile(rf"postgres(?:ql)?://(?:[^@/]*@)?{_HOST}(?:,{_HOST})*(?:/[^@?]*)?(?:\?[^@]*)?")
_POSTGRES_PARTS = re.compile(r"[^:]*://(?:(?P<user_info>[^@/]*)@)?(?P<hosts>[^/?]*)(?:/[^?]*)?(?:\?(?P<query>.*))?")
_BAD_ESCAPE = re.compile(r"%(?:00|(?![0-9A-Fa-f]{2}))|\x00")
_VERIFIED = frozenset({"verify-ca", "verify-full"})
_ENCRYPTED = _VERIFIED | {"require"}
_LOCAL_HOST = re.compile(r"(?:127\.\d+\.\d+\.\d+|localhost|\[?::1\]?|(?:%2F|/).*)(?::\d*)?", re.IGNORECASE)
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


def what_forbids_tokens(url: str) -> str | None:
    """Says why a URL that `check_postgres_url` takes does not suit an identity; None if it does.

    A token is a password for about an hour, and PostgreSQL in Azure asks for it in clear text: only TLS hides it on its
    way. A host of this machine, such as a PgBouncer beside the app, may do without.
    """
    user_info, hosts, named = _parts(url)
    user, _, password = user_info.partition(":")
    if password or "password" in named:
        return "must have no password with DATABASE_AUTH=entra: the app's identity gets one"
    if not (user or "user" in named):
        return "must name a user with DATABASE_AUTH=entra: the role of PostgreSQL that the app's identity has"
    addresses = [each for value in named.get("hostaddr", named.get("host", [hosts])) for each in value.split(",")]
    if _sslmode(named) in _ENCRYPTED or all(_LOCAL_HOST.fullmatch(each) for each in addresses):
        return None
    return "must have ?sslmode=verify-full, verify-ca or require with DATABASE_AUTH=entra: a token is a password"


def with_root_certificates(url: str, file: str) -> str:
    """Returns a URL that verifies the server by this file of root certificates, if it verifies it and names no other.

    libpq would look for one in the home directory, which a host in Azure has not.
    """
    _, _, named = _parts(url)
    if _sslmode(named) not in _VERIFIED or "sslrootcert" in named:
        return url
    return f"{url}&sslrootcert={quote(file, safe='/')}"


def _parts(url: str) -> tuple[str, str, dict[str, list[str]]]:
    """Returns the user info, the hosts and the named values, as libpq divides a URL: urlsplit knows one host only."""
    match = _POSTGRES_PARTS.fullmatch(url)
    assert match, "check_postgres_url accepts no such URL"
    return match["user_info"] or "", match["hosts"], parse_qs(match["query"] or "")


def _sslmode(named: dict[str, list[str]]) -> str:
    return named.get("sslmode", [""])[-1]


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


def check_blob_storage(connection_string: str) -> str:
    """Returns a connection string of a storage account that its client accepts.

    Raises:
        ValueError: it is none; the message says what is right and repeats nothing.
    """
    connection_string = connection_string.strip().rstrip(";")  # a line break at the end is malformed to the client
    given = _storage_parts(connection_string)
    is_complete = all("=" in part for part in connection_string.split(";"))
    if not is_complete or not given.get("accountname") or not is_account_key(given.get("accountkey", "")):
        raise ValueError(
            "must read DefaultEndpointsProtocol=https;AccountName=NAME;AccountKey=...;EndpointSuffix=core.windows.net"
        )
    return connection_string


def blob_endpoint(connection_string: str) -> str:
    """Returns the URL of the blobs of a storage account, without a slash at the end."""
    given = _storage_parts(connection_string)
    protocol, suffix = given.get("defaultendpointsprotocol", "https"), given.get("endpointsuffix", "core.windows.net")
    return given.get("blobendpoint", f"{protocol}://{given['accountname']}.blob.{suffix}").rstrip("/")


def _storage_parts(connection_string: str) -> dict[str, str]:
    # The client knows no name with a space before it, and would ask without the key.
    parts = (part.partition("=") for part in connection_string.split(";"))
    return {name.lower(): value for name, _, value in parts if value}
