import pytest

from core import ids
from core.errors import MessageFormatError

JOB = "0123456789abcdef" * 2


def test_the_derived_job_ids_never_change() -> None:
    assert ids.job_id_for_parameters("hello_world", '{"n":3}') == "c579aa8d1e3c5e8e452d5d0c6da5f123"
    assert ids.job_id_for_key("hello_world", "my key") == "2a008917b8a583fa5a7bb8de49f896ae"
    assert ids.job_id_for_key("hello_world", "my key", "ann") == "baf18394cea16677b3a64072ba3d7d64"


def test_parts_of_a_derivation_do_not_run_into_each_other() -> None:
    assert ids.job_id_for_parameters("ab", "c") != ids.job_id_for_parameters("a", "bc")
    assert ids.job_id_for_key("a", "c", "b") != ids.job_id_for_key("ab", "c") != ids.job_id_for_key("a", "bc")


def test_a_key_never_names_the_job_of_equal_parameters() -> None:
    assert ids.job_id_for_key("x", "") != ids.job_id_for_parameters("x", "")


def test_ids_spell_out_where_a_task_belongs() -> None:
    assert ids.batch_id(JOB, 2, 37) == f"{JOB}-s2-b37"
    assert ids.task_id(JOB, 2, 37) == f"{JOB}-s02-t0000037"


def test_a_task_id_can_be_read_back() -> None:
    assert ids.parse_task_id(f"{JOB}-s99-t9999999") == ids.TaskAddress(JOB, 99, 9_999_999)


@pytest.mark.parametrize(
    "nonsense",
    [
        "",
        JOB,
        f"{JOB}-s1-t0000000",
        f"{JOB}-s01-t000000",
        f"{JOB}-s01-t00000000",
        f"{JOB}-s01-t0000000\n",
        f" {JOB}-s01-t0000000",
        f"{JOB.upper()}-s01-t0000000",
        f"{JOB}-s01-t000000\N{ARABIC-INDIC DIGIT ONE}",
        f"{JOB}-s01-b0",
        f"{JOB}-s00-t0000000",
    ],
)
def test_what_is_no_task_id_is_refused(nonsense: str) -> None:
    with pytest.raises(MessageFormatError, match="is not a task id"):
        ids.parse_task_id(nonsense)


def test_the_refusal_of_a_huge_id_is_short() -> None:
    with pytest.raises(MessageFormatError) as caught:
        ids.parse_task_id("x" * 100_000)
    assert len(str(caught.value)) < 250


def test_tasks_tell_their_job_and_their_stages_in_order() -> None:
    jobs = ["f" * 32, "0" * 32]
    task_ids = [ids.task_id(job, stage, index) for job in jobs for stage in (99, 1, 10) for index in (0, 9_999_999)]
    assert {ids.job_of_task(task_id) for task_id in task_ids} == set(jobs)
    assert ids.stages_of_tasks(task_ids) == [(job, stage) for job in sorted(jobs) for stage in (1, 10, 99)]
