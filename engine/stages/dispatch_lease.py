import uuid

from core.models import StageKey
from repositories.ports import Database
from repositories.transactions import transact


class DispatchLease:
    """The right of one dispatcher to dispatch a stage, until it is released or expires.

    Attributes:
        key: the stage.
        lease_id: names the lease on the stage's row.
        seconds: how long the lease lasts after it is taken or renewed.
    """

    def __init__(self, database: Database, key: StageKey, seconds: float) -> None:
        self.key = key
        self.lease_id = uuid.uuid4().hex
        self.seconds = seconds
        self._database = database

    def take(self) -> bool:
        """Takes the lease; returns False when another dispatcher holds it."""
        return transact(
            self._database, lambda work: work.stages.acquire_dispatch_lease(self.key, self.lease_id, self.seconds)
        )

    def renew(self) -> bool:
        """Renews the lease; returns False when it is lost."""
        return transact(
            self._database, lambda work: work.stages.renew_dispatch_lease(self.key, self.lease_id, self.seconds)
        )

    def release(self) -> None:
        """Releases the lease, if it is still held."""
        transact(self._database, lambda work: work.stages.release_dispatch_lease(self.key, self.lease_id))
