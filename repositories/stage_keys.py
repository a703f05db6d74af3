"""Converts a stage's key and opening to and from SQL, where the columns are `job_id`, `stage` and `openings`."""

from collections.abc import Sequence

from core.models import StageKey, StageOpening
from repositories.ports.rows import Row


def columns(key: StageKey) -> dict[str, str | int]:
    """Returns the values of the placeholders that name one stage."""
    return {"job_id": key.job_id, "stage": key.number}


def arrays(keys: Sequence[StageKey]) -> dict[str, list[str] | list[int]]:
    """Returns the values of the placeholders that name several stages."""
    return {"job_ids": [key.job_id for key in keys], "stages": [key.number for key in keys]}


def key_of(row: Row) -> StageKey:
    """Returns the key of the stage that a row names."""
    return StageKey(row["job_id"], row["stage"])


def opening_of(row: Row) -> StageOpening:
    """Returns the opening of the stage that a row names."""
    return StageOpening(key_of(row), row["openings"])
