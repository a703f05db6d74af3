"""The identity of the app and that of the Functions host, from the same settings: they must be one."""

from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Any

import pytest

import connections
from core.errors import ConfigurationError
from local.functions_host import connections as host_connections
from local.functions_host import storage_connection
from local.functions_host.errors import AppLoadError
from repositories import identities, storage_account
from settings import DatabaseSettings, Settings

_KINDS = (
    "DefaultAzureCredential",
    "ManagedIdentityCredential",
    "ClientSecretCredential",
    "WorkloadIdentityCredential",
)
_ID = "/subscriptions/a/resourceGroups/b/providers/Microsoft.ManagedIdentity/userAssignedIdentities/me"

IDENTITIES: list[tuple[dict[str, str], tuple[object, ...]]] = [
    ({}, ("DefaultAzureCredential",)),
    ({"clientId": "me"}, ("DefaultAzureCredential", ("managed_identity_client_id", "me"))),
    ({"CLIENTID": "me"}, ("DefaultAzureCredential", ("managed_identity_client_id", "me"))),
    ({"credential": "managedidentity"}, ("ManagedIdentityCredential",)),
    ({"credential": "managedIdentity", "clientId": "me"}, ("ManagedIdentityCredential", ("client_id", "me"))),
    ({"credential": "managedidentity", "clientID": "me"}, ("ManagedIdentityCredential", ("client_id", "me"))),
    (
        {"credential": "managedidentity", "managedIdentityResourceId": _ID},
        ("ManagedIdentityCredential", ("identity_config", {"resource_id": _ID})),
    ),
    ({"tenantId": "we", "clientId": "me", "clientSecret": "key"}, ("ClientSecretCredential", "we", "me", "key")),
    ({"tenantId": "we", "clientSecret": "key"}, ("DefaultAzureCredential",)),
    (
        {"credential": "workloadidentity", "tenantId": "we", "clientId": "me", "tokenFilePath": "/token"},
        ("WorkloadIdentityCredential", ("tenant_id", "we"), ("client_id", "me"), ("token_file_path", "/token")),
    ),
]


def recorded(monkeypatch: pytest.MonkeyPatch, module: ModuleType) -> None:
    """Replaces the credentials of azure.identity by what they were made with."""
    for kind in _KINDS:
        monkeypatch.setattr(module, kind, partial(_made, kind))


def _made(kind: str, *given: str, **named: object) -> tuple[object, ...]:
    return (kind, *given, *((name, value) for name, value in named.items() if value is not None))


def environment(identity: dict[str, str], connection: str = "ServiceBusConnection") -> dict[str, str]:
    where = {"fullyQualifiedNamespace": "jobs.servicebus.windows.net"}
    if connection.endswith("StorageConnection"):
        where = {"queueServiceUri": "https://jobs.queue.core.windows.net"}
    return {
        "DATABASE_URL": "postgresql://nowhere",
        **{f"{connection}__{name}": value for name, value in {**where, **identity}.items()},
    }


def of_the_sender(identity: dict[str, str]) -> Any:
    return connections.credential(Settings.from_environment(environment(identity)))


def of_the_host(identity: dict[str, str]) -> Any:
    return host_connections.Connection("ServiceBusConnection", environment(identity))._identity.credential()


def of_the_host_by_its_prefix(identity: dict[str, str]) -> Any:
    given = environment(identity, "AzureWebJobsServiceBusConnection")
    return host_connections.Connection("ServiceBusConnection", given)._identity.credential()


def of_the_migration(identity: dict[str, str]) -> Any:
    return connections.database_credential(DatabaseSettings.from_environment(environment(identity)))


def of_the_sender_by_storage_queues(identity: dict[str, str]) -> Any:
    given = Settings.from_environment(environment(identity, "StorageConnection"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(storage_account, "by_identity", lambda _, credential: credential)
        return connections._storage_account(given)


def of_the_host_by_storage_queues(identity: dict[str, str]) -> Any:
    given = environment(identity, "StorageConnection")
    return storage_connection.StorageConnection("StorageConnection", given)._identity.credential()


@pytest.mark.parametrize("side", [of_the_sender_by_storage_queues, of_the_host_by_storage_queues])
@pytest.mark.parametrize(("identity", "expected"), IDENTITIES[:-1], ids=lambda each: " ".join(map(str, each)) or "none")
def test_both_sides_of_storage_queues_choose_the_same_identity(
    monkeypatch: pytest.MonkeyPatch,
    side: Callable[[dict[str, str]], Any],
    identity: dict[str, str],
    expected: tuple[object, ...],
) -> None:
    recorded(monkeypatch, identities)
    recorded(monkeypatch, host_connections)
    assert side(identity) == expected


@pytest.mark.parametrize("side", [of_the_sender, of_the_host, of_the_host_by_its_prefix, of_the_migration])
@pytest.mark.parametrize(("identity", "expected"), IDENTITIES, ids=lambda each: " ".join(map(str, each)) or "none")
def test_all_sides_choose_the_same_identity(
    monkeypatch: pytest.MonkeyPatch,
    side: Callable[[dict[str, str]], Any],
    identity: dict[str, str],
    expected: tuple[object, ...],
) -> None:
    recorded(monkeypatch, identities)
    recorded(monkeypatch, host_connections)
    assert side(identity) == expected


def test_without_an_identity_of_its_own_the_connection_has_that_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As in the Functions host: AZURE_CLIENT_ID names the managed identity, unless the credential is given a None."""
    monkeypatch.setenv("AZURE_CLIENT_ID", "of-the-environment")
    monkeypatch.setenv("IDENTITY_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv("IDENTITY_HEADER", "any")
    for credential in (of_the_sender({}), of_the_host({})):
        with credential:
            [managed] = [each for each in credential.credentials if type(each).__name__ == "ManagedIdentityCredential"]
            assert managed._credential._settings["client_id"] == "of-the-environment"


@pytest.mark.parametrize(
    "identity",
    [
        {"credential": "managedidentity", "clientId": "me", "managedIdentityResourceId": _ID},
        {"managedIdentityResourceId": _ID},
        {"clientCertificate": "thumbprint", "clientId": "me", "tenantId": "we"},
        {"credential": "certificate"},
    ],
    ids=str,
)
def test_settings_with_which_the_app_would_be_another_identity_are_refused(identity: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="ServiceBusConnection__"):
        of_the_sender(identity)
    with pytest.raises(ConfigurationError, match="StorageConnection__"):
        of_the_sender_by_storage_queues(identity)


@pytest.mark.parametrize("name", ["StorageConnection", "storageconnection", "AzureWebJobsSTORAGECONNECTION"])
def test_the_host_finds_a_connection_string_in_any_case(name: str) -> None:
    given = {name: "DefaultEndpointsProtocol=https;AccountName=jobs;AccountKey=a2V5;EndpointSuffix=core.windows.net"}
    with storage_connection.StorageConnection("StorageConnection", given).client() as client:
        assert client.account_name == "jobs"


def test_the_host_refuses_two_names_of_one_identity() -> None:
    with pytest.raises(AppLoadError, match="not both"):
        of_the_host({"credential": "managedidentity", "clientId": "me", "managedIdentityResourceId": _ID})


def test_a_workload_identity_that_is_not_complete_is_an_error_of_the_configuration() -> None:
    with pytest.raises(ConfigurationError, match="workload identity of ServiceBusConnection is not complete"):
        of_the_sender({"credential": "workloadidentity", "clientId": "me"})


@pytest.mark.parametrize(
    ("identity", "expected"),
    [
        ({}, ("DefaultAzureCredential", ("managed_identity_client_id", "db"))),
        (
            {"credential": "managedidentity", "managedIdentityResourceId": _ID},
            ("ManagedIdentityCredential", ("client_id", "db")),
        ),
        (
            {"tenantId": "we", "clientId": "me", "clientSecret": "key"},
            ("DefaultAzureCredential", ("managed_identity_client_id", "db")),
        ),
    ],
    ids=str,
)
def test_postgresql_may_have_an_identity_of_its_own(
    monkeypatch: pytest.MonkeyPatch, identity: dict[str, str], expected: tuple[object, ...]
) -> None:
    recorded(monkeypatch, identities)
    given = {"DATABASE_URL": "postgresql://role@localhost/jobs", "DATABASE_AUTH": "entra", "DATABASE_CLIENT_ID": "db"}
    made: Any = connections.database_credential(Settings.from_environment({**environment(identity), **given}))
    assert made == expected
