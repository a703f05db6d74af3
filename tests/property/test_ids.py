from hypothesis import given
from hypothesis import strategies as st

from core import ids
from core.errors import MessageFormatError
from core.ids import MAX_STAGE_TASKS, MAX_STAGES, TaskAddress

job_ids = st.text("0123456789abcdef", min_size=32, max_size=32)
addresses = st.builds(TaskAddress, job_ids, st.integers(1, MAX_STAGES), st.integers(0, MAX_STAGE_TASKS - 1))


def spelled(address: TaskAddress) -> str:
    return ids.task_id(address.job_id, address.stage, address.task_index)


@given(addresses)
def test_a_task_id_reads_back_as_what_it_was_made_of(address: TaskAddress) -> None:
    assert ids.parse_task_id(spelled(address)) == address


@given(addresses, addresses)
def test_task_ids_sort_as_job_stage_and_index_do(left: TaskAddress, right: TaskAddress) -> None:
    def key(address: TaskAddress) -> tuple[str, int, int]:
        return address.job_id, address.stage, address.task_index

    assert (spelled(left) < spelled(right)) == (key(left) < key(right))


@given(st.text())
def test_a_text_is_read_as_a_task_id_only_if_it_is_one(text: str) -> None:
    try:
        address = ids.parse_task_id(text)
    except MessageFormatError:
        return
    assert spelled(address) == text


@given(addresses, st.integers(0, 9_999_999), job_ids, st.integers(1, MAX_STAGES))
def test_a_batch_is_of_the_stage_that_its_id_names(
    address: TaskAddress, batch_index: int, job_id: str, stage: int
) -> None:
    batch_id = ids.batch_id(job_id, stage, batch_index)
    assert ids.is_batch_of_stage(batch_id, address) == ((job_id, stage) == (address.job_id, address.stage))
    assert ids.is_batch_of_stage(ids.batch_id(address.job_id, address.stage, batch_index), address)


@given(st.text(), st.text(), st.text(), st.text())
def test_different_submissions_have_different_jobs(type_1: str, text_1: str, type_2: str, text_2: str) -> None:
    same = ids.job_id_for_parameters(type_1, text_1) == ids.job_id_for_parameters(type_2, text_2)
    assert same == ((type_1, text_1) == (type_2, text_2))
