from collections.abc import Iterator, Sequence

import pytest
from typing_extensions import override

from controllers.base import BatchWindow, Tasks
from controllers.context import StageContext
from controllers.ingest_csv import IngestCsv
from core.definitions import AlignedBatch, TaskDefinition
from core.errors import NonDeterministicStageError, PermanentTaskError, SourceError
from engine.stages.controller_call import ControllerCall
from tests.unit.controllers.ingest_csv.support import Ingestion


@pytest.mark.parametrize(
    "content", [b"a\nother\n", b"a\nval", b"a\nvalue\nmore\n" * 100], ids=["other", "less", "more"]
)
def test_a_range_that_is_not_what_was_cut_fails_for_good(ingestion: Ingestion, content: bytes) -> None:
    source = ingestion.write(b"a\nvalue\nvalue\n")
    (task,) = ingestion.load_tasks(ingestion.job(source))
    ingestion.write(content)
    with pytest.raises(PermanentTaskError, match="changed after the job began to read it"):
        ingestion.run_task(task)
    assert ingestion.rows == []


@pytest.mark.parametrize(
    "edited",
    [b"b\nvalue\nvalue\n", b"a\nvalue\nvalue\nvalue\n", b"a\nvalue\n", b"a\nother\nvalue\n"],
    ids=["header", "longer", "shorter", "rows"],
)
def test_a_file_that_was_edited_before_its_dispatch_goes_on_is_named(ingestion: Ingestion, edited: bytes) -> None:
    job = ingestion.job(ingestion.write(b"a\nvalue\nvalue\n"))
    stage = StageContext(2, "load", ingestion.layout(job))
    first = _Window()
    IngestCsv().queue_stage_tasks(job, stage, first)
    assert first.batches
    ingestion.write(edited)
    with pytest.raises(SourceError, match=r"^the source 'file.csv' .*changed after the job began to read it"):
        IngestCsv().queue_stage_tasks(job, stage, _Window(first.batches))


def test_the_engine_keeps_the_words_of_a_controller_for_a_failure_of_the_job(ingestion: Ingestion) -> None:
    job = ingestion.job(ingestion.write(b"a\nvalue\nvalue\n"))
    stage = StageContext(2, "load", ingestion.layout(job))
    first = _Window()
    IngestCsv().queue_stage_tasks(job, stage, first)
    ingestion.write(b"a\nother\nvalue\n")
    call = ControllerCall()
    with pytest.raises(SourceError, match="changed after the job began to read it"), call.controllers():
        IngestCsv().queue_stage_tasks(job, stage, call.window(_Window(first.batches)))


class _Window(BatchWindow):
    """Compares the batches with those of an earlier dispatch, as the engine does."""

    def __init__(self, earlier: Sequence[AlignedBatch] = ()) -> None:
        self._earlier = {batch.batch_id: batch.digest for batch in earlier}
        self.batches: list[AlignedBatch] = []

    @override
    def watched(self, definitions: Tasks) -> Iterator[TaskDefinition]:
        yield from definitions

    @override
    def put_two_phase(self, batch: AlignedBatch) -> None:
        if self._earlier.get(batch.batch_id, batch.digest) != batch.digest:
            raise NonDeterministicStageError("other tasks")
        self.batches.append(batch)

    @override
    def put_atomic(self, batch: AlignedBatch) -> None:
        raise NotImplementedError
