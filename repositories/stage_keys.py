"""Converts a stage's key to and from SQL, where its columns are `job_id` and `stage`."""

from collections.abc import Sequence

from core.models import StageKey
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
