import json
from dataclasses import replace

import pytest

from core.definitions import AlignedBatch, TaskDefinition, TaskRow
from core.errors import UnencodableValueError
from core.ids import batch_id, task_id
from core.lanes import Lane
from core.messages import TaskMessage

JOB = "0123456789abcdef" * 2
DEFINITIONS = (TaskDefinition("greet", {"n": 0}, 0), TaskDefinition("greet", {"n": 1}, 1))
BATCH = AlignedBatch(JOB, 1, 4, Lane.FAST, DEFINITIONS)


def test_a_definition_becomes_a_row() -> None:
    definition = TaskDefinition("greet", {"z": 1, "a": "é"}, 12)
    assert definition.to_task_record(JOB, 2) == TaskRow(task_id(JOB, 2, 12), "greet", 12, '{"a":"é","z":1}')


def test_a_definition_becomes_a_message_without_its_parameters() -> None:
    message = TaskDefinition("greet", {"secret": "pssst"}, 12).to_queue_message(JOB, 2, batch_id(JOB, 2, 0), send=3)
    assert message == TaskMessage(task_id(JOB, 2, 12), batch_id(JOB, 2, 0), 3)
    assert b"pssst" not in message.outgoing().body


def test_parameters_that_are_no_json_are_refused_by_the_index_of_their_task() -> None:
    with pytest.raises(UnencodableValueError, match="the parameters of task 12"):
        TaskDefinition("greet", {"x": object()}, 12).to_task_record(JOB, 1)


def test_a_batch_has_its_exact_count_rows_and_messages() -> None:
    assert (BATCH.batch_id, BATCH.task_count) == (f"{JOB}-s1-b4", 2)
    assert [row.task_id for row in BATCH.rows] == [task_id(JOB, 1, 0), task_id(JOB, 1, 1)]
    assert BATCH.messages() == [each.to_queue_message(JOB, 1, BATCH.batch_id) for each in DEFINITIONS]


@pytest.mark.parametrize(
    "changed",
    [
        (DEFINITIONS[0],),
        (DEFINITIONS[0], replace(DEFINITIONS[1], parameters={"n": 2})),
        (DEFINITIONS[0], replace(DEFINITIONS[1], parameters={"n": "1"})),
        (DEFINITIONS[0], replace(DEFINITIONS[1], task_type="reply")),
        (DEFINITIONS[0], replace(DEFINITIONS[1], index=2)),
        (DEFINITIONS[1], DEFINITIONS[0]),
    ],
    ids=["fewer", "value", "type of value", "task type", "index", "order"],
)
def test_the_digest_changes_with_any_change_of_the_definitions(changed: tuple[TaskDefinition, ...]) -> None:
    assert replace(BATCH, definitions=changed).digest != BATCH.digest


def test_the_digest_does_not_depend_on_the_order_of_keys() -> None:
    orders = [{"a": 1, "b": 2}, {"b": 2, "a": 1}]
    assert json.dumps(orders[0]) != json.dumps(orders[1])
    digests = {replace(BATCH, definitions=(TaskDefinition("greet", each, 0),)).digest for each in orders}
    assert len(digests) == 1
