from collections.abc import Iterator

import pytest

from core.batching import BATCH_SIZE, aligned_batches
from core.definitions import AlignedBatch, TaskDefinition
from core.errors import StageDefinitionError
from core.lanes import Lane

JOB = "0123456789abcdef" * 2


def lane_of(task_type: str) -> Lane:
    return Lane.LONG if task_type == "slow" else Lane.FAST


def definitions(*task_types: str) -> Iterator[TaskDefinition]:
    for index, task_type in enumerate(task_types):
        yield TaskDefinition(task_type, {}, index)


def cut(*task_types: str, batch_size: int = BATCH_SIZE) -> list[AlignedBatch]:
    return list(aligned_batches(JOB, 1, definitions(*task_types), lane_of, batch_size))


@pytest.mark.parametrize(
    ("count", "sizes"),
    [
        (0, []),
        (1, [1]),
        (99, [99]),
        (100, [100]),
        (101, [100, 1]),
        (137, [100, 37]),
        (1_000, [100] * 10),
    ],
)
def test_batches_are_full_but_for_the_last(count: int, sizes: list[int]) -> None:
    batches = cut(*["quick"] * count)
    assert [batch.task_count for batch in batches] == sizes
    assert [batch.batch_index for batch in batches] == list(range(len(sizes)))


def test_a_batch_size_of_one_queues_tasks_one_by_one() -> None:
    assert [batch.task_count for batch in cut("quick", "quick", "quick", batch_size=1)] == [1, 1, 1]


def test_a_batch_holds_tasks_of_one_lane_alone() -> None:
    batches = cut("quick", "slow", "quick", "slow", "slow", batch_size=2)
    assert [(batch.lane, [each.index for each in batch.definitions]) for batch in batches] == [
        (Lane.FAST, [0, 2]),
        (Lane.LONG, [1, 3]),
        (Lane.LONG, [4]),
    ]
    assert [batch.batch_index for batch in batches] == [0, 1, 2]


@pytest.mark.parametrize("indexes", [[1], [0, 2], [0, 0], [0, 1, 1], [-1]])
def test_an_index_out_of_order_is_refused(indexes: list[int]) -> None:
    yielded = [TaskDefinition("quick", {}, index) for index in indexes]
    with pytest.raises(
        StageDefinitionError, match=f"yields task index {indexes[-1]} where {len(indexes) - 1} is expected"
    ):
        list(aligned_batches(JOB, 1, yielded, lane_of))
