"""Connects to Azure Database for PostgreSQL as an identity of Microsoft Entra: the password is an access token."""

import threading

from azure.core.credentials import TokenCredential
from azure.core.exceptions import AzureError

from core.errors import DatabaseUnavailableError

SCOPE = "https://ossrdbms-aad.database.windows.net/.default"
"""Of the tokens that PostgreSQL in Azure accepts: https://learn.microsoft.com/azure/postgresql/security/security-entra-configure"""

_WAIT_SECONDS = 10.0
"""As long as a caller waits for a connection of the pool."""


class TokenPassword:
    """Returns a token for each new connection; safe to use from several threads.

    The credential keeps its token, and renews it before the end: five minutes before it, or when the service says so.
    PostgreSQL looks at a token only when a connection begins, so a connection outlives its token.

    One thread at a time asks: threads that connect at the start would otherwise ask the identity service together.

    Args:
        credential: gets the tokens.
        wait_seconds: how long a thread waits for another one's request to end.
    """

    def __init__(self, credential: TokenCredential, wait_seconds: float = _WAIT_SECONDS) -> None:
        self._credential = credential
        self._wait_seconds = wait_seconds
        self._asking = threading.Lock()

    def __call__(self) -> str:
        """Returns a token.

        Raises:
            DatabaseUnavailableError: the identity gets none. The error does not repeat why, because the answer of the
                identity service may hold names and secrets; azure-identity logs it.
        """
        if not self._asking.acquire(timeout=self._wait_seconds):
            raise DatabaseUnavailableError(
                f"cannot connect to PostgreSQL: the identity service has not answered within {self._wait_seconds:g} s"
            )
        try:
            return self._credential.get_token(SCOPE).token
        except (AzureError, OSError) as exc:  # OSError: the token of a pod is a file
            raise DatabaseUnavailableError(
                f"cannot connect to PostgreSQL: the app's identity gets no token ({type(exc).__name__})"
            ) from None
        finally:
            self._asking.release()
