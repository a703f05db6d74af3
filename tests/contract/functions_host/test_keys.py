"""Auth levels of HTTP functions, which the host enforces when it has a key file."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from local.functions_host.errors import HostStartError
from local.functions_host.process import HostProcess
from tests.contract.functions_host.support import SAMPLE_APP, Events
from tests.contract.functions_host.test_http import NO_BROKER
from tests.contract.functions_host.test_starting import write_app

KEYS = {
    "masterKey": "the-master-key",
    "functionKeys": {"default": "any-function", "another": "schlüssel"},
    "functions": {"keyed": {"default": "keyed-alone"}},
}


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    events = Events(tmp_path_factory.mktemp("keys"))
    return {"EVENTS_FILE": str(events.file), "ONE_QUEUE": "one", "Broker": NO_BROKER}


@pytest.fixture(scope="module")
def client(settings: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    keys_file = tmp_path_factory.mktemp("keys") / "keys.json"
    keys_file.write_text(json.dumps(KEYS))
    with (
        HostProcess.start(SAMPLE_APP, env=settings, arguments=["--keys", str(keys_file)]) as host,
        httpx.Client(base_url=f"{host.base_url}/api", timeout=60) as client,
    ):
        yield client


def status(client: httpx.Client, function: str, key: str) -> int:
    response = client.get(function, headers=httpx.Headers({"x-functions-key": key}, encoding="utf-8"))
    assert response.status_code == client.get(function, params={"code": key}).status_code
    return response.status_code


def test_without_keys_every_function_is_open(settings: dict[str, str]) -> None:
    with HostProcess.start(SAMPLE_APP, env=settings) as host:
        assert httpx.get(f"{host.base_url}/api/keyed", timeout=60).text == "keyed"
        assert httpx.get(f"{host.base_url}/api/for_admins", timeout=60).text == "for admins"


def test_a_function_without_its_key_is_401(client: httpx.Client) -> None:
    for function in ("keyed", "for_admins"):
        response = client.get(function)
        assert (response.status_code, response.content) == (401, b"")
        assert status(client, function, "wrong") == 401
        assert status(client, function, "") == 401


def test_an_anonymous_function_asks_for_no_key(client: httpx.Client) -> None:
    assert client.get("text").status_code == 200
    assert status(client, "text", "wrong") == 200


@pytest.mark.parametrize("key", ["any-function", "schlüssel"])
def test_a_host_key_opens_every_function_of_the_level_function(client: httpx.Client, key: str) -> None:
    assert status(client, "keyed", key) == 200
    assert status(client, "keyed_too", key) == 200
    assert status(client, "for_admins", key) == 401


def test_a_key_of_a_function_opens_that_function_alone(client: httpx.Client) -> None:
    assert status(client, "keyed", "keyed-alone") == 200
    assert status(client, "keyed_too", "keyed-alone") == 401
    assert status(client, "for_admins", "keyed-alone") == 401


def test_the_master_key_opens_every_function(client: httpx.Client) -> None:
    for function in ("keyed", "keyed_too", "for_admins", "text"):
        assert status(client, function, "the-master-key") == 200


def test_the_header_wins_over_the_query(client: httpx.Client) -> None:
    def both(header: str, code: str) -> int:
        return client.get("keyed", headers={"x-functions-key": header}, params={"code": code}).status_code

    assert both("the-master-key", "wrong") == 200
    assert both("wrong", "the-master-key") == 401


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("{", "are wrong: Invalid JSON"),
        ("{}", "are wrong: masterKey: Field required"),
        ({"masterKey": ""}, "are wrong: masterKey: String should have at least 1 character"),
        ({"masterKey": "k", "functions": {"f": "key"}}, "are wrong: functions.f: Input should be an object"),
        ({"masterKey": "k", "function_keys": {}}, "are wrong: function_keys: Extra inputs are not permitted"),
        (None, "cannot read the keys"),
    ],
)
def test_a_wrong_file_of_keys_is_refused(content: Any, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    if content is not None:
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(HostStartError) as error:
        HostProcess.start(write_app(tmp_path / "app", ""), arguments=["--keys", str(path)])
    assert problem in str(error.value)
    assert "Traceback" not in str(error.value)
