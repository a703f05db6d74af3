"""Checks the connection strings of storage accounts without showing them: they hold a key."""

import re

_DEVELOPMENT = (
    "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;"
    "AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==;"
    "QueueEndpoint=http://127.0.0.1:10001/devstoreaccount1;"
)
"""Azurite on its default port, with the account and the key that Microsoft publishes for it. The client for Python does
not know the short form."""

_KEY = re.compile(r"[A-Za-z0-9+/]+={0,2}")


def storage_account(connection_string: str) -> str:
    """Returns a connection string that the client of Storage Queues accepts: it checks little before the first send.

    Raises:
        ValueError: it is none; the message says what is right and repeats nothing.
    """
    parts = [part.partition("=") for part in connection_string.strip().rstrip(";").split(";")]
    given = {name.strip().lower(): value for name, equals, value in parts if equals}
    if given.get("usedevelopmentstorage", "").lower() == "true":
        return _DEVELOPMENT
    if len(given) < len(parts) or not given.get("accountname") or not _KEY.fullmatch(given.get("accountkey", "")):
        raise ValueError(
            "must read DefaultEndpointsProtocol=https;AccountName=NAME;AccountKey=...;EndpointSuffix=core.windows.net, "
            "or UseDevelopmentStorage=true"
        )
    return connection_string
