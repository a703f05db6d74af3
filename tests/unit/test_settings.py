import importlib
import json
import os
import socket
import traceback
from pathlib import Path

import pytest
from azure.identity import ClientSecretCredential
from azure.servicebus import ServiceBusClient

import connections
from core.errors import ConfigurationError
from core.lanes import MessagePer, Transport
from repositories import identities
from settings import DatabaseSettings, Settings, configured_transports

LEAST = {
    "DATABASE_URL": "postgresql://localhost/jobs",
    "ServiceBusConnection": "Endpoint=sb://localhost;SharedAccessKeyName=all;SharedAccessKey=a+b/c=",
}


def test_two_variables_are_enough() -> None:
    settings = Settings.from_environment(LEAST)
    assert settings.database_url == LEAST["DATABASE_URL"]
    assert (settings.dispatch_parallel, settings.lease_seconds) == (10, 50.0)
    assert settings.allowed_source_hosts == frozenset()


def test_every_variable_is_read() -> None:
    settings = Settings.from_environment(
        {
            **LEAST,
            "DATABASE_POOL_SIZE": "3",
            "DATABASE_LOCK_TIMEOUT_SECONDS": "2",
            "DATABASE_STATEMENT_TIMEOUT_SECONDS": "30.5",
            "JOB_TYPE_STATEMENT_TIMEOUT_SECONDS": "240",
            "DISPATCH_PARALLEL": "5",
            "DISPATCH_SLICE_SECONDS": "1.5",
            "LEASE_SECONDS": "7",
            "RETENTION_DAYS": "0",
            "WORKER_THREADS": "9",
            "MAX_RESULT_BYTES": "11",
            "MAX_REQUEST_BYTES": "13",
            "DATA_DIR": "/srv/data",
            "ALLOWED_SOURCE_HOSTS": "a.example, b.example,",
        }
    )
    assert settings.database_pool_size == 3
    assert (settings.database_lock_timeout_seconds, settings.database_statement_timeout_seconds) == (2, 30.5)
    assert settings.job_type_statement_timeout_seconds == 240
    assert settings.dispatch_parallel == 5
    assert settings.dispatch_slice_seconds == 1.5
    assert settings.lease_seconds == 7
    assert settings.retention_days == 0
    assert settings.worker_threads == 9
    assert (settings.max_result_bytes, settings.max_request_bytes) == (11, 13)
    assert settings.data_dir == Path("/srv/data")
    assert settings.allowed_source_hosts == {"a.example", "b.example"}


def test_a_process_is_named_by_its_instance_or_by_its_host_and_its_number() -> None:
    assert Settings.from_environment({**LEAST, "WEBSITE_INSTANCE_ID": "d0ba7e"}).worker == "d0ba7e"
    assert Settings.from_environment(LEAST).worker == f"{socket.gethostname()} {os.getpid()}"
    assert len(Settings.from_environment({**LEAST, "WEBSITE_INSTANCE_ID": "d" * 999}).worker) == 80


def test_an_identity_may_stand_for_the_connection_string() -> None:
    settings = Settings.from_environment(
        {
            "DATABASE_URL": LEAST["DATABASE_URL"],
            "ServiceBusConnection__fullyQualifiedNamespace": "jobs.servicebus.windows.net",
        }
    )
    assert settings.service_bus_connection is None
    assert settings.service_bus_namespace == "jobs.servicebus.windows.net"


def test_the_identity_may_be_chosen() -> None:
    prefix = "ServiceBusConnection__"
    settings = Settings.from_environment(
        {
            "DATABASE_URL": LEAST["DATABASE_URL"],
            prefix + "fullyQualifiedNamespace": "jobs.servicebus.windows.net",
            prefix + "credential": "ManagedIdentity",
            prefix + "clientId": "client",
            prefix + "tenantId": "tenant",
            prefix + "clientSecret": "secret",
        }
    )
    assert settings.service_bus_credential == "ManagedIdentity"
    assert settings.service_bus_client_id == "client"
    assert (settings.service_bus_tenant_id, settings.service_bus_client_secret) == ("tenant", "secret")


TOKEN = {**LEAST, "DATABASE_AUTH": "entra"}


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://role@jobs.postgres.database.azure.com/jobs?sslmode=require",
        "postgresql://role@jobs.example:5432,spare.example/jobs?sslmode=verify-full",
        "postgresql://jobs.example/jobs?user=role&sslmode=verify-ca",
        "postgresql://role@127.0.0.1:6432/jobs",
        "postgresql://role@localhost,[::1]:5432/jobs",
        "postgresql://role@%2Fvar%2Frun/jobs",
        "postgresql://role@/jobs?host=/var/run",
    ],
)
def test_an_identity_connects_by_tls_or_on_this_machine(url: str) -> None:
    assert Settings.from_environment({**TOKEN, "DATABASE_URL": url}).database_url == url


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("postgresql://role:pssst@jobs.example/jobs?sslmode=require", "must have no password"),
        ("postgresql://role@jobs.example/jobs?sslmode=require&password=pssst", "must have no password"),
        ("postgresql://jobs.example/jobs?sslmode=require", "must name a user"),
        ("postgresql://role@jobs.example/jobs", "must have .sslmode="),
        ("postgresql://role@jobs.example/jobs?sslmode=prefer", "must have .sslmode="),
        ("postgresql://role@jobs.example/jobs?sslmode=require&sslmode=disable", "must have .sslmode="),
        ("postgresql://role@127.0.0.1,jobs.example/jobs", "must have .sslmode="),
        ("postgresql://role@127.0.0.1/jobs?hostaddr=10.0.0.1", "must have .sslmode="),
        ("postgresql://role@127.0.0.1.example/jobs", "must have .sslmode="),
        ("postgresql://role@/jobs", "must have .sslmode="),
    ],
)
def test_a_url_that_does_not_suit_an_identity_is_refused(url: str, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=f"DATABASE_URL: {problem}") as caught:
        Settings.from_environment({**TOKEN, "DATABASE_URL": url})
    assert "pssst" not in str(caught.value)


def test_the_id_of_an_identity_needs_an_identity() -> None:
    with pytest.raises(ConfigurationError, match="DATABASE_CLIENT_ID: "):
        Settings.from_environment({**LEAST, "DATABASE_CLIENT_ID": "me"})


def test_the_settings_of_the_database_need_no_broker() -> None:
    settings = DatabaseSettings.from_environment({"DATABASE_URL": LEAST["DATABASE_URL"]})
    assert settings.database_url == LEAST["DATABASE_URL"]


def test_an_app_migrates_at_its_start_unless_it_may_not() -> None:
    assert Settings.from_environment(LEAST).migrate_on_start
    assert not Settings.from_environment({**LEAST, "MIGRATE_ON_START": "false"}).migrate_on_start


@pytest.mark.parametrize(
    "connection_string",
    [
        "pssst",
        "Endpoint=sb://jobs",
        "Endpoint=sb://jobs;SharedAccessKeyName=all",
        "Endpoint=sb://jobs;SharedAccessKey=pssst",
        "Endpoint=jobs;SharedAccessKeyName=all;SharedAccessKey=pssst",
        "Endpoint=sb://[jobs;SharedAccessKeyName=all;SharedAccessKey=pssst",
        "Endpoint=sb://jobs;SharedAccessKeyName=all;SharedAccessKey=pssst;pssst",
        "Endpoint=sb://jobs;SharedAccessKeyName=all;SharedAccessKey=pssst;SharedAccessSignature=pssst",
        "SharedAccessKeyName=all;SharedAccessKey=pssst",
    ],
)
def test_a_connection_string_that_the_client_refuses_is_refused_at_the_start(connection_string: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - whatever the client says, it refuses
        ServiceBusClient.from_connection_string(connection_string)
    with pytest.raises(ConfigurationError, match=r"ServiceBusConnection: .*SharedAccessKeyName=") as caught:
        Settings.from_environment({**LEAST, "ServiceBusConnection": connection_string})
    assert "pssst" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    "connection_string",
    [
        "Endpoint=sb://jobs/;SharedAccessKeyName=all;SharedAccessKey=a=;",
        "endpoint=sb://jobs;sharedaccesskeyname=all;sharedaccesskey=a",
        "Endpoint=sb://jobs/;SharedAccessSignature=sr=a&se=1",
        "Endpoint=sb://127.0.0.1:5672;SharedAccessKeyName=all;SharedAccessKey=a;UseDevelopmentEmulator=true;",
    ],
)
def test_a_connection_string_that_the_client_takes_is_accepted(connection_string: str) -> None:
    ServiceBusClient.from_connection_string(connection_string).close()
    settings = Settings.from_environment({**LEAST, "ServiceBusConnection": connection_string})
    assert settings.service_bus_connection == connection_string


STORAGE = "DefaultEndpointsProtocol=https;AccountName=jobs;AccountKey=a+b/cw==;EndpointSuffix=core.windows.net"
DATABASE = {"DATABASE_URL": LEAST["DATABASE_URL"]}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("StorageConnection", STORAGE),
        ("StorageConnection", "UseDevelopmentStorage=true"),
        ("StorageConnection__queueServiceUri", "https://jobs.queue.core.windows.net"),
        ("StorageConnection__accountName", "jobs"),
    ],
)
def test_a_storage_account_may_stand_for_service_bus(name: str, value: str) -> None:
    settings = Settings.from_environment({**DATABASE, name: value})
    assert (settings.transport, settings.has_storage) == (Transport.STORAGE, True)
    assert settings.message_per == MessagePer.BATCH
    assert configured_transports({name: value}) == {Transport.STORAGE}


@pytest.mark.parametrize(
    ("name", "value", "transport"),
    [
        ("STORAGECONNECTION", STORAGE, Transport.STORAGE),
        ("StorageConnection__QueueServiceUri", "https://jobs.queue.core.windows.net", Transport.STORAGE),
        ("storageconnection__accountname", "jobs", Transport.STORAGE),
        ("ServiceBusConnection__FullyQualifiedNamespace", "jobs.servicebus.windows.net", Transport.SERVICE_BUS),
        ("SERVICEBUSCONNECTION", LEAST["ServiceBusConnection"], Transport.SERVICE_BUS),
    ],
)
def test_a_connection_is_found_in_any_case_as_by_the_functions_host(name: str, value: str, transport: str) -> None:
    assert configured_transports({name: value}) == {transport}
    settings = Settings.from_environment({**DATABASE, name: value})
    assert settings.transport == transport
    assert settings.has_storage == (transport == Transport.STORAGE)
    assert settings.has_service_bus == (transport == Transport.SERVICE_BUS)


def test_the_development_account_is_azurite_on_its_default_port() -> None:
    settings = Settings.from_environment({**DATABASE, "StorageConnection": "UseDevelopmentStorage=true"})
    assert settings.storage_connection is not None
    assert "http://127.0.0.1:10001/devstoreaccount1" in settings.storage_connection


def test_with_both_messages_travel_by_service_bus_unless_the_setting_says_otherwise() -> None:
    both = {**LEAST, "StorageConnection": STORAGE}
    assert configured_transports(both) == set(Transport)
    settings = Settings.from_environment(both)
    assert (settings.transport, settings.has_storage, settings.message_per) == (
        Transport.SERVICE_BUS,
        True,
        MessagePer.TASK,
    )
    assert Settings.from_environment({**both, "MESSAGE_TRANSPORT": "storage"}).transport == Transport.STORAGE


@pytest.mark.parametrize(
    ("given", "transport", "wanted"),
    [(LEAST, "storage", "StorageConnection"), ({"StorageConnection": STORAGE}, "service_bus", "ServiceBusConnection")],
)
def test_a_transport_without_a_connection_is_refused(given: dict[str, str], transport: str, wanted: str) -> None:
    with pytest.raises(ConfigurationError, match=f"MESSAGE_TRANSPORT: for {transport}, set one of {wanted}"):
        Settings.from_environment({**DATABASE, **given, "MESSAGE_TRANSPORT": transport})


@pytest.mark.parametrize(
    "connection_string",
    [
        "pssst",
        "AccountName=jobs",
        "AccountKey=pssst",
        "AccountName=jobs;AccountKey=pssst;pssst",
        "AccountName=;AccountKey=",
        "AccountName=jobs;AccountKey=pssst",  # no base64: five characters
        "AccountName=jobs; AccountKey=pssstpss",
        "AccountName=jobs;AccountKey=pssst\N{EURO SIGN}",
    ],
)
def test_a_storage_connection_that_cannot_work_is_refused_without_showing_it(connection_string: str) -> None:
    with pytest.raises(ConfigurationError, match=r"StorageConnection: .*AccountKey=") as caught:
        Settings.from_environment({**DATABASE, "StorageConnection": connection_string})
    assert "pssst" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("name", ["sb-jobs", "sb-tasks-urgent", "SB-Batches"])
def test_a_queue_of_the_app_cannot_take_the_ends_of_jobs(name: str) -> None:
    with pytest.raises(ConfigurationError, match=r"JOB_EVENTS: .* is one of the app's own queues"):
        Settings.from_environment({**LEAST, "JOB_EVENTS": name})


@pytest.mark.parametrize("name", ["Job-Events", "job.events", "job--events", "-events", "ab", "a" * 64, "events/jobs"])
def test_the_ends_of_jobs_cannot_go_to_a_storage_queue_that_cannot_be(name: str) -> None:
    storage = {"DATABASE_URL": LEAST["DATABASE_URL"], "StorageConnection": "UseDevelopmentStorage=true"}
    Settings.from_environment({**storage, "JOB_EVENTS": "job-events-2"})
    with pytest.raises(ConfigurationError, match=r"JOB_EVENTS"):
        Settings.from_environment({**storage, "JOB_EVENTS": name})
    if "--" in name:
        assert Settings.from_environment({**LEAST, "JOB_EVENTS": "job.events"}).job_events == "job.events"


def test_the_ends_of_jobs_cannot_go_to_a_poison_queue_of_the_app() -> None:
    storage = {"DATABASE_URL": LEAST["DATABASE_URL"], "StorageConnection": "UseDevelopmentStorage=true"}
    with pytest.raises(ConfigurationError, match=r"JOB_EVENTS: .* is a poison queue"):
        Settings.from_environment({**storage, "JOB_EVENTS": "sb-tasks-poison"})


def test_a_missing_database_is_named_by_its_variable() -> None:
    with pytest.raises(ConfigurationError, match="DATABASE_URL: Field required"):
        Settings.from_environment({"ServiceBusConnection": LEAST["ServiceBusConnection"]})


def test_a_missing_broker_is_named_by_both_its_variables() -> None:
    with pytest.raises(
        ConfigurationError, match=r"ServiceBusConnection .*ServiceBusConnection__fullyQualifiedNamespace"
    ):
        Settings.from_environment({"DATABASE_URL": LEAST["DATABASE_URL"]})


@pytest.mark.parametrize("name", list(LEAST))
def test_an_empty_variable_is_an_unset_one(name: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        Settings.from_environment({**LEAST, name: ""})
    assert Settings.from_environment({**LEAST, "WORKER_THREADS": ""}).worker_threads == 8


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "mysql://localhost/jobs"),
        ("ServiceBusConnection__fullyQualifiedNamespace", "sb://jobs.servicebus.windows.net/"),
        ("ServiceBusConnection__credential", "workload"),
        ("DATABASE_AUTH", "token"),
        ("MIGRATE_ON_START", "later"),
        ("StorageConnection__queueServiceUri", "http://jobs.queue.core.windows.net"),
        ("StorageConnection__accountName", "my jobs"),
        ("StorageConnection__credential", "workload"),
        ("MESSAGE_TRANSPORT", "kafka"),
        ("DATABASE_POOL_SIZE", "0"),
        ("DATABASE_POOL_SIZE", "many"),
        ("DISPATCH_PARALLEL", "65"),
        ("DISPATCH_SLICE_SECONDS", "0"),
        ("DISPATCH_SLICE_SECONDS", "nan"),
        ("DISPATCH_SLICE_SECONDS", "inf"),
        ("LEASE_SECONDS", "0.5"),
        ("LEASE_SECONDS", "inf"),
        ("RETENTION_DAYS", "-1"),
        ("RETENTION_DAYS", "1.5"),
        ("AZURE_LOG_LEVEL", "loud"),
        ("WORKER_THREADS", "1.5"),
        ("MAX_RESULT_BYTES", "-1"),
        ("MAX_REQUEST_BYTES", "64k"),
    ],
)
def test_a_value_that_makes_no_sense_is_named_by_its_variable(name: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{name}: "):
        Settings.from_environment({**LEAST, name: value})


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(ConfigurationError, match=r"DATABASE_URL: .*WORKER_THREADS: "):
        Settings.from_environment({"WORKER_THREADS": "none"})


@pytest.mark.parametrize(
    "url",
    [
        "mysql://user:pssst@localhost/jobs",
        "postgresql://user:x@pssst@localhost/jobs",
        "postgresql://user:x/pssst@localhost/jobs",
        "postgresql://user:5432/pssst@localhost/jobs",
        "postgresql://user:x%pssst@localhost/jobs",
        "postgresql://user:x%00pssst@localhost/jobs",
        "postgresql://user:x%ffpssst@localhost/jobs",
        "postgresql://user:x\x00pssst@localhost/jobs",
        "postgresql://user:x\ud800pssst@localhost/jobs",
        "postgresql://user:pssst",
        "postgresql://user@localhost:pssst/jobs",
        "postgresql://localhost/jobs?password=x@pssst",
        "postgresql://localhost/jobs?password=x%pssst",
    ],
)
def test_a_database_url_that_libpq_would_misread_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"DATABASE_URL: .*percent-encode .*%40") as caught:
        Settings.from_environment({**LEAST, "DATABASE_URL": url})
    assert "pssst" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    "url",
    [
        "postgres://user:s%40%2f%25@db.example:5432/jobs?sslmode=require",
        "postgresql://user:a:b?c#d e@db/jobs",
        "postgresql://one:1,two:2/jobs?target_session_attrs=read-write",
        "postgresql://user@[::1]:5432/jobs",
        "postgresql:///jobs?host=/var/run/postgresql&user=me%40server",
    ],
)
def test_a_database_url_that_libpq_reads_as_it_was_meant_is_accepted(url: str) -> None:
    assert Settings.from_environment({**LEAST, "DATABASE_URL": url}).database_url == url


KEYED = "DefaultEndpointsProtocol=https;AccountName=ours;AccountKey=c2VjcmV0;EndpointSuffix=core.windows.net"


def test_storage_accounts_are_named_by_their_urls() -> None:
    settings = Settings.from_environment(
        {
            **LEAST,
            "BLOB_ACCOUNT_URL": "https://ours.blob.core.windows.net/",
            "ALLOWED_BLOB_ACCOUNTS": "https://theirs.blob.core.windows.net, https://127.0.0.1:10000/devstoreaccount1",
        }
    )
    accounts = connections.blob_accounts(settings)
    assert accounts.default == "https://ours.blob.core.windows.net"
    assert set(accounts.stores) == {
        "https://ours.blob.core.windows.net",
        "https://theirs.blob.core.windows.net",
        "https://127.0.0.1:10000/devstoreaccount1",
    }


@pytest.mark.parametrize(
    ("text", "url"),
    [
        (KEYED, "https://ours.blob.core.windows.net"),
        (KEYED.partition(";EndpointSuffix")[0], "https://ours.blob.core.windows.net"),
        (f"{KEYED};BlobEndpoint=http://127.0.0.1:10000/ours/;", "http://127.0.0.1:10000/ours"),
    ],
)
def test_a_connection_string_names_the_account_of_blobs(text: str, url: str) -> None:
    accounts = connections.blob_accounts(Settings.from_environment({**LEAST, "BLOB_CONNECTION_STRING": text}))
    assert accounts.default == url
    assert list(accounts.stores) == [url]


def test_a_connection_string_of_storage_may_end_with_a_semicolon_and_a_line_break() -> None:
    given = {**LEAST, "BLOB_CONNECTION_STRING": f"{KEYED};\n", "StorageConnection": f"{STORAGE};\n"}
    settings = Settings.from_environment(given)
    assert (settings.blob_connection_string, settings.storage_connection) == (KEYED, STORAGE)
    assert connections.blob_accounts(settings).default == "https://ours.blob.core.windows.net"


def test_another_process_opens_the_same_accounts_from_json() -> None:
    environment = {
        **LEAST,
        "BLOB_CONNECTION_STRING": KEYED,
        "ALLOWED_BLOB_ACCOUNTS": "https://theirs.blob.core.windows.net",
        "ServiceBusConnection__clientId": "me",
        "ServiceBusConnection__tenantId": "we",
        "ServiceBusConnection__clientSecret": "pssst",
    }
    accounts = connections.blob_accounts(Settings.from_environment(environment))
    reopening = accounts.reopening
    assert reopening is not None
    open_stores = getattr(importlib.import_module(reopening.module), reopening.function)
    given = json.loads(json.dumps(reopening.settings))
    assert open_stores(given).keys() == accounts.stores.keys()
    assert isinstance(identities.credential(identities.Identity(**given["identity"])), ClientSecretCredential)
    assert "pssst" not in repr(accounts)
    assert KEYED not in repr(accounts)


def test_without_an_account_there_are_no_blobs() -> None:
    accounts = connections.blob_accounts(Settings.from_environment(LEAST))
    assert (accounts.default, dict(accounts.stores)) == (None, {})


@pytest.mark.parametrize(
    "wrong",
    [
        {"BLOB_ACCOUNT_URL": "http://ours.blob.core.windows.net"},  # a token would travel in plain text
        {"BLOB_ACCOUNT_URL": "https://ours.blob.core.windows.net?sig=c2VjcmV0"},
        {"BLOB_ACCOUNT_URL": "https://c2VjcmV0@ours.blob.core.windows.net"},
        {"ALLOWED_BLOB_ACCOUNTS": "https://ours.blob.core.windows.net,theirs"},
        {"BLOB_CONNECTION_STRING": "AccountKey=c2VjcmV0"},
        {"BLOB_CONNECTION_STRING": KEYED.replace("c2VjcmV0", "c2VjcmV0c")},  # no base64
        {"BLOB_CONNECTION_STRING": "UseDevelopmentStorage=true"},
        {"BLOB_CONNECTION_STRING": KEYED.replace(";AccountKey", "; AccountKey")},
        {"BLOB_CONNECTION_STRING": KEYED.replace(";Endpoint", ";;Endpoint")},
        {"BLOB_CONNECTION_STRING": f"{KEYED};more"},
        {"BLOB_CONNECTION_STRING": KEYED, "BLOB_ACCOUNT_URL": "https://ours.blob.core.windows.net"},
    ],
)
def test_a_wrong_storage_account_is_refused_by_name(wrong: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Settings.from_environment({**LEAST, **wrong})
    assert next(iter(wrong)) in str(caught.value)
    assert "c2VjcmV0" not in str(caught.value)
