"""Checks the connection strings of storage accounts without showing them: they hold a key."""

import base64
import binascii

_DEVELOPMENT = (
    "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;"
    "AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==;"
    "QueueEndpoint=http://127.0.0.1:10001/devstoreaccount1;"
)
"""Azurite on its default port, with the account and the key that Microsoft publishes for it. The client for Python does
not know the short form."""


def is_account_key(text: str) -> bool:
    """Whether a client can sign with a key: it decodes the key at each call, and calls that unreachable which fails."""
    try:
        return bool(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):  # ValueError: it is not ASCII
        return False


def storage_account(connection_string: str) -> str:
    """Returns a connection string that the client of Storage Queues accepts: it checks little before the first send.

    Raises:
        ValueError: it is none; the message says what is right and repeats nothing.
    """
    connection_string = connection_string.strip().rstrip(";")  # a line break at the end is malformed to the client
    parts = [part.partition("=") for part in connection_string.split(";")]
    given = {name.lower(): value for name, equals, value in parts if equals}  # the client knows no name with a space
    if given.get("usedevelopmentstorage", "").lower() == "true":
        return _DEVELOPMENT
    if len(given) < len(parts) or not given.get("accountname") or not is_account_key(given.get("accountkey", "")):
        raise ValueError(
            "must read DefaultEndpointsProtocol=https;AccountName=NAME;AccountKey=...;EndpointSuffix=core.windows.net, "
            "or UseDevelopmentStorage=true"
        )
    return connection_string
