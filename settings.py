"""The only reader of the environment."""

import os
import re
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from typing_extensions import override

from core.connection_strings import check_blob_storage, check_postgres_url, check_service_bus, what_forbids_tokens
from core.errors import ConfigurationError
from core.lanes import QUEUES, MessagePer, Transport, poison_queue
from core.storage_connections import storage_account

_MAX_WORKER = 80
"""The most characters of the name of a process, which is written to each row that it claims. An instance id has 64."""


_BLOB_ACCOUNT = r"^https://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9-]+)?/?$"
"""https alone: a token must not travel in plain text. The path is that of an account of Azurite."""


_STORAGE_QUEUE = re.compile(r"(?=.{3,63}$)[a-z0-9]+(-[a-z0-9]+)*", re.ASCII)
"""The name of a queue ("Naming Queues and Metadata", learn.microsoft.com)."""

_CONNECTIONS = {
    Transport.SERVICE_BUS: ("ServiceBusConnection", "ServiceBusConnection__fullyQualifiedNamespace"),
    Transport.STORAGE: ("StorageConnection", "StorageConnection__queueServiceUri", "StorageConnection__accountName"),
}
"""The settings of which one says where a transport is."""


def configured_transports(environment: Mapping[str, str] = os.environ) -> frozenset[Transport]:
    """Returns the transports that the environment has connections of, whatever its other settings are."""
    given = {name.lower() for name, value in environment.items() if value}
    return frozenset(each for each, names in _CONNECTIONS.items() if any(name.lower() in given for name in names))


def _split(value: Any) -> Any:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


_IDENTITY = "ServiceBusConnection__"
_STORAGE_IDENTITY = "StorageConnection__"
_READ_BY_THE_HOST = ("ServiceBusConnection", "StorageConnection")
"""How the names of the settings begin that the Functions host reads, too."""


def _refused_identity(
    prefix: str, credential: str | None, client_id: str | None, resource_id: str | None, certificate: str | None
) -> Iterator[str]:
    """Says with which settings of a connection the app would be another identity than the Functions host."""
    if resource_id is not None:
        if client_id is not None:
            yield f"{prefix}managedIdentityResourceId: set it or clientId, not both"
        if (credential or "").lower() != "managedidentity":
            yield f"{prefix}managedIdentityResourceId: it needs {prefix}credential=managedidentity"
    if certificate is not None:
        yield (
            f"{prefix}clientCertificate: the app cannot use one, and would send as another identity than the Functions "
            "host receives with; use a managed identity or clientSecret"
        )


class DatabaseSettings(BaseModel):
    """The settings of the database and of the app's identity: what migrating needs.

    The identity is that of the connection to Service Bus: the Functions host, which receives the messages, reads the
    same settings. `database_client_id` names another one for PostgreSQL.
    """

    # Hides the input, because some values are secrets and errors at startup are logged.
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    database_url: Annotated[str, AfterValidator(check_postgres_url)] = Field(alias="DATABASE_URL")
    database_auth: Literal["password", "entra"] = Field(default="password", alias="DATABASE_AUTH")
    database_client_id: str | None = Field(default=None, alias="DATABASE_CLIENT_ID")
    service_bus_credential: str | None = Field(
        default=None, alias=f"{_IDENTITY}credential", pattern="^(?i:managedidentity|workloadidentity)$"
    )
    service_bus_client_id: str | None = Field(default=None, alias=f"{_IDENTITY}clientId")
    service_bus_resource_id: str | None = Field(default=None, alias=f"{_IDENTITY}managedIdentityResourceId")
    service_bus_tenant_id: str | None = Field(default=None, alias=f"{_IDENTITY}tenantId")
    service_bus_client_secret: str | None = Field(default=None, alias=f"{_IDENTITY}clientSecret")
    service_bus_client_certificate: str | None = Field(default=None, alias=f"{_IDENTITY}clientCertificate")
    service_bus_token_file: str | None = Field(default=None, alias=f"{_IDENTITY}tokenFilePath")
    database_pool_size: int = Field(default=16, ge=1, le=200, alias="DATABASE_POOL_SIZE")
    database_max_connections: int | None = Field(default=None, ge=1, alias="DATABASE_MAX_CONNECTIONS")
    max_instances: int | None = Field(default=None, ge=1, le=100_000, alias="MAX_INSTANCES")
    worker_processes: int = Field(default=1, ge=1, le=10, alias="FUNCTIONS_WORKER_PROCESS_COUNT")
    database_lock_timeout_seconds: float = Field(
        default=5.0, gt=0, le=3600, allow_inf_nan=False, alias="DATABASE_LOCK_TIMEOUT_SECONDS"
    )
    database_statement_timeout_seconds: float = Field(
        default=20.0, gt=0, le=3600, allow_inf_nan=False, alias="DATABASE_STATEMENT_TIMEOUT_SECONDS"
    )
    job_type_statement_timeout_seconds: float = Field(
        default=120.0, gt=0, le=3600, allow_inf_nan=False, alias="JOB_TYPE_STATEMENT_TIMEOUT_SECONDS"
    )

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Reads the settings.

        Raises:
            ConfigurationError: a setting is missing or wrong; the message names the variable.
        """
        # An empty variable counts as unset: many deployment tools express "not set" this way.
        given = cls._as_the_host_reads({name: value for name, value in environment.items() if value})
        try:
            settings = cls.model_validate(given)
        except ValidationError as exc:
            wrong = "; ".join(
                f"{'.'.join(map(str, error['loc']))}: {error['msg'].removeprefix('Value error, ')}"
                for error in exc.errors()
            )
            raise ConfigurationError(f"settings are missing or wrong: {wrong}") from exc
        if wrong := "; ".join(settings.contradictions()):
            raise ConfigurationError(f"settings are missing or wrong: {wrong}")
        return settings

    @classmethod
    def _as_the_host_reads(cls, given: Mapping[str, str]) -> dict[str, str]:
        """Spells the settings of the connections as the fields do: the Functions host takes their names in any case."""
        spelled = {
            field.alias.lower(): field.alias
            for field in cls.model_fields.values()
            if field.alias is not None and field.alias.startswith(_READ_BY_THE_HOST)
        }
        exact = sorted(given.items(), key=lambda item: item[0] in spelled.values())  # the exact name wins
        return {spelled.get(name.lower(), name): value for name, value in exact}

    def contradictions(self) -> Iterator[str]:
        """Says what is wrong with settings that are right one by one."""
        if self.database_auth == "entra" and (problem := what_forbids_tokens(self.database_url)):
            yield f"DATABASE_URL: {problem}"
        if self.database_client_id is not None and self.database_auth != "entra":
            yield "DATABASE_CLIENT_ID: it is the id of an identity, which DATABASE_AUTH=entra connects with"
        yield from _refused_identity(
            _IDENTITY,
            self.service_bus_credential,
            self.service_bus_client_id,
            self.service_bus_resource_id,
            self.service_bus_client_certificate,
        )


class Settings(DatabaseSettings):
    """The settings; the alias of a field is its environment variable.

    Of Service Bus, one of two is required: `service_bus_connection`, a connection string, or `service_bus_namespace`,
    the fully qualified name of a namespace that the app reaches with an identity; or else, of a storage account, its
    connection string, the URL of its queues, or its name.
    """

    migrate_on_start: bool = Field(default=True, alias="MIGRATE_ON_START")
    service_bus_connection: Annotated[str, AfterValidator(check_service_bus)] | None = Field(
        default=None, alias="ServiceBusConnection"
    )
    service_bus_namespace: str | None = Field(
        default=None, alias="ServiceBusConnection__fullyQualifiedNamespace", pattern=r"^[A-Za-z0-9.-]+$"
    )
    service_bus_management_url: str | None = Field(
        default=None, alias="SERVICE_BUS_MANAGEMENT_URL", pattern=r"^http://[A-Za-z0-9.\-]+:[0-9]{1,5}/?$"
    )
    dispatch_parallel: int = Field(default=10, ge=1, le=64, alias="DISPATCH_PARALLEL")
    dispatch_ahead: int = Field(default=5_000, ge=100, le=1_000_000_000, alias="DISPATCH_AHEAD")
    dispatch_slice_seconds: float = Field(default=120.0, gt=0, allow_inf_nan=False, alias="DISPATCH_SLICE_SECONDS")
    lease_seconds: float = Field(default=50.0, ge=1, allow_inf_nan=False, alias="LEASE_SECONDS")
    sweep_age_seconds: float = Field(default=60.0, ge=1, allow_inf_nan=False, alias="SWEEP_AGE_SECONDS")
    silence_seconds: float = Field(default=300.0, ge=1, allow_inf_nan=False, alias="SILENCE_SECONDS")
    shutdown_grace_seconds: float = Field(default=8.0, ge=0, allow_inf_nan=False, alias="SHUTDOWN_GRACE_SECONDS")
    retention_days: int = Field(default=30, ge=0, le=36_500, alias="RETENTION_DAYS")
    azure_log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = Field(
        default="WARNING", alias="AZURE_LOG_LEVEL"
    )
    instance_id: str | None = Field(default=None, alias="WEBSITE_INSTANCE_ID")
    site_name: str = Field(default="local", alias="WEBSITE_SITE_NAME", pattern="^[A-Za-z0-9._~-]{1,80}$")
    job_events: str | None = Field(default=None, alias="JOB_EVENTS", pattern="^[A-Za-z0-9][A-Za-z0-9._/-]{0,259}$")
    storage_connection: Annotated[str, AfterValidator(storage_account)] | None = Field(
        default=None, alias="StorageConnection"
    )
    storage_url: str | None = Field(
        default=None, alias="StorageConnection__queueServiceUri", pattern=r"^https://[A-Za-z0-9.:-]+(/[a-z0-9]+)?/?$"
    )
    storage_account: str | None = Field(
        default=None, alias="StorageConnection__accountName", pattern="^[a-z0-9]{3,24}$"
    )
    storage_credential: str | None = Field(
        default=None, alias="StorageConnection__credential", pattern="^(?i:managedidentity)$"
    )
    storage_client_id: str | None = Field(default=None, alias="StorageConnection__clientId")
    storage_resource_id: str | None = Field(default=None, alias="StorageConnection__managedIdentityResourceId")
    storage_tenant_id: str | None = Field(default=None, alias="StorageConnection__tenantId")
    storage_client_secret: str | None = Field(default=None, alias="StorageConnection__clientSecret")
    storage_client_certificate: str | None = Field(default=None, alias="StorageConnection__clientCertificate")
    message_transport: Transport | None = Field(default=None, alias="MESSAGE_TRANSPORT")
    worker_threads: int = Field(default=8, ge=1, le=256, alias="WORKER_THREADS")
    max_result_bytes: int = Field(default=64 * 1024, ge=1, alias="MAX_RESULT_BYTES")
    max_request_bytes: int = Field(default=1024 * 1024, ge=1, alias="MAX_REQUEST_BYTES")
    otlp_endpoint: str | None = Field(
        default=None, alias="OTEL_EXPORTER_OTLP_ENDPOINT", pattern=r"^https?://[^\s@?#]+$"
    )
    otlp_protocol: Literal["http/protobuf"] = Field(default="http/protobuf", alias="OTEL_EXPORTER_OTLP_PROTOCOL")
    telemetry_disabled: bool = Field(default=False, alias="OTEL_SDK_DISABLED")
    traces_exporter: Literal["otlp", "none"] = Field(default="otlp", alias="OTEL_TRACES_EXPORTER")
    metrics_exporter: Literal["otlp", "none"] = Field(default="otlp", alias="OTEL_METRICS_EXPORTER")
    logs_exporter: Literal["otlp", "none"] = Field(default="otlp", alias="OTEL_LOGS_EXPORTER")
    traces_sampler: Literal[
        "always_on",
        "always_off",
        "traceidratio",
        "parentbased_always_on",
        "parentbased_always_off",
        "parentbased_traceidratio",
    ] = Field(default="parentbased_always_on", alias="OTEL_TRACES_SAMPLER")
    traces_sampler_arg: float = Field(default=1.0, ge=0, le=1, allow_inf_nan=False, alias="OTEL_TRACES_SAMPLER_ARG")
    service_name: str | None = Field(default=None, alias="OTEL_SERVICE_NAME", max_length=255)
    data_dir: Path = Field(default=Path("data"), alias="DATA_DIR")
    allowed_source_hosts: Annotated[frozenset[str], BeforeValidator(_split)] = Field(
        default=frozenset(), alias="ALLOWED_SOURCE_HOSTS"
    )
    blob_account_url: str | None = Field(default=None, alias="BLOB_ACCOUNT_URL", pattern=_BLOB_ACCOUNT)
    blob_connection_string: Annotated[str, AfterValidator(check_blob_storage)] | None = Field(
        default=None, alias="BLOB_CONNECTION_STRING"
    )
    allowed_blob_accounts: Annotated[
        frozenset[Annotated[str, Field(pattern=_BLOB_ACCOUNT)]], BeforeValidator(_split)
    ] = Field(default=frozenset(), alias="ALLOWED_BLOB_ACCOUNTS")

    @property
    def transport(self) -> Transport:
        """What carries the messages that this app sends: what MESSAGE_TRANSPORT says, or Service Bus if it is there."""
        if self.message_transport is not None:
            return self.message_transport
        return Transport.SERVICE_BUS if self.has_service_bus else Transport.STORAGE

    @property
    def message_per(self) -> MessagePer:
        """How short tasks travel: storage queues take one message a call, and deliver one message an invocation."""
        return MessagePer.BATCH if self.transport == Transport.STORAGE else MessagePer.TASK

    @property
    def has_service_bus(self) -> bool:
        """Whether messages may arrive by the queues of a namespace."""
        return self.service_bus_connection is not None or self.service_bus_namespace is not None

    @property
    def has_storage(self) -> bool:
        """Whether messages may arrive by queues of a storage account."""
        return any((self.storage_connection, self.storage_url, self.storage_account))

    @property
    def worker(self) -> str:
        """The name of this process: the id of its instance on Azure, elsewhere its host and its number."""
        return (self.instance_id or f"{socket.gethostname()} {os.getpid()}")[:_MAX_WORKER]

    @property
    def telemetry_is_on(self) -> bool:
        """Whether there is a collector that telemetry is sent to."""
        return self.otlp_endpoint is not None and not self.telemetry_disabled

    @property
    def sampled_fraction(self) -> float:
        """The fraction of jobs, and of requests without a trace of their own, that are traced."""
        if self.traces_sampler.endswith("always_off"):
            return 0.0
        return self.traces_sampler_arg if self.traces_sampler.endswith("traceidratio") else 1.0

    @override
    def contradictions(self) -> Iterator[str]:
        yield from super().contradictions()
        yield from _refused_identity(
            _STORAGE_IDENTITY,
            self.storage_credential,
            self.storage_client_id,
            self.storage_resource_id,
            self.storage_client_certificate,
        )
        if not (self.has_service_bus or self.has_storage):
            yield (
                "set ServiceBusConnection to a connection string, or "
                "ServiceBusConnection__fullyQualifiedNamespace to NAMESPACE.servicebus.windows.net; or, to use storage "
                "queues, StorageConnection, or StorageConnection__queueServiceUri to "
                "https://ACCOUNT.queue.core.windows.net"
            )
        elif not (self.has_storage if self.transport == Transport.STORAGE else self.has_service_bus):
            yield f"MESSAGE_TRANSPORT: for {self.transport}, set one of {', '.join(_CONNECTIONS[self.transport])}"
        if self.blob_account_url is not None and self.blob_connection_string is not None:
            yield "set BLOB_ACCOUNT_URL or BLOB_CONNECTION_STRING, not both: blob:// means one account"
        if self.job_events is not None and self.job_events.lower() in QUEUES:
            yield (
                f"JOB_EVENTS: {self.job_events} is one of the app's own queues, which would take the ends of jobs for "
                "work; name another queue or topic"
            )
        elif self.job_events is not None and self.transport == Transport.STORAGE:
            if not _STORAGE_QUEUE.fullmatch(self.job_events):
                yield (
                    f"JOB_EVENTS: {self.job_events} cannot be the name of a storage queue, which has 3 to 63 small "
                    "letters, digits and single hyphens"
                )
            elif self.job_events in map(poison_queue, QUEUES):
                yield f"JOB_EVENTS: {self.job_events} is a poison queue of the app, which would take the ends of jobs"
