"""The arguments of Service Bus functions, and how their messages are settled."""

import datetime as dt
import json
from collections.abc import Callable

from azure.servicebus import ServiceBusClient, ServiceBusMessage

from local.functions_host.process import HostProcess
from local.service_bus.process import EmulatorProcess
from tests.contract.functions_host.conftest import Send
from tests.contract.functions_host.support import SAMPLE_APP, Events, wait_until

StartHost = Callable[..., HostProcess]


def left_in(emulator: EmulatorProcess, queue: str) -> int:
    counts = next(counts for counts in emulator.queues() if counts.name == queue)
    return counts.active + counts.locked


def orders(**values: object) -> ServiceBusMessage:
    return ServiceBusMessage(json.dumps(values))


def test_a_single_message_comes_with_its_metadata_and_is_completed(
    emulator: EmulatorProcess, events: Events, send: Send, start_host: StartHost
) -> None:
    message = ServiceBusMessage(
        b'{"n": 1}',
        message_id="m-1",
        content_type="application/json",
        correlation_id="c-1",
        subject="s",
        application_properties={"text": "é", "number": 7, "flag": True},
    )
    start_host(SAMPLE_APP)
    sent_at = dt.datetime.now(dt.UTC)
    send("one", [message])

    wait_until(lambda: events.ends("one"), "the function has run")
    (seen,) = events.messages("one")
    assert seen["body"] == '{"n": 1}'
    assert seen["message_id"] == "m-1"
    assert seen["delivery_count"] == 1
    assert seen["sequence_number"] == 1
    assert len(seen["lock_token"]) == len("00000000-0000-0000-0000-000000000000")
    assert (seen["content_type"], seen["correlation_id"], seen["subject"]) == ("application/json", "c-1", "s")
    assert seen["application_properties"] == {"text": "é", "number": 7, "flag": True}
    assert seen["user_properties"] == seen["application_properties"]
    assert abs(dt.datetime.fromisoformat(seen["enqueued_time_utc"]) - sent_at) < dt.timedelta(minutes=10)
    wait_until(lambda: left_in(emulator, "one") == 0, "the message is completed")


COLLIDING = b'{"DeliveryCount": "many"}'
"""The body of a message that hides its own metadata."""


def test_the_fields_of_a_json_body_hide_the_metadata_of_a_single_message(
    events: Events, send: Send, start_host: StartHost
) -> None:
    start_host(SAMPLE_APP)
    send("one", [ServiceBusMessage(b'{"subject": "mine", "MessageId": 7, "n": null}', message_id="m-1", subject="s")])
    wait_until(lambda: events.ends("one"), "the function has run")
    (seen,) = events.messages("one")
    assert (seen["subject"], seen["message_id"]) == ("mine", "7")


def test_a_single_message_that_hides_its_metadata_reaches_no_function(
    emulator: EmulatorProcess, events: Events, send: Send, start_host: StartHost
) -> None:
    start_host(SAMPLE_APP)
    send("one", [ServiceBusMessage(COLLIDING), orders(n=1)])
    wait_until(lambda: left_in(emulator, "one") == 0, "all tries are spent")
    assert [json.loads(message["body"]) for message in events.messages("one")] == [{"n": 1}]
    (counts,) = [counts for counts in emulator.queues() if counts.name == "one"]
    assert counts.dead_letter == 1


def test_a_message_of_a_batch_keeps_its_metadata_whatever_its_body(
    events: Events, send: Send, start_host: StartHost
) -> None:
    start_host(SAMPLE_APP)
    send("many", [ServiceBusMessage(COLLIDING)])
    wait_until(lambda: events.ends("many"), "the function has run")
    assert [message["delivery_count"] for message in events.messages("many")] == [1]


def test_many_messages_come_as_a_list_each_with_its_own_metadata(
    emulator: EmulatorProcess, events: Events, send: Send, start_host: StartHost
) -> None:
    send("many", [ServiceBusMessage(json.dumps({"n": n}), message_id=f"m-{n}", subject=f"s-{n}") for n in range(5)])
    start_host(SAMPLE_APP, batch_concurrency=1)

    seen = wait_until(lambda: len(events.messages("many")) == 5 and events.messages("many"), "all are received")
    assert [message["message_id"] for message in seen] == [f"m-{n}" for n in range(5)]
    assert [message["subject"] for message in seen] == [f"s-{n}" for n in range(5)]
    assert [json.loads(message["body"]) for message in seen] == [{"n": n} for n in range(5)]
    assert [message["delivery_count"] for message in seen] == [1] * 5
    assert len({message["lock_token"] for message in seen}) == 5
    wait_until(lambda: left_in(emulator, "many") == 0, "all are completed")


def test_an_async_function_runs(emulator: EmulatorProcess, events: Events, send: Send, start_host: StartHost) -> None:
    start_host(SAMPLE_APP)
    send("async", [orders(), orders()])
    wait_until(lambda: len(events.messages("async_one")) == 2, "both are received")
    wait_until(lambda: left_in(emulator, "async") == 0, "both are completed")


def test_a_raise_abandons_the_message_and_it_is_delivered_again(
    emulator: EmulatorProcess, events: Events, send: Send, start_host: StartHost
) -> None:
    start_host(SAMPLE_APP)
    send("one", [orders(fail_attempts=1)])
    wait_until(lambda: events.ends("one"), "the second try has ended")
    assert [message["delivery_count"] for message in events.messages("one")] == [1, 2]
    wait_until(lambda: left_in(emulator, "one") == 0, "the message is completed")


def test_a_raise_abandons_every_message_of_the_batch(events: Events, send: Send, start_host: StartHost) -> None:
    send("many", [orders(n=0), orders(n=1, fail_attempts=1), orders(n=2)])
    start_host(SAMPLE_APP, batch_concurrency=1)
    wait_until(lambda: len({m["body"] for m in events.messages("many") if m["delivery_count"] == 2}) == 3, "all again")
    first = events.starts("many")[0]["messages"]
    assert [message["delivery_count"] for message in first] == [1, 1, 1]


def test_a_message_that_keeps_failing_becomes_a_dead_letter(
    emulator: EmulatorProcess, events: Events, send: Send, start_host: StartHost
) -> None:
    start_host(SAMPLE_APP)
    send("one", [orders(fail_attempts=99)])
    wait_until(lambda: len(events.starts("one")) == 3 and left_in(emulator, "one") == 0, "all tries are spent")
    (counts,) = [counts for counts in emulator.queues() if counts.name == "one"]
    assert counts.dead_letter == 1


def test_a_dead_letter_queue_is_a_queue_to_trigger_on(
    emulator: EmulatorProcess, events: Events, send: Send, start_host: StartHost
) -> None:
    send("dead", [ServiceBusMessage("{}", message_id="d-1")])
    with (
        ServiceBusClient.from_connection_string(emulator.connection_string) as client,
        client.get_queue_receiver("dead") as receiver,
    ):
        (message,) = receiver.receive_messages(1, 120)
        receiver.dead_letter_message(message, reason="unreadable", error_description="for the test")
    start_host(SAMPLE_APP)
    (seen,) = wait_until(lambda: events.messages("dead"), "the dead letter is received")
    assert seen["message_id"] == "d-1"
    assert seen["application_properties"]["DeadLetterReason"] == "unreadable"
