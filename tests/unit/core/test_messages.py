import json
from datetime import UTC, datetime
from typing import Any

import pytest

from core import messages
from core.errors import MessageFormatError
from core.ids import TaskAddress, batch_id, task_id
from core.messages import BatchMessage, JobAction, JobMessage, TaskMessage

JOB = "0123456789abcdef" * 2
TASK = {"v": 1, "task_id": task_id(JOB, 1, 7), "batch_id": batch_id(JOB, 1, 0), "send": 2, "misses": 1}
STAGE = {
    "v": 1,
    "job_id": JOB,
    "stage": 3,
    "action": "advance",
    "redispatches": 2,
    "failures": 1,
    "deaths": 3,
    "opening": 4,
}
WHEN = datetime(2030, 1, 1, tzinfo=UTC)

NOT_AN_OBJECT = [b"", b"\xff\xfe", b"{", b"null", b"[]", b'"text"', b"1", b"[" * 100_000]


ENVELOPE = {"v": 1, "batch_id": batch_id(JOB, 1, 7), "send": 2, "misses": 1}


@pytest.mark.parametrize("body", NOT_AN_OBJECT, ids=lambda body: repr(body[:8]))
def test_a_body_that_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(MessageFormatError, match="the body is"):
        TaskMessage.decode(body)
    with pytest.raises(MessageFormatError, match="the body is"):
        JobMessage.decode(body)
    with pytest.raises(MessageFormatError, match="the body is"):
        BatchMessage.decode(body)


@pytest.mark.parametrize("version", [None, 0, 2, "1", []])
def test_another_version_is_refused(version: Any) -> None:
    with pytest.raises(MessageFormatError, match="is not known"):
        TaskMessage.decode(_body({**TASK, "v": version}))
    with pytest.raises(MessageFormatError, match="is not known"):
        JobMessage.decode(_body({**STAGE, "v": version}))
    with pytest.raises(MessageFormatError, match="is not known"):
        BatchMessage.decode(_body({**ENVELOPE, "v": version}))


@pytest.mark.parametrize(
    "change",
    [
        {"batch_id": None},
        {"batch_id": 7},
        {"batch_id": f"{JOB}-s1-b"},
        {"batch_id": f"{JOB}-s0-b1"},
        {"batch_id": f"{JOB}-s1-b0\n"},
        {"batch_id": f"{JOB}-s1-b\ud800"},
        {"batch_id": task_id(JOB, 1, 7)},
        {"task_id": task_id(JOB, 1, 7)},
        {"send": 0},
        {"send": True},
        {"misses": -1},
    ],
    ids=repr,
)
def test_an_envelope_with_a_nonsensical_field_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(MessageFormatError):
        BatchMessage.decode(_body({**ENVELOPE, **change}))


def test_an_envelope_is_read_as_it_was_sent() -> None:
    envelope = BatchMessage.decode(_body(ENVELOPE))
    assert envelope == BatchMessage(batch_id(JOB, 1, 7), send=2, misses=1)
    assert json.loads(envelope.outgoing().body) == ENVELOPE
    assert BatchMessage.decode(_body({"v": 1, "batch_id": envelope.batch_id})) == BatchMessage(envelope.batch_id, 1, 0)


def test_the_id_of_an_envelope_counts_its_sends_and_its_misses() -> None:
    first, waiting = BatchMessage(batch_id(JOB, 1, 7)), BatchMessage(batch_id(JOB, 1, 7), send=2, misses=3)
    assert (first.outgoing().message_id, first.outgoing().enqueue_at) == (f"{JOB}-s1-b7:b1", None)
    assert (waiting.outgoing(WHEN).message_id, waiting.outgoing(WHEN).enqueue_at) == (f"{JOB}-s1-b7:b2m3", WHEN)


@pytest.mark.parametrize(
    "change",
    [
        {"task_id": None},
        {"task_id": 7},
        {"task_id": "x"},
        {"batch_id": None},
        {"batch_id": ["x"]},
        {"batch_id": batch_id(JOB, 2, 0)},
        {"batch_id": batch_id("f" * 32, 1, 0)},
        {"batch_id": f"{JOB}-s1-b"},
        {"batch_id": f'{JOB}-s1-b0"'},
        {"batch_id": f"{JOB}-s1-b0\n"},
        {"batch_id": f"{JOB}-s1-b\ud800"},
        {"send": 0},
        {"send": "1"},
        {"send": 1.5},
        {"send": True},
        {"send": 1_000_001},
        {"misses": -1},
        {"misses": None},
    ],
    ids=repr,
)
def test_a_task_message_with_a_nonsensical_field_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(MessageFormatError):
        TaskMessage.decode(_body({**TASK, **change}))


@pytest.mark.parametrize(
    "change",
    [
        {"job_id": None},
        {"job_id": "x"},
        {"job_id": JOB.upper()},
        {"job_id": JOB + "0"},
        {"stage": 0},
        {"stage": 100},
        {"stage": "1"},
        {"action": None},
        {"action": "explode"},
        {"redispatches": -1},
        {"redispatches": None, "resumes": 1},
    ],
    ids=repr,
)
def test_a_job_message_with_a_nonsensical_field_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(MessageFormatError):
        JobMessage.decode(_body({**STAGE, **change}))


def test_a_task_message_is_read_as_it_was_sent() -> None:
    message = TaskMessage.decode(_body(TASK))
    assert message == TaskMessage(task_id(JOB, 1, 7), batch_id(JOB, 1, 0), send=2, misses=1)
    assert message.address == TaskAddress(JOB, 1, 7)
    assert json.loads(message.outgoing().body) == TASK


def test_a_job_message_is_read_as_it_was_sent() -> None:
    message = JobMessage.decode(_body(STAGE))
    assert message == JobMessage(JOB, 3, JobAction.ADVANCE, redispatches=2, failures=1, deaths=3, opening=4)
    assert json.loads(message.outgoing().body) == STAGE


def test_a_job_message_of_an_earlier_version_is_read_by_the_old_name_of_its_count() -> None:
    old = {name: value for name, value in STAGE.items() if name != "redispatches"}
    message = JobMessage.decode(_body({**old, "resumes": 5}))
    assert message == JobMessage(JOB, 3, JobAction.ADVANCE, redispatches=5, failures=1, deaths=3, opening=4)
    assert json.loads(message.outgoing().body) == {**old, "redispatches": 5}
    with pytest.raises(MessageFormatError, match="resumes"):
        JobMessage.decode(_body({**old, "resumes": -1}))


def test_the_new_name_of_the_count_wins_over_the_old_one() -> None:
    assert JobMessage.decode(_body({**STAGE, "resumes": 5})).redispatches == 2


def test_a_job_message_without_an_opening_is_about_the_first_one() -> None:
    old = {name: value for name, value in STAGE.items() if name != "opening"}
    assert JobMessage.decode(_body(old)).opening == 0


def test_counts_that_are_left_out_are_those_of_a_first_send() -> None:
    short = {"v": 1, "task_id": task_id(JOB, 1, 7), "batch_id": batch_id(JOB, 1, 0)}
    assert TaskMessage.decode(_body(short)) == TaskMessage(task_id(JOB, 1, 7), batch_id(JOB, 1, 0), 1, 0)


def test_the_id_of_a_task_message_counts_its_sends() -> None:
    first = TaskMessage(task_id(JOB, 1, 7), batch_id(JOB, 1, 0))
    second = TaskMessage(task_id(JOB, 1, 7), batch_id(JOB, 1, 0), send=2)
    assert first.outgoing().message_id == f"{JOB}-s01-t0000007:1"
    assert second.outgoing(WHEN).message_id == f"{JOB}-s01-t0000007:2"
    assert (first.outgoing().enqueue_at, second.outgoing(WHEN).enqueue_at) == (None, WHEN)


def test_a_message_that_waits_for_its_row_has_another_id_than_every_counted_send() -> None:
    waiting = TaskMessage(task_id(JOB, 1, 7), batch_id(JOB, 1, 0), send=1, misses=2)
    assert waiting.outgoing().message_id == f"{JOB}-s01-t0000007:1m2"


def test_every_send_of_a_job_message_has_an_id_of_its_own() -> None:
    message = JobMessage(JOB, 1, JobAction.DISPATCH)
    assert len({message.outgoing().message_id for _ in range(100)}) == 100


def test_a_hundred_task_messages_fit_the_smallest_batch_of_service_bus() -> None:
    longest = TaskMessage(task_id(JOB, 99, 9_999_999), batch_id(JOB, 99, 9_999_999), send=1_000_000, misses=9)
    assert 100 * len(longest.outgoing().body) < 128 * 1024  # half of it is left for headers


def test_the_version_is_written_into_every_message() -> None:
    assert json.loads(TaskMessage.decode(_body(TASK)).outgoing().body)["v"] == messages.VERSION


def _body(fields: dict[str, Any]) -> bytes:
    return json.dumps(fields).encode()


@pytest.mark.parametrize("send", [1, 9, 10, 999_999, 1_000_000])
@pytest.mark.parametrize("misses", [0, 1, 10, 1_000_000])
@pytest.mark.parametrize("stage", [1, 9, 10, 99])
def test_a_task_message_is_read_alike_as_it_was_sent_and_as_other_json(stage: int, send: int, misses: int) -> None:
    message = TaskMessage(task_id(JOB, stage, 7), batch_id(JOB, stage, 12), send, misses)
    body = message.outgoing().body
    assert TaskMessage.decode(body) == message
    assert TaskMessage.decode(json.dumps(json.loads(body)).encode()) == message


@pytest.mark.parametrize(
    ("part", "wrong"),
    [
        (b"-s01-t", b"-s00-t"),
        (b"-s01-t", b"-s10-t"),
        (b"-s01-t", b"-s1-t"),
        (b"-s01-t", b"-s011-t"),
        (b"-s1-b", b"-s01-b"),
        (b"-s1-b", b"-s2-b"),
        (b'"batch_id":"0', b'"batch_id":"1'),
        (b"-b0", b"-b"),
        (b"-b0", b"-b12345678"),
        (b"-t0000007", b"-t7"),
        (b'"send":2', b'"send":0'),
        (b'"send":2', b'"send":02'),
        (b'"send":2', b'"send":1000001'),
        (b'"misses":1', b'"misses":-1'),
        (b'"misses":1', b'"misses":1000001'),
        (b'"v":1', b'"v":2'),
        (b"}", b"}}"),
    ],
)
def test_a_task_message_that_is_nearly_as_it_is_sent_is_refused(part: bytes, wrong: bytes) -> None:
    body = TaskMessage(task_id(JOB, 1, 7), batch_id(JOB, 1, 0), 2, 1).outgoing().body
    assert part in body
    with pytest.raises(MessageFormatError):
        TaskMessage.decode(body.replace(part, wrong))
