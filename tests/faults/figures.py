"""The figures of the long forms, from which docs/reliability.md is filled."""

import json
from datetime import UTC, datetime
from pathlib import Path

from tests.faults.sizes import LONG

FIGURES = Path(__file__).parents[2] / ".local" / "chaos.jsonl"


def record(name: str, **figures: object) -> None:
    """Appends one line of JSON to ``.local/chaos.jsonl``; a short form records nothing."""
    if not LONG:
        return
    FIGURES.parent.mkdir(exist_ok=True)
    line = {"name": name, "at": datetime.now(UTC).isoformat(timespec="seconds"), **figures}
    with FIGURES.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
