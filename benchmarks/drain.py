"""The drain benchmark: no-op tasks from the queue to completed rows, on the whole local stack.

The rows are written and the messages sent before. The stack's time begins with the first claim, because its start is
not measured, and ends when the last task is recorded. The bare loop receives and completes as many messages of the same
emulator and writes nothing; with two receivers, as many as the stack's host has for a batch function. The loop of the
SDK completes one message at a time. `host_loop` receives and completes as the host does: a batch with one disposition.
"""

import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from functools import partial

from azure.servicebus import ServiceBusClient, ServiceBusReceiver

from benchmarks import drain_stack, prepared
from benchmarks.broker_client import receive
from benchmarks.measure import Measured, run_line
from benchmarks.rounds import Benchmark, Least, Lines
from benchmarks.servers import Databases, postgres_server
from core.lanes import TASKS_QUEUE
from local.functions_host.host_config import ServiceBusOptions
from local.functions_host.link import complete
from local.functions_host.receiving import receive_batch
from local.service_bus.process import EmulatorProcess
from repositories import service_bus

_RECEIVERS = {"sdk_loop": 1, "sdk_loop_x2": 2, "host_loop_x2": 2}
_WORKER_PROCESSES = (1, 2)

LINES = (
    *_RECEIVERS,
    *(f"stack_{count}" for count in _WORKER_PROCESSES),
    *(f"envelopes_{count}" for count in _WORKER_PROCESSES),
)


@contextmanager
def _lines() -> Iterator[Lines]:
    """Compare the whole local stack, from the queue to completed rows, with a bare loop that receives and completes."""
    with postgres_server() as databases:
        yield {
            **{line: partial(_bare_loop, line, receivers) for line, receivers in _RECEIVERS.items()},
            **{f"stack_{count}": partial(run_stack, databases, count) for count in _WORKER_PROCESSES},
            **{
                f"envelopes_{count}": partial(run_stack, databases, count, enveloped=True)
                for count in _WORKER_PROCESSES
            },
        }


def _bare_loop(line: str, receivers: int, tasks: int) -> Measured:
    with EmulatorProcess.start() as emulator:
        arguments = {"tasks": str(tasks), "receivers": str(receivers), "service_bus": emulator.connection_string}
        if line.startswith("host_loop"):
            arguments["as_host"] = ""
        return run_line("benchmarks.drain", arguments)


def measure(arguments: Mapping[str, str]) -> Measured:
    """Sends messages of tasks, then measures how they are received and completed.

    Args:
        arguments: tasks, receivers, service_bus; as_host if the loop is the host's.
    """
    tasks = int(arguments["tasks"])
    with closing(service_bus.by_connection_string(arguments["service_bus"], [TASKS_QUEUE])) as queue:
        for batch in prepared.batches(tasks):
            prepared.send(queue, batch)
    receivers = int(arguments["receivers"])
    share = tasks // receivers - 1
    loop = _receive_as_host if "as_host" in arguments else receive
    with ExitStack() as parts, ThreadPoolExecutor(receivers) as threads:
        opened = [_receiver(parts, arguments["service_bus"]) for _ in range(receivers)]
        start = time.perf_counter()
        list(threads.map(lambda receiver: loop(receiver, share), opened))
        return Measured(seconds=time.perf_counter() - start, peak_rss_mib=None, tasks=receivers * share)


def _receiver(parts: ExitStack, connection_string: str) -> ServiceBusReceiver:
    client = parts.enter_context(ServiceBusClient.from_connection_string(connection_string))
    receiver = parts.enter_context(client.get_queue_receiver(TASKS_QUEUE, prefetch_count=0))
    receive(receiver, 1)  # opens the connection
    return receiver


def _receive_as_host(receiver: ServiceBusReceiver, messages: int) -> None:
    options = ServiceBusOptions.model_validate({"maxMessageBatchSize": 100})
    while messages > 0:
        size = min(messages, options.max_message_batch_size)
        batch = receive_batch(receiver, options.model_copy(update={"max_message_batch_size": size}))
        complete(receiver, batch)
        messages -= len(batch)


def run_stack(databases: Databases, worker_processes: int, tasks: int, *, enveloped: bool = False) -> Measured:
    """Drains tasks by a host with some worker processes; the memory is that of the one that took most."""
    with databases.migrated() as url, EmulatorProcess.start() as emulator:
        arguments = {
            **({"envelopes": ""} if enveloped else {}),
            "tasks": str(tasks),
            "worker_processes": str(worker_processes),
            "database_url": url,
            "service_bus": emulator.connection_string,
        }
        return drain_stack.measure(arguments)


BENCHMARK = Benchmark(_lines, reference="sdk_loop_x2", least=Least(5_000, 3, 150))
