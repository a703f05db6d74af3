"""Connections: how the settings say PostgreSQL and the broker are reached, and as whom."""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import certifi
from azure.core.credentials import TokenCredential

from controllers.storage.blob_accounts import BlobAccounts, Reopening
from core.connection_strings import blob_endpoint, with_root_certificates
from core.errors import SchemaBehindError
from core.lanes import BATCHES_QUEUE, JOBS_QUEUE, LONG_TASKS_QUEUE, QUEUES, TASKS_QUEUE, URGENT_TASKS_QUEUE, Transport
from repositories import identities, migrations, service_bus
from repositories import queue_counts as service_bus_counts
from repositories.blob_stores import open_stores
from repositories.entra import TokenPassword
from repositories.identities import Identity
from repositories.pool import ConnectionPool
from repositories.ports import PoisonQueues, QueueCounts
from repositories.postgres import PostgresDatabase
from repositories.transaction_limits import limits_of_kinds
from settings import DatabaseSettings, Settings

# The client of storage queues is imported where it is used: the apps that do without it start without it.
if TYPE_CHECKING:
    from repositories.storage_account import StorageAccount
    from repositories.storage_queues import StorageQueueRepository


def database(settings: DatabaseSettings) -> PostgresDatabase:
    """The database, with a pool of connections and the deadlines of its transactions; connects at the first use."""
    return _opened(settings, _login(settings))


def migrated_database(settings: Settings, job_types: Sequence[Path]) -> PostgresDatabase:
    """The database, with the schema that this version needs: brought up to date here, or else by `python -m migrate`.

    Raises:
        DatabaseUnavailableError: PostgreSQL is unavailable.
        SchemaBehindError: migrations are pending, and MIGRATE_ON_START says that the app does not apply them.
    """
    login = _login(settings)
    opened = _opened(settings, login)
    try:
        if settings.migrate_on_start:
            migrations.apply(opened, login.url, job_types, password=login.password)
        else:
            _require_migrated(opened, job_types)
    except BaseException:
        opened.close()
        raise
    return opened


def _require_migrated(opened: PostgresDatabase, job_types: Sequence[Path]) -> None:
    if pending := migrations.pending(opened, job_types):
        raise SchemaBehindError(pending)


def migrate(settings: DatabaseSettings, job_types: Sequence[Path], wait_seconds: float) -> list[str]:
    """Applies the pending migrations as a step of a deployment; returns their ids.

    Raises:
        DatabaseError: see `repositories.migrations.apply`.
    """
    login = _login(settings)
    with closing(_opened(settings, login)) as opened:
        return migrations.apply(opened, login.url, job_types, password=login.password, wait_seconds=wait_seconds)


def most(settings: Settings, database: PostgresDatabase) -> int:
    """How many connections PostgreSQL takes from clients, or what stands before it, if a setting says that.

    Raises:
        DatabaseUnavailableError: PostgreSQL cannot be reached.
    """
    if settings.database_max_connections is not None:
        return settings.database_max_connections
    with database.transaction() as work:
        return work.max_connections()


def message_queue(settings: Settings) -> "service_bus.ServiceBusRepository | StorageQueueRepository":
    """The queues of the namespace, or of the storage account, that the settings name."""
    foreign = () if settings.job_events is None else (settings.job_events,)
    if settings.transport == Transport.STORAGE:
        return _storage_queues(settings, foreign)
    queues = (JOBS_QUEUE, TASKS_QUEUE, LONG_TASKS_QUEUE)
    optional = (URGENT_TASKS_QUEUE, BATCHES_QUEUE)  # a deployment from before urgent jobs, or envelopes, has none
    if settings.service_bus_connection is not None:
        return service_bus.by_connection_string(
            settings.service_bus_connection, queues, optional_queues=optional, foreign_queues=foreign
        )
    assert settings.service_bus_namespace is not None, "Settings requires one of the two"
    return service_bus.by_identity(settings.service_bus_namespace, credential(settings), queues, optional, foreign)


def queue_counts(settings: Settings) -> dict[Transport, QueueCounts]:
    """Counts the messages of the queues of each connected transport, if the identity may; first those of new jobs."""
    connected: dict[Transport, Callable[[Settings], QueueCounts]] = {}
    if settings.has_service_bus:
        connected[Transport.SERVICE_BUS] = _service_bus_counts
    if settings.has_storage:
        connected[Transport.STORAGE] = _storage_counts
    first = settings.transport
    return {each: connected[each](settings) for each in sorted(connected, key=lambda each: each != first)}


def _storage_counts(settings: Settings) -> QueueCounts:
    from repositories.storage_queue_counts import StorageQueueCounts  # noqa: PLC0415 - as said above

    return StorageQueueCounts(_storage_account(settings))


def _service_bus_counts(settings: Settings) -> QueueCounts:
    if settings.service_bus_connection is not None:
        return service_bus_counts.by_connection_string(
            settings.service_bus_connection, settings.service_bus_management_url
        )
    assert settings.service_bus_namespace is not None, "Settings requires one of the two"
    return service_bus_counts.by_identity(settings.service_bus_namespace, credential(settings))


def storage_beside(settings: Settings) -> "StorageQueueRepository | None":
    """The storage queues of jobs that do without Service Bus, in an app that sends by it; None if it has none."""
    uses_both = settings.transport == Transport.SERVICE_BUS and settings.has_storage
    return _storage_queues(settings) if uses_both else None


def poison_queues(settings: Settings) -> PoisonQueues | None:
    """Where the Functions host puts the messages of storage queues that it gives up on; None without such queues."""
    if not settings.has_storage:
        return None
    from repositories.storage_poison_queues import StoragePoisonQueues  # noqa: PLC0415 - as said above

    return StoragePoisonQueues(_storage_account(settings))


def _storage_queues(settings: Settings, foreign_queues: Sequence[str] = ()) -> "StorageQueueRepository":
    from repositories.storage_queues import StorageQueueRepository  # noqa: PLC0415 - as said above

    return StorageQueueRepository(_storage_account(settings), QUEUES, foreign_queues=foreign_queues)


def _storage_account(settings: Settings) -> "StorageAccount":
    from repositories import storage_account  # noqa: PLC0415 - as said above

    if settings.storage_connection is not None:
        return storage_account.by_connection_string(settings.storage_connection)
    url = settings.storage_url or f"https://{settings.storage_account}.queue.core.windows.net"
    identity = {
        "service_bus_credential": settings.storage_credential,
        "service_bus_client_id": settings.storage_client_id,
        "service_bus_tenant_id": settings.storage_tenant_id,
        "service_bus_client_secret": settings.storage_client_secret,
        "service_bus_resource_id": settings.storage_resource_id,
        "service_bus_token_file": None,
    }
    return storage_account.by_identity(url, credential(settings.model_copy(update=identity)))


def blob_accounts(settings: Settings) -> BlobAccounts:
    """The storage accounts whose blobs jobs may use; nothing is opened before the first blob is."""
    urls = {url.rstrip("/") for url in settings.allowed_blob_accounts}
    default = settings.blob_account_url and settings.blob_account_url.rstrip("/")
    if default:
        urls.add(default)
    if settings.blob_connection_string is not None:
        default = blob_endpoint(settings.blob_connection_string)
        urls.discard(default)
    given = {
        "account_urls": sorted(urls),
        "identity": asdict(_identity(settings)),
        "connection_string": settings.blob_connection_string,
    }
    reopening = Reopening(open_stores.__module__, open_stores.__name__, given)
    return BlobAccounts(open_stores(given), default, reopening)


def credential(settings: DatabaseSettings) -> TokenCredential:
    """The identity of the app, that which the Functions host receives with: it chooses in this order, too.

    Raises:
        ConfigurationError: the settings of a workload identity are not complete.
    """
    return identities.credential(_identity(settings))


def _identity(settings: DatabaseSettings) -> Identity:
    return Identity(
        settings.service_bus_credential,
        settings.service_bus_client_id,
        settings.service_bus_tenant_id,
        settings.service_bus_client_secret,
        settings.service_bus_resource_id,
        settings.service_bus_token_file,
    )


def database_credential(settings: DatabaseSettings) -> TokenCredential:
    """The identity that connects to PostgreSQL: that of the app, unless DATABASE_CLIENT_ID names another one."""
    if settings.database_client_id is None:
        return credential(settings)
    other = {"service_bus_client_id": settings.database_client_id, "service_bus_resource_id": None}
    return credential(settings.model_copy(update={**other, "service_bus_client_secret": None}))


@dataclass(frozen=True)
class _Login:
    """Where PostgreSQL is, and what gives the password of a new connection; None if the URL has it."""

    url: str = field(repr=False)
    password: Callable[[], str] | None


def _login(settings: DatabaseSettings) -> _Login:
    if settings.database_auth == "password":
        return _Login(settings.database_url, None)
    url = with_root_certificates(settings.database_url, certifi.where())
    return _Login(url, TokenPassword(database_credential(settings)))


def _opened(settings: DatabaseSettings, login: _Login) -> PostgresDatabase:
    limits = limits_of_kinds(
        settings.database_lock_timeout_seconds,
        settings.database_statement_timeout_seconds,
        settings.job_type_statement_timeout_seconds,
    )
    return PostgresDatabase(ConnectionPool(login.url, settings.database_pool_size, password=login.password), limits)
