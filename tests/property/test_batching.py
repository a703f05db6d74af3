from collections.abc import Iterator
from itertools import islice, pairwise
from unittest.mock import patch

from hypothesis import example, given
from hypothesis import strategies as st

from core.batching import BATCH_SIZE, aligned_batches
from core.checkpoints import Checkpoint
from core.definitions import AlignedBatch, TaskDefinition
from core.lanes import Lane

JOB = "0123456789abcdef" * 2
LANES = {"quick": Lane.FAST, "slow": Lane.LONG}

task_types = st.lists(st.sampled_from(sorted(LANES)), max_size=350)
sizes = st.integers(1, BATCH_SIZE)


def definitions(types: list[str]) -> Iterator[TaskDefinition]:
    for index, task_type in enumerate(types):
        yield TaskDefinition(task_type, {"n": index}, index)


def cut(types: list[str], batch_size: int) -> list[AlignedBatch]:
    return list(aligned_batches(JOB, 1, definitions(types), LANES.__getitem__, batch_size))


@given(task_types, sizes)
def test_batches_are_a_partition_of_the_definitions(types: list[str], batch_size: int) -> None:
    batches = cut(types, batch_size)
    indexes = sorted(each.index for batch in batches for each in batch.definitions)
    assert indexes == list(range(len(types)))
    assert all(LANES[each.task_type] == batch.lane for batch in batches for each in batch.definitions)


@given(task_types, sizes)
def test_every_batch_is_full_but_the_last_of_each_lane(types: list[str], batch_size: int) -> None:
    batches = cut(types, batch_size)
    for lane in Lane:
        counts = [batch.task_count for batch in batches if batch.lane == lane]
        assert all(count == batch_size for count in counts[:-1])
        assert all(0 < count <= batch_size for count in counts)


@given(task_types, sizes)
def test_order_is_kept_and_batches_are_numbered_without_gaps(types: list[str], batch_size: int) -> None:
    batches = cut(types, batch_size)
    assert [batch.batch_index for batch in batches] == list(range(len(batches)))
    for lane in Lane:
        indexes = [each.index for batch in batches if batch.lane == lane for each in batch.definitions]
        assert indexes == sorted(indexes)


@given(task_types, sizes)
def test_a_replay_cuts_the_same_batches(types: list[str], batch_size: int) -> None:
    first, second = cut(types, batch_size), cut(types, batch_size)
    assert first == second
    assert [batch.digest for batch in first] == [batch.digest for batch in second]


@given(task_types, sizes, st.integers(0, 5))
def test_only_the_definitions_that_the_batches_taken_need_are_consumed(
    types: list[str], batch_size: int, taken: int
) -> None:
    consumed = 0

    def counting() -> Iterator[TaskDefinition]:
        nonlocal consumed
        for definition in definitions(types):
            consumed += 1
            yield definition

    batches = list(islice(aligned_batches(JOB, 1, counting(), LANES.__getitem__, batch_size), taken))
    if taken == 0:
        assert consumed == 0
    elif len(batches) == taken and batches[-1].task_count == batch_size:
        assert consumed == batches[-1].definitions[-1].index + 1
    else:
        assert consumed == len(types)


def with_cursors(types: list[str], cursors: set[int]) -> list[TaskDefinition]:
    return [
        TaskDefinition(task_type, {"n": index}, index, {"after": index} if index in cursors else None)
        for index, task_type in enumerate(types)
    ]


@given(task_types, st.sets(st.integers(0, 350)), sizes)
@example(["slow", *["quick"] * 40, "slow"], {39}, 100)  # the lanes come in another order after the checkpoint
def test_from_any_checkpoint_the_same_batches_follow_as_in_one_pass(
    types: list[str], cursors: set[int], batch_size: int
) -> None:
    tasks = with_cursors(types, cursors)
    with patch("core.batching.MOST_BETWEEN_CHECKPOINTS", 40):
        batches = list(aligned_batches(JOB, 1, tasks, LANES.__getitem__, batch_size))
        for checkpoint in [batch.checkpoint for batch in batches if batch.checkpoint is not None]:
            rest = iter(tasks[checkpoint.tasks :])
            followed = list(aligned_batches(JOB, 1, rest, LANES.__getitem__, batch_size, checkpoint))
            assert followed == batches[checkpoint.batches :]


@given(task_types, st.sets(st.integers(0, 350)), sizes)
def test_every_task_before_a_checkpoint_is_in_a_batch_before_it(
    types: list[str], cursors: set[int], batch_size: int
) -> None:
    tasks = with_cursors(types, cursors)
    with patch("core.batching.MOST_BETWEEN_CHECKPOINTS", 40):
        batches = list(aligned_batches(JOB, 1, tasks, LANES.__getitem__, batch_size))
    for batch in batches:
        if batch.checkpoint is not None:
            before = batches[: batch.checkpoint.batches]
            assert batch.checkpoint.batches == batch.batch_index + 1
            assert sorted(each.index for at in before for each in at.definitions) == [*range(batch.checkpoint.tasks)]
            assert tasks[batch.checkpoint.tasks - 1].cursor == batch.checkpoint.cursor


@given(task_types, sizes)
def test_tasks_that_all_have_cursors_are_never_far_from_a_checkpoint(types: list[str], batch_size: int) -> None:
    with patch("core.batching.MOST_BETWEEN_CHECKPOINTS", 40):
        tasks = with_cursors(types, set(range(len(types))))
        batches = list(aligned_batches(JOB, 1, tasks, LANES.__getitem__, batch_size))
    points = [0, *(batch.checkpoint.tasks for batch in batches if batch.checkpoint is not None), len(types)]
    assert all(after - before <= 40 for before, after in pairwise(points))


@given(task_types, st.sets(st.integers(0, 350)), sizes)
def test_a_stream_that_begins_at_the_start_is_cut_from_there(
    types: list[str], cursors: set[int], batch_size: int
) -> None:
    tasks = with_cursors(types, cursors)
    batches = list(aligned_batches(JOB, 1, tasks, LANES.__getitem__, batch_size))
    later = Checkpoint(1_000, 10, "any")
    assert list(aligned_batches(JOB, 1, tasks, LANES.__getitem__, batch_size, later)) == batches
