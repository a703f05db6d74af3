import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local.service_bus.process import EmulatorProcess
from tests.contract.service_bus.conftest import write_config

WORDS = [
    *("fault", "drop", "refuse", "delay", "at", "entity", "count", "condition", "milliseconds", "seconds", "q", "t"),
    *("connect", "attach", "send", "acknowledge", "settle", "lose_messages", "com.microsoft:server-busy", "PT5S"),
    *("LockDuration", "MaxDeliveryCount", "RequiresSession", "MaxSizeInMegabytes", "DefaultMessageTimeToLive"),
]
texts = st.sampled_from(WORDS) | st.text()
leaves = st.none() | st.booleans() | st.integers() | st.floats() | texts
values: st.SearchStrategy[Any] = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4), max_leaves=8
)
names = st.sampled_from(["q", "t", "a/b", "q/$deadletterqueue"]) | st.text(min_size=1)
paths = st.one_of(
    st.sampled_from(["/", "/health", "/queues", "/connections", "/faults", "/restart", "/resume"]),
    st.builds("/faults/{}".format, st.integers()),
    st.builds(lambda kind, name: f"/{kind}/{quote(name)}", st.sampled_from(["queues", "topics"]), names),
    st.builds(lambda topic, name: f"/topics/{quote(topic)}/subscriptions/{quote(name)}", names, names),
    st.binary(max_size=20).map(lambda raw: "/queues/" + "".join(f"%{byte:02x}" for byte in raw)),
)
methods = st.sampled_from(["GET", "PUT", "POST", "DELETE", "PATCH", "HEAD", "OPTIONS"])


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """The control interface of a separate emulator, because these requests restart it and delete its queues."""
    config = write_config(tmp_path_factory.mktemp("fuzzed") / "Config.json", {"q": {}}, topics=1)
    with (
        EmulatorProcess.start(config) as process,
        httpx.Client(base_url=f"http://127.0.0.1:{process.http_port}", trust_env=False, timeout=60) as client,
    ):
        yield client
        client.post("/resume").raise_for_status()
        assert client.get("/health").json() == {"status": "healthy", "message": "Service is healthy."}
        assert client.put("/queues/after").status_code == 201


def check(response: httpx.Response) -> None:
    assert response.status_code < 500 or (response.request.url.path == "/health" and response.status_code == 503)
    if response.is_error and response.request.method != "HEAD" and response.status_code != 503:
        assert set(response.json()) == {"error"}


@settings(deadline=None, max_examples=300)
@given(method=methods, path=paths, value=values)
def test_any_json_to_any_route_is_answered(http: httpx.Client, method: str, path: str, value: Any) -> None:
    check(http.request(method, path, content=json.dumps(value).encode()))


@settings(deadline=None, max_examples=300)
@given(
    route=st.sampled_from([("POST", "/faults"), ("POST", "/restart"), ("PUT", "/queues/{}"), ("PUT", "/topics/{}")]),
    number=st.integers(0, 99),
    fields=st.dictionaries(st.sampled_from(WORDS), values, max_size=5),
)
def test_any_value_of_a_field_is_answered(
    http: httpx.Client, route: tuple[str, str], number: int, fields: dict[str, Any]
) -> None:
    method, path = route
    check(http.request(method, path.format(number), content=json.dumps(fields).encode()))


@settings(deadline=None, max_examples=100)
@given(method=methods, path=paths, content=st.binary())
def test_any_bytes_to_any_route_are_answered(http: httpx.Client, method: str, path: str, content: bytes) -> None:
    check(http.request(method, path, content=content))
