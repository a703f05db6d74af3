"""The drain by the local stack with one worker process, as a line that runs in a process of its own."""

from collections.abc import Mapping
from contextlib import closing

from benchmarks import prepared
from benchmarks.measure import Measured
from benchmarks.memory import peak_of_children_mib
from benchmarks.noop_app import running_host
from core.lanes import BATCHES_QUEUE, TASKS_QUEUE
from repositories import service_bus


def measure(arguments: Mapping[str, str]) -> Measured:
    """Drains tasks (tasks, database_url, service_bus; envelopes, if given)."""
    url, connection_string, tasks = arguments["database_url"], arguments["service_bus"], int(arguments["tasks"])
    with (
        prepared.opened(url) as database,
        closing(service_bus.by_connection_string(connection_string, [TASKS_QUEUE, BATCHES_QUEUE])) as queue,
    ):
        for batch in prepared.queued_batches(database, tasks, enveloped="envelopes" in arguments):
            prepared.send(queue, batch)
    with running_host(url, connection_string, int(arguments.get("worker_processes", "1"))) as host:
        seconds = prepared.seconds_to_finish(url)
        return Measured(seconds=seconds, peak_rss_mib=peak_of_children_mib(host.pid))
