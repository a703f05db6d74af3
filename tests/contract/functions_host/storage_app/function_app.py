"""An app with functions of storage queues, whose names are settings, so that tests can share an account."""

import json
import os
import time
from pathlib import Path
from typing import Any

import azure.functions as func

app = func.FunctionApp()


def record(event: str, **values: Any) -> None:
    line = json.dumps({"event": event, **values}) + "\n"
    descriptor = os.open(os.environ["EVENTS_FILE"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(descriptor, line.encode())
    os.close(descriptor)


@app.queue_trigger(arg_name="message", queue_name="%ONE_QUEUE%", connection="Account")
def one(message: func.QueueMessage, context: func.Context) -> None:
    assert message.insertion_time
    seen = {
        "body": message.get_body().decode(),
        "id": message.id,
        "dequeue_count": message.dequeue_count,
        "pop_receipt": message.pop_receipt,
        "insertion_time": message.insertion_time.isoformat(),
    }
    record("start", function="one", messages=[seen])
    orders = json.loads(message.get_body())
    gate = Path(os.environ["EVENTS_FILE"]).with_name(orders.get("gate", "events.jsonl"))
    while not gate.exists():
        time.sleep(0.01)
    if (message.dequeue_count or 0) <= orders.get("fail_attempts", 0):
        raise ValueError("as ordered")
    record("end", function="one")


@app.queue_trigger(arg_name="message", queue_name="%ONE_QUEUE%-poison", connection="Account")
def dead(message: func.QueueMessage) -> None:
    record("start", function="dead", messages=[{"body": message.get_body().decode()}])
    if b"fail_always" in message.get_body():
        raise ValueError("as ordered")
