"""Whether PostgreSQL takes the connections that all instances of the app may open."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class ConnectionBudget:
    """What the instances of one app may open, and what they may use.

    Attributes:
        instances: the most instances of the app; None if nobody has said.
        processes: worker processes of an instance.
        pool_size: the most connections of a worker process.
        allowed: asks how many connections clients may have in all.
    """

    instances: int | None
    processes: int
    pool_size: int
    allowed: Callable[[], int]

    @property
    def most(self) -> int | None:
        """The most connections that the app may open; None without a number of instances."""
        return None if self.instances is None else self.instances * self.processes * self.pool_size

    def shortage(self) -> str | None:
        """Says by how much the app may ask for too many, and what helps; None if it may not, or nobody can tell.

        Raises:
            DatabaseUnavailableError: PostgreSQL cannot be reached.
        """
        if self.most is None:
            return None
        allowed = self.allowed()
        if self.most <= allowed:
            return None
        return (
            f"{self.instances} instances may open {self.most:,} connections ({self.processes} * {self.pool_size} each) "
            f"and PostgreSQL takes {allowed:,}: lower DATABASE_POOL_SIZE or the number of instances, or connect "
            "through PgBouncer"
        )
