"""When a job that has ended can be resumed or retried."""

from collections.abc import Iterable, Mapping
from typing import Any


def are_settled(batches: Iterable[Mapping[str, Any]]) -> bool:
    """Whether no batch has an open task: tasks that ran when their job failed or was cancelled end later."""
    return all(each["status"] in {"finished", "cancelled"} for each in batches)
