"""The fake of a job type's own repository is given by the test that uses it; the other fakes know none."""

from pathlib import Path

import pytest

from controllers.ingest_csv import IngestCsv
from controllers.ingest_csv.ingested_rows import IngestedRows
from tests.fakes.database import FakeDatabase
from tests.fakes.ingested_rows import FakeIngestedRows
from tests.support.drive import stand


def test_a_job_type_with_its_own_table_runs_over_the_fakes(tmp_path: Path) -> None:
    tmp_path.joinpath("file.csv").write_bytes(b"id,name\n1,Ada\n2,Grace\n")
    with stand(IngestCsv, fakes={IngestedRows: FakeIngestedRows}, data_dir=tmp_path) as it:
        job_id = it.submit("ingest_csv", source="file.csv")
        it.pump()

        assert it.job(job_id).status == "completed"
        with it.database.transaction() as work:
            assert work.repository(IngestedRows).count(job_id) == 2


def test_a_repository_without_a_fake_is_named() -> None:
    with FakeDatabase().transaction() as work, pytest.raises(AssertionError, match="IngestedRows"):
        work.repository(IngestedRows)
