"""Records events of the sample functions as JSON lines in the file that the setting EVENTS_FILE names."""

import json
import os
import time
from pathlib import Path
from typing import Any


def record(event: str, **values: Any) -> None:
    line = json.dumps({"event": event, "pid": os.getpid(), **values}) + "\n"
    descriptor = os.open(os.environ["EVENTS_FILE"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, line.encode())  # one write, so that lines of several processes do not mix
    finally:
        os.close(descriptor)


def wait_for_gate(name: str) -> None:
    """Wait until the test creates a file with this name next to the events file."""
    gate = Path(os.environ["EVENTS_FILE"]).with_name(name)
    while not gate.exists():
        time.sleep(0.01)
