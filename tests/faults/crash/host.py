"""The process under test: the application as it is deployed, in a host that behaves as Azure's does."""

import json
import logging
import sys
import threading
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Any

import azure.functions as func
import psycopg2
from azure.functions.servicebus import ServiceBusMessage
from azure.servicebus import (
    ServiceBusClient,
    ServiceBusReceivedMessage,
    ServiceBusReceiver,
    ServiceBusSubQueue,
)
from azure.servicebus import ServiceBusMessage as Sent
from azure.servicebus._pyamqp.error import AMQPException
from azure.servicebus.exceptions import OperationTimeoutError, ServiceBusError

import bootstrap
import function_app
import wiring
from controllers.base import JobController
from controllers.registry import Registry
from controllers.schedule import Schedule
from core.error_groups import group_of
from core.ids import job_id_for_key
from engine.process import current
from local.service_bus.control.client import ControlClient
from repositories import service_bus
from repositories.broker_client import tls_context
from repositories.pool import ConnectionPool
from repositories.postgres import PostgresDatabase
from settings import Settings
from tests.faults.crash import jobs, links
from tests.faults.crash.points import FatalDatabase, FatalQueue, Points
from tests.faults.crash.shared import Shared
from tests.support.deliveries import called_as_by_the_host
from tests.support.waiting import wait_until
from tests.unit.api.support import BASE, get, post
from wiring import App, Backends

logger = logging.getLogger(__name__)

_DEAD_LETTERS = "/$deadletterqueue"
_MOST_PER_BATCH = 100
_WAIT_SECONDS = 60.0
"""For messages that are in a queue: only a fault keeps them back as long."""
_WAIT_FOR_DEAD_SECONDS = 2.0
"""For those of a dead-letter queue, some of which a dead process may have locked."""
_HOST = "the host"
tls_context()  # before the fork: each process of a trial would read all certificates again
_KEY = "crash"
_WEEKLY = "0 0 * * 0"
"""So seldom that no trial meets a second tick."""

_LETTERS = {"resend_dead_letter": 1, "discard_dead_letter": 2}
"""The ids of the dead letters that these requests are about."""

_OF_MANY_JOBS = {"cancel_jobs", "retry_jobs", "delete_jobs"}


@dataclass(frozen=True)
class _QueueFunction:
    """A function with a Service Bus trigger."""

    name: str
    run: Any
    queue: str
    takes_batches: bool


FUNCTIONS = {str(each.get_function_name()): each for each in function_app.app.get_functions()}
# A worker of `crew.py` may be forked from a process that has imported this. It lists the functions itself, and would
# find every name taken.
function_app.app.functions_bindings = {}
_QUEUE_FUNCTIONS = [
    _QueueFunction(
        name,
        called_as_by_the_host(each.get_user_function()),
        trigger.queue_name,
        trigger.cardinality == func.Cardinality.MANY,
    )
    for name, each in FUNCTIONS.items()
    if isinstance(trigger := each.get_trigger(), func.decorators.servicebus.ServiceBusQueueTrigger)
]
_ENTRANCES = [
    module for name, module in sys.modules.items() if name.startswith(("api.", "triggers.")) and hasattr(module, "app")
]
QUEUE_FUNCTIONS = tuple(each.name for each in _QUEUE_FUNCTIONS)


class Host:
    """One life of the application.

    Args:
        settings: of the application.
        controller: its job type.
        control: counts the messages in the queues.
        points: where it can die.
        shared: what it shares with its other lives.
        size: how many tasks its job has.
    """

    def __init__(
        self,
        settings: Settings,
        controller: type[JobController[Any]],
        control: ControlClient,
        points: Points,
        shared: Shared,
        size: int,
    ) -> None:
        assert settings.service_bus_connection is not None
        self.size = size
        self.shared = shared
        self.job_id = job_id_for_key(controller.job_type, _KEY)
        self._controller = controller
        self._schedules = _schedules(controller, size)
        self._database_url = settings.database_url
        self._control = control
        self._points = points
        self._client = ServiceBusClient.from_connection_string(settings.service_bus_connection)
        self._receivers: dict[str, ServiceBusReceiver] = {}
        self._empty: set[str] = set()
        links.hurry()
        jobs.CLIENT.update(cancel=partial(self.ask, "cancel_job"), end=self._end, renewal=self._await_renewal)
        self._deploy(settings)

    def everything(self) -> None:
        """Repeats unanswered requests, sweeps and runs all functions, as a client and a host do after a start."""
        self.submit()
        self.sweep()
        self.consume(*QUEUE_FUNCTIONS)

    def submit(self) -> None:
        """Submits the job, unless that was answered, and repeats all other unanswered requests."""
        if self._schedules:
            self.tick()
        else:
            companion = ["submit_companion"] if jobs.waits_of(self._controller).companion else []
            for request in [*companion, "submit_job"]:
                if not self.shared.is_set(f"{request} answered"):
                    self.ask(request)
        for request in self.shared.unanswered():
            self.ask(request)

    def ask(self, request: str) -> None:
        """Sends a request about the job, and gets its answer."""
        interrupted = self._points.function
        self.shared.set(f"{request} sent")
        if request == "submit_companion":
            given = {"n": jobs.waits_of(self._controller).companion}
            response = self._run("submit_job", post("companion", given, {"Idempotency-Key": _KEY}))
        elif request == "submit_job":
            key, query = {"Idempotency-Key": _KEY}, self._query()
            response = self._run(request, post(self._controller.job_type, {"n": self.size}, key, **query))
        elif request in _LETTERS:
            letter_id = {"dead_letter_id": str(_LETTERS[request])}
            response = self._run(request, func.HttpRequest("POST", BASE, route_params=letter_id, body=b""))
        elif request in _OF_MANY_JOBS:
            which = {"type": self._controller.job_type}
            response = self._run(request, func.HttpRequest("POST", f"{BASE}/jobs/many", params=which, body=b""))
        elif request == "retry_part":
            response = self._run("retry_job", _part(self.job_id))
        else:
            response = self._run(request, get(self.job_id))
        # A repeated request may be refused: the first one had its effect. The tasks of a part then have not failed.
        refusals = {HTTPStatus.CONFLICT} | ({HTTPStatus.BAD_REQUEST} if request == "retry_part" else set())
        assert response.status_code in {HTTPStatus.OK, HTTPStatus.ACCEPTED, *refusals}, response.get_body()
        self._points.pass_by(_HOST, "answer", "before")
        self.shared.set(f"{request} answered")
        self._points.pass_by(_HOST, "answer", "after")
        self._points.function = interrupted

    def tick(self) -> None:
        """Runs the timer's function for schedules, until the schedule's row names the job: nobody else is answered."""
        if self.shared.is_set("submit_job answered"):
            return
        self._run("run_schedules", None)
        self._points.pass_by(_HOST, "return", "after")
        listed = self._run("list_schedules", func.HttpRequest("GET", BASE, body=b""))
        (shown,) = json.loads(listed.get_body())["schedules"]
        if shown["last_job_id"]:
            self.shared.set("submit_job sent")
            self.shared.set("submit_job answered")

    def _query(self) -> dict[str, str]:
        waits = jobs.waits_of(self._controller)
        query = {"after": job_id_for_key("companion", _KEY)} if waits.companion else {}
        if getattr(self._controller, "is_urgent", False):
            query["urgent"] = "true"
        if waits.start_in is not None:
            with closing(psycopg2.connect(self._database_url)) as conn, conn.cursor() as cursor:
                cursor.execute("SELECT now() + make_interval(secs => %s)", (waits.start_in,))
                query["start_at"] = (cursor.fetchone() or ())[0].isoformat()
        return query

    def sweep(self) -> None:
        """Runs the timer's function."""
        self._run("sweep", None)
        self._points.pass_by(_HOST, "return", "after")

    def consume(self, *functions: str, most: int | None = None) -> None:
        """Runs functions on the messages in their queues until these are empty, or that many times."""
        chosen = [each for each in _QUEUE_FUNCTIONS if each.name in functions]
        done = 0
        while done != most and not current.shutdown.requested:
            ready = self._ready()
            if not any(self._consume_once(each, ready.get(each.queue, 0)) for each in chosen):
                return
            done += 1

    def bury(self, queue: str, most: int, reason: str = "MaxDeliveryCountExceeded") -> None:
        """Moves up to that many messages to the dead-letter queue, as a broker does after too many deliveries."""
        waiting = min(self._ready()[queue], most)
        assert waiting, f"{queue} is empty"
        receiver = self._receiver(queue)
        for message in _receive(receiver, waiting, _WAIT_SECONDS):
            receiver.dead_letter_message(message, reason=reason, error_description="given up")

    def send(self, queue: str, *bodies: bytes) -> None:
        """Sends messages that the application did not send."""
        with self._client.get_queue_sender(queue) as sender:
            sender.send_messages([Sent(body, message_id=f"strange {index}") for index, body in enumerate(bodies)])

    def _deploy(self, settings: Settings) -> None:
        """Builds the application, and makes it that of this process."""
        assert settings.service_bus_connection is not None
        database = PostgresDatabase(ConnectionPool(settings.database_url, settings.database_pool_size))
        queue = service_bus.by_connection_string(settings.service_bus_connection, ())
        database_to_die_in, queue_to_die_in = FatalDatabase(database, self._points), FatalQueue(queue, self._points)
        backends = Backends(database_to_die_in, queue_to_die_in, list, lambda: None)
        registry = Registry(jobs.registered(self._controller), self._schedules)
        deploy(wiring.wire(settings, registry, backends))

    def _end(self) -> None:
        """Begins a shutdown, as SIGTERM does."""
        threading.Thread(target=bootstrap.drain, daemon=True).start()

    def _await_renewal(self) -> None:
        """Waits until a worker renews leases."""
        wait_until(lambda: "TaskRunner._renew" in self._points.passed, _WAIT_SECONDS)

    def _run(self, name: str, argument: Any) -> Any:
        self._points.function = name
        return called_as_by_the_host(FUNCTIONS[name].get_user_function())(argument)

    def _ready(self) -> dict[str, int]:
        counts = self._control.queues()
        return {each.name: each.active for each in counts} | {
            each.name + _DEAD_LETTERS: each.dead_letter for each in counts
        }

    def _consume_once(self, function: _QueueFunction, ready: int) -> bool:
        if not ready or function.queue in self._empty:
            return False
        receiver = self._receiver(function.queue)
        most = min(ready, _MOST_PER_BATCH if function.takes_batches else 1)
        is_dead = function.queue.endswith(_DEAD_LETTERS)
        messages = _receive(receiver, most, _WAIT_FOR_DEAD_SECONDS if is_dead else _WAIT_SECONDS)
        if messages:
            self._invoke(function, receiver, messages)
        elif is_dead:
            self._empty.add(function.queue)  # counts the messages that a dead process has locked, too
            return False
        return True

    def _invoke(
        self, function: _QueueFunction, receiver: ServiceBusReceiver, messages: Sequence[ServiceBusReceivedMessage]
    ) -> None:
        """Runs a function; then completes its messages, or abandons them if it raises."""
        arguments = [_argument(message) for message in messages]
        step = "return"
        try:
            self._run(function.name, arguments if function.takes_batches else arguments[0])
        except Exception:
            logger.exception("%s raises", function.name)
            step = "raise"
        self._points.pass_by(_HOST, step, "before")
        _settle(receiver, messages[:1], step)
        if len(messages) > 1:
            self._points.pass_by(_HOST, step, "amid")
            _settle(receiver, messages[1:], step)
        self._points.pass_by(_HOST, step, "after")

    def _receiver(self, queue: str) -> ServiceBusReceiver:
        if queue not in self._receivers:
            name, dead, _ = queue.partition(_DEAD_LETTERS)
            sub_queue = ServiceBusSubQueue.DEAD_LETTER if dead else None
            self._receivers[queue] = self._client.get_queue_receiver(name, sub_queue=sub_queue)
        return self._receivers[queue]


def _schedules(controller: type[JobController[Any]], size: int) -> list[Schedule]:
    is_scheduled = getattr(controller, "is_scheduled", False)
    return [Schedule(_WEEKLY, controller.job_type, {"n": size})] if is_scheduled else []


def _part(job_id: str) -> func.HttpRequest:
    """Asks for the tasks of one cause alone."""
    part = {"error": group_of("PermanentTaskError", jobs.BROKEN).id}
    return func.HttpRequest("POST", "", route_params={"job_id": job_id}, body=json.dumps(part).encode())


def _receive(receiver: ServiceBusReceiver, most: int, wait_seconds: float) -> list[ServiceBusReceivedMessage]:
    """That many messages, if they are there: an invocation must not depend on how fast they arrive."""
    received: list[ServiceBusReceivedMessage] = []
    while len(received) < most:
        try:
            page = receiver.receive_messages(most - len(received), wait_seconds)
        except OperationTimeoutError:
            logger.info("a link is slow to open")  # as on a busy machine
            continue
        if not page:
            break
        received += page
    return received


def _settle(receiver: ServiceBusReceiver, messages: Sequence[ServiceBusReceivedMessage], step: str) -> None:
    """Completes messages whose function returned; abandons those whose function raised."""
    try:
        if step == "return":
            links.complete_together(receiver, messages)
        else:
            for message in messages:
                receiver.abandon_message(message)
    except (AMQPException, ServiceBusError):
        logger.info("messages that cannot be settled come again", exc_info=True)


def deploy(app: App) -> None:
    """Makes it the application of the routes and triggers of this process."""
    for module in _ENTRANCES:
        vars(module)["app"] = lambda: app


def _argument(message: ServiceBusReceivedMessage) -> ServiceBusMessage:
    properties = {_text(name): _text(value) for name, value in (message.application_properties or {}).items()}
    return ServiceBusMessage(
        body=b"".join(message.body),
        message_id=message.message_id or "",
        delivery_count=(message.delivery_count or 0) + 1,  # the header counts the failed ones
        application_properties=properties,
        user_properties={},
    )


def _text(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value
