"""The whole stack without Service Bus: messages travel by queues of a real Azurite."""

from collections.abc import Iterator
from contextlib import closing

import httpx
import pytest
from azure.storage.queue import QueueServiceClient

from local.azurite import Azurite
from local.jobs_client import JobsClient
from local.stack import ROOT, Stack, running_stack
from tests.e2e.test_local_commands import USUAL_PORTS
from tests.support.collector import Collector, SentSpan, collecting
from tests.support.long_deadlines import LONG_DATABASE_DEADLINES
from tests.support.waiting import wait_until

TIMEOUT_SECONDS = 240


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector


@pytest.fixture
def stack(
    database_url: str, azurite: Azurite, collector: Collector, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    environment = {
        "DATABASE_URL": database_url,
        "StorageConnection": azurite.connection_string,
        "DATA_DIR": str(ROOT / "samples"),
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_METRIC_EXPORT_INTERVAL": "1000",
        **LONG_DATABASE_DEADLINES,
    }
    with QueueServiceClient.from_connection_string(azurite.connection_string) as account:
        for queue in account.list_queues():  # other tests of this worker may have left messages
            account.get_queue_client(queue).clear_messages()
    with running_stack(tmp_path_factory.mktemp("stack"), lambda _: None, environment, storage_queues=True) as stack:
        yield stack


@pytest.mark.timeout(1_200)
@pytest.mark.one_worker(USUAL_PORTS)
def test_jobs_run_without_service_bus_and_are_connected_pictures(stack: Stack, collector: Collector) -> None:
    def get(path: str) -> httpx.Response:
        return httpx.get(f"{stack.base_url}/api/{path}", trust_env=False, timeout=TIMEOUT_SECONDS)

    wait_until(lambda: get("health").status_code == 200, TIMEOUT_SECONDS)
    with closing(JobsClient(stack.base_url)) as client:
        many = client.submit("hello_world", {"n": 150})
        single = client.submit("hello_world", {"n": 3, "use_service_bus": False})
        assert client.wait(many, TIMEOUT_SECONDS)["status"] == "completed"
        assert client.wait(single, TIMEOUT_SECONDS)["status"] == "completed"
    batches = get(f"jobs/{many}/batches").json()["batches"]
    assert {each["message_per"] for each in batches} == {"batch"}
    assert {each["message_per"] for each in get(f"jobs/{single}/batches").json()["batches"]} == {"task"}

    def counts() -> list[tuple[int, int | None, int]]:
        queues = get("queues").json()["queues"]
        return [(each["active"], each["scheduled"], each["dead_lettered"]) for each in queues]

    wait_until(lambda: counts() == [(0, None, 0)] * 5, TIMEOUT_SECONDS)

    def invocations() -> list[SentSpan]:
        return [each for each in collector.named("process sb-batches") if each.links]

    def dispatches() -> set[tuple[str, str]]:
        return {each.place for each in collector.named("dispatch sb-jobs") if each.trace_id == many}

    # Two stages of 150 tasks; more if a message was delivered again. A dispatch may be told after what it has sent.
    wait_until(lambda: len(invocations()) >= 4, TIMEOUT_SECONDS)
    wait_until(lambda: {link for each in invocations() for link in each.links} <= dispatches(), TIMEOUT_SECONDS)
    assert {each.attributes["messaging.system"] for each in invocations()} == {"azure_storage_queues"}
    sent = {"messaging__destination__name": "sb-batches", "messaging__operation__name": "send"}
    system = {"messaging__system": "azure_storage_queues"}
    name = "messaging.client.sent.messages"
    wait_until(lambda: collector.has_metric(name, **sent, **system), TIMEOUT_SECONDS)
    assert collector.metric(name, **sent, **system) > 0
