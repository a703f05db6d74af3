import re
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import TypeAdapter

from local.service_bus.control.requests import Restart
from local.service_bus.entities import QueueProperties
from local.service_bus.faults import Condition, Fault, Moment

PAGE = (Path(__file__).parents[4] / "docs" / "service-bus-emulator.md").read_text()
ROUTES: dict[str, TypeAdapter[Any]] = {
    "faults": TypeAdapter(Fault),
    "restart": TypeAdapter(Restart),
    "queues/orders": TypeAdapter(QueueProperties),
}


def first_column(heading: str) -> list[str]:
    """The code words in the first column of the table with this heading."""
    table = PAGE.split(f"| `{heading}` |", 1)[1].split("\n\n", 1)[0]
    return re.findall(r"^\| `([^`]+)`", table, re.MULTILINE)


def test_all_moments_are_documented() -> None:
    assert first_column("at") == list(Moment)


def test_all_conditions_are_documented() -> None:
    assert first_column("condition") == list(get_args(Condition))


@pytest.mark.parametrize(
    ("path", "body"), re.findall(r"^curl .*?localhost:5300/(\S+) -d '([^']+)'", PAGE, re.MULTILINE)
)
def test_the_examples_are_valid(path: str, body: str) -> None:
    ROUTES[path].validate_json(body)
