"""An identity of Microsoft Entra for tests, and a role of PostgreSQL whose password is its present token."""

import secrets
import time
from contextlib import closing
from typing import Any

import psycopg2
from azure.core.credentials import AccessToken
from psycopg2 import sql

_LIFETIME_SECONDS = 3600


class RoleCredential:
    """Gives the token that the server accepts from a role, as the identity service and PostgreSQL in Azure do together.

    Args:
        owner_url: reaches the server as one who may set the role's password.
        role: the role; it exists.

    Attributes:
        token: the one that is given.
        scopes: what was asked for, a request each.
        failure: raised instead of giving a token, None for no failure.
    """

    def __init__(self, owner_url: str, role: str) -> None:
        self._owner_url = owner_url
        self._role = role
        self.token = ""
        self.scopes: list[tuple[str, ...]] = []
        self.failure: Exception | None = None
        self.renew()

    def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        self.scopes.append(scopes)
        if self.failure is not None:
            raise self.failure
        return AccessToken(self.token, int(time.time()) + _LIFETIME_SECONDS)

    def renew(self) -> None:
        """Lets the token expire: the server accepts a new one from now on, which is given from now on."""
        self.token = self.expire()

    def expire(self) -> str:
        """Lets the token expire; returns the new one, which is not given yet."""
        token = f"eyJ0{secrets.token_urlsafe(600)}"  # longer than any password, as tokens are
        statement = sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(self._role), sql.Literal(token))
        with closing(psycopg2.connect(self._owner_url)) as conn:
            conn.autocommit = True
            with conn.cursor() as cursor:
                cursor.execute(statement)
        return token
