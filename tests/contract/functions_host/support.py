"""Helpers for the tests of the Functions host: apps on disk, and the events that their functions record."""

import json
import shutil
import time
from collections.abc import Callable
from itertools import accumulate
from pathlib import Path
from typing import Any

SAMPLE_APP = Path(__file__).parent / "sample_app"
_DEADLINE_SECONDS = 60.0


def wait_until(condition: Callable[[], Any], what: str) -> Any:
    """Waits until a condition is true and returns its value."""
    deadline = time.monotonic() + _DEADLINE_SECONDS
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"did not happen: {what}")


def copy_app(target: Path, service_bus: dict[str, Any], **top_level: Any) -> Path:
    """Copies the sample app with other options of the Service Bus extension and other top-level keys in host.json."""
    shutil.copytree(SAMPLE_APP, target)
    config = json.loads((SAMPLE_APP / "host.json").read_text())
    config["extensions"]["serviceBus"] = service_bus
    (target / "host.json").write_text(json.dumps(config | top_level))
    return target


class Events:
    """The events that the functions of a sample app have recorded."""

    def __init__(self, directory: Path) -> None:
        self.file = directory / "events.jsonl"
        self.file.touch()

    def all(self) -> list[dict[str, Any]]:
        lines = self.file.read_text().split("\n")[:-1]  # the text after the last newline is still being written
        return [json.loads(line) for line in lines]

    def starts(self, function: str) -> list[dict[str, Any]]:
        return [event for event in self.all() if event["event"] == "start" and event.get("function") == function]

    def ends(self, function: str) -> list[dict[str, Any]]:
        return [event for event in self.all() if event["event"] == "end" and event.get("function") == function]

    def messages(self, function: str) -> list[dict[str, Any]]:
        return [message for event in self.starts(function) for message in event["messages"]]

    def most_at_a_time(self) -> int:
        """The largest number of invocations that ran at the same time."""
        return max(accumulate(1 if event["event"] == "start" else -1 for event in self.all()))

    def open_gate(self, name: str) -> None:
        self.file.with_name(name).touch()
