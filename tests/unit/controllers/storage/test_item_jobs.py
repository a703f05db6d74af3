"""Jobs whose tasks are made of items, in a dispatch of several slices."""

from collections.abc import Iterator
from typing import Any

import pytest

from controllers import authoring as lockstep
from controllers.storage.blob_accounts import BlobAccounts
from core.statuses import JobStatus
from tests.fakes.blobs import FakeBlobStore
from tests.support.drive import Stand, stand

COUNT = 450


class ItemParameters(lockstep.JobParameters):
    kind: str


@lockstep.task_type("items.keep")
def keep(context: lockstep.TaskContext, parameters: lockstep.TaskParameters) -> lockstep.JsonValue:
    return parameters["value"]


class ItemJob(lockstep.JobController[ItemParameters]):
    job_type = "items"
    stages = (lockstep.StageSpec("keep"),)
    task_types = (keep,)

    def create_stage_tasks(
        self, job: lockstep.JobContext[ItemParameters], stage: lockstep.StageContext
    ) -> Iterator[lockstep.TaskDefinition]:
        items: Iterator[lockstep.Item[Any]]
        match job.parameters.kind:
            case "blobs":
                items = lockstep.blob_items(job.services, "blob://things/in/", stage.cursor)
            case "lines":
                items = lockstep.ndjson_items(job.services, "blob://things/a.ndjson", stage.cursor)
            case _:
                items = lockstep.csv_items(job.services, "blob://things/a.csv", stage.cursor)
        for index, item in enumerate(items, stage.first_index):
            value = item.value.name if isinstance(item.value, lockstep.ListedBlob) else item.value
            yield keep.task(index, {"value": value}, cursor=item.cursor)


@pytest.fixture
def store() -> FakeBlobStore:
    store = FakeBlobStore("things", page_entries=70)
    for number in range(COUNT):
        store.put("things", f"in/{number:03d}", b"")
    store.put("things", "a.ndjson", b"".join(b'{"n": %d}\n' % number for number in range(COUNT)))
    store.put("things", "a.csv", b"n\n" + b"".join(b"%d\n" % number for number in range(COUNT)))
    return store


@pytest.fixture
def it(store: FakeBlobStore) -> Iterator[Stand]:
    accounts = BlobAccounts({"https://a.example": store}, "https://a.example")
    with stand(ItemJob, blobs=accounts, dispatch_ahead=100) as it:
        yield it


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("blobs", [f"in/{number:03d}" for number in range(COUNT)]),
        ("lines", [{"n": number} for number in range(COUNT)]),
        ("rows", [{"n": str(number)} for number in range(COUNT)]),
    ],
)
def test_every_item_becomes_one_task(it: Stand, kind: str, values: list[object]) -> None:
    job_id = it.submit("items", kind=kind)
    it.pump_through_time()
    assert it.job(job_id).status == JobStatus.COMPLETED, it.job(job_id).error
    assert [task.result for task in it.tasks(job_id)] == values


@pytest.mark.parametrize("kind", ["blobs", "lines", "rows"])
def test_a_source_that_changes_between_two_slices_fails_the_job_by_name(
    it: Stand, store: FakeBlobStore, kind: str
) -> None:
    job_id = it.submit("items", kind=kind)
    it.deliver_job_messages()
    assert 100 <= len(it.tasks(job_id)) < COUNT
    for name in ("in/003", "a.ndjson", "a.csv"):
        store.put("things", name, store.containers["things"][name].data)
    it.pump_through_time()
    job = it.job(job_id)
    assert job.status == JobStatus.FAILED
    assert job.error is not None
    assert job.error["type"] == "SourceError"
    assert "blob://things/" in job.error["message"]
    assert "changed" in job.error["message"]
