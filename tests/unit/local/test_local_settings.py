"""local.settings.json.example, docker-compose.yml, Config.json and the ports of `make services` agree."""

import json
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from azure.servicebus import parse_connection_string

from local.service_bus.config import DEFAULT_CONFIG, load_config
from local.stack import AMQP_PORT, EMULATOR_HTTP_PORT, POSTGRES_PORT, ROOT

LOOPBACK = "127.0.0.1"


@pytest.fixture(scope="module")
def settings() -> dict[str, str]:
    values: dict[str, str] = json.loads((ROOT / "local.settings.json.example").read_text())["Values"]
    return values


@pytest.fixture(scope="module")
def containers() -> dict[str, Any]:
    services: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    return services


def test_the_example_settings_are_those_of_make_services(settings: dict[str, str]) -> None:
    database = urlsplit(settings["DATABASE_URL"])
    broker = parse_connection_string(settings["ServiceBusConnection"])

    assert (database.hostname, database.port) == (LOOPBACK, POSTGRES_PORT)
    assert broker.fully_qualified_namespace == f"{LOOPBACK}:{AMQP_PORT}"


def test_the_containers_listen_where_the_example_settings_say_and_on_loopback_alone(
    settings: dict[str, str], containers: dict[str, Any]
) -> None:
    published = {name: service["ports"] for name, service in containers.items() if "ports" in service}

    assert settings["AzureWebJobsStorage"] == "UseDevelopmentStorage=true"
    assert published == {
        "postgres": [f"{LOOPBACK}:{POSTGRES_PORT}:5432"],
        "azurite": [
            f"{LOOPBACK}:{port}:{port}" for port in (10000, 10001, 10002)
        ],  # the ports of UseDevelopmentStorage
        "servicebus": [f"{LOOPBACK}:{AMQP_PORT}:5672", f"{LOOPBACK}:{EMULATOR_HTTP_PORT}:5300"],
    }


def test_the_database_container_has_the_database_of_the_example_settings_and_lets_its_user_in(
    settings: dict[str, str], containers: dict[str, Any]
) -> None:
    database = urlsplit(settings["DATABASE_URL"])

    assert (database.username, database.password) == ("postgres", None)
    assert containers["postgres"]["environment"] == {
        "POSTGRES_DB": database.path.removeprefix("/"),
        "POSTGRES_HOST_AUTH_METHOD": "trust",
    }


def test_azurite_takes_the_api_versions_of_newer_clients_however_it_is_started(containers: dict[str, Any]) -> None:
    """Without the option it refuses each request of a client that is newer than itself."""
    assert "--skipApiVersionCheck" in containers["azurite"]["command"]
    started = [
        line
        for name in ("blobs.md", "local-development.md")
        for line in (ROOT / "docs" / name).read_text().splitlines()
        if "azurite --" in line
    ]
    assert len(started) >= 2
    assert [line for line in started if "--skipApiVersionCheck" not in line] == []


def test_microsofts_emulator_gets_the_shipped_config(containers: dict[str, Any]) -> None:
    [mount] = containers["servicebus"]["volumes"]

    source, target = mount.removesuffix(":ro").split(":")
    assert (ROOT / source).resolve() == DEFAULT_CONFIG
    assert target == "/ServiceBus_Emulator/ConfigFiles/Config.json"


def test_docker_compose_requires_the_user_to_accept_the_licences(containers: dict[str, Any]) -> None:
    accepting = [each["environment"]["ACCEPT_EULA"] for each in containers.values() if "ACCEPT_EULA" in str(each)]

    assert len(accepting) == 2
    assert all(value.startswith("${ACCEPT_EULA:?") for value in accepting)


def test_the_shipped_config_is_within_the_limits_of_microsofts_emulator() -> None:
    [namespace] = load_config(DEFAULT_CONFIG).user_config.namespaces

    assert namespace.name == "sbemulatorns"
    assert len(namespace.queues) + len(namespace.topics) <= 50
    for queue in namespace.queues:
        properties = queue.properties
        assert 1 <= properties.max_delivery_count <= 10
        assert timedelta(seconds=5) <= properties.lock_duration <= timedelta(minutes=5)
        assert timedelta(minutes=5) <= properties.default_message_time_to_live <= timedelta(hours=1)
