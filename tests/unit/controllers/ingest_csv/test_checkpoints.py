import json

from controllers.context import StageContext
from controllers.ingest_csv import IngestCsv
from core.checkpoints import Checkpoint
from tests.unit.controllers.ingest_csv.support import Ingestion


def test_a_dispatch_goes_on_with_the_range_after_any_cursor(ingestion: Ingestion) -> None:
    rows = "".join(f'{n},"two\nlines"\n' for n in range(400))
    job = ingestion.job(ingestion.write(f"a,b\n{rows}".encode()), chunk_bytes=1024)
    layout = ingestion.layout(job)
    whole = list(IngestCsv().create_stage_tasks(job, StageContext(2, "load", layout)))
    assert len(whole) > 3
    for task in whole[:-1]:
        reached = Checkpoint(task.index + 1, 1, json.loads(json.dumps(task.cursor)))
        stage = StageContext(2, "load", layout, checkpoint=reached)
        rest = list(IngestCsv().create_stage_tasks(job, stage))
        assert [(each.index, each.parameters) for each in rest] == [
            (each.index, each.parameters) for each in whole[task.index + 1 :]
        ]
    assert whole[-1].cursor is None
