"""Connections: how the settings say PostgreSQL and the broker are reached, and as whom."""

from azure.core.credentials import TokenCredential
from azure.identity import ClientSecretCredential, DefaultAzureCredential, ManagedIdentityCredential

from core.lanes import BATCHES_QUEUE, JOBS_QUEUE, LONG_TASKS_QUEUE, TASKS_QUEUE, URGENT_TASKS_QUEUE
from repositories import queue_counts as service_bus_counts
from repositories import service_bus
from repositories.pool import ConnectionPool
from repositories.ports import QueueCounts
from repositories.postgres import PostgresDatabase
from repositories.transaction_limits import limits_of_kinds
from settings import Settings


def database(settings: Settings) -> PostgresDatabase:
    """The database, with a pool of connections and the deadlines of its transactions; connects at the first use."""
    limits = limits_of_kinds(
        settings.database_lock_timeout_seconds,
        settings.database_statement_timeout_seconds,
        settings.job_type_statement_timeout_seconds,
    )
    return PostgresDatabase(ConnectionPool(settings.database_url, settings.database_pool_size), limits)


def most(settings: Settings, database: PostgresDatabase) -> int:
    """How many connections PostgreSQL takes from clients, or what stands before it, if a setting says that.

    Raises:
        DatabaseUnavailableError: PostgreSQL cannot be reached.
    """
    if settings.database_max_connections is not None:
        return settings.database_max_connections
    with database.transaction() as work:
        return work.max_connections()


def message_queue(settings: Settings) -> service_bus.ServiceBusRepository:
    """The queues of the namespace that the settings name."""
    queues = (JOBS_QUEUE, TASKS_QUEUE, LONG_TASKS_QUEUE)
    optional = (URGENT_TASKS_QUEUE, BATCHES_QUEUE)  # a deployment from before urgent jobs, or envelopes, has none
    if settings.service_bus_connection is not None:
        return service_bus.by_connection_string(settings.service_bus_connection, queues, optional_queues=optional)
    assert settings.service_bus_namespace is not None, "Settings requires one of the two"
    return service_bus.by_identity(settings.service_bus_namespace, credential(settings), queues, optional)


def queue_counts(settings: Settings) -> QueueCounts:
    """Counts the messages of these queues, if the identity may."""
    if settings.service_bus_connection is not None:
        return service_bus_counts.by_connection_string(
            settings.service_bus_connection, settings.service_bus_management_url
        )
    assert settings.service_bus_namespace is not None, "Settings requires one of the two"
    return service_bus_counts.by_identity(settings.service_bus_namespace, credential(settings))


def credential(settings: Settings) -> TokenCredential:
    """The identity of the app, that which the Functions host receives with: it chooses in this order, too."""
    client_id = settings.service_bus_client_id
    tenant_id, client_secret = settings.service_bus_tenant_id, settings.service_bus_client_secret
    if settings.service_bus_credential is not None:  # managedidentity, the only kind that Settings accepts
        return ManagedIdentityCredential(client_id=client_id)
    if client_id and tenant_id and client_secret:
        return ClientSecretCredential(tenant_id, client_id, client_secret)
    return DefaultAzureCredential(managed_identity_client_id=client_id)
