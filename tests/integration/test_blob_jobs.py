"""Jobs over the blobs of Azurite: their sources, their items, their results, and the secrets that they refuse."""

import importlib.util
import json
import logging
import re
import sys
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from azure.storage.blob import ContainerClient

import connections
from controllers import authoring as lockstep
from controllers.ingest_csv import IngestCsv
from controllers.ingest_csv.ingested_rows import IngestedRows
from controllers.services import Services
from controllers.storage.blob_accounts import BlobAccounts
from core.errors import InvalidInputError
from core.pages import TaskPayload
from core.statuses import JobStatus, TaskStatus
from local.azurite import Azurite
from repositories import blob_storage
from repositories.postgres import PostgresDatabase
from settings import Settings
from tests.fakes.ingested_rows import FakeIngestedRows
from tests.integration.conftest import BuildApp
from tests.integration.ingest_tables import Ingestion
from tests.support.drive import SETTINGS, stand
from tests.support.isolated_jobs import IsolatedJob
from tests.support.mailbox import Mailbox

_PAGE = (Path(__file__).parents[2] / "docs" / "blobs.md").read_text()
ROWS = b"id,name\n" + b"".join(b"%d,name %d\n" % (n, n) for n in range(500))


@dataclass(frozen=True)
class Storage:
    """A container of its own in Azurite, and the accounts of an app that may use it."""

    container: ContainerClient
    accounts: BlobAccounts

    @property
    def name(self) -> str:
        return str(self.container.container_name)

    def put(self, name: str, data: bytes) -> str:
        """Writes a blob; returns its URL."""
        self.container.upload_blob(name, data, overwrite=True)
        return f"blob://{self.name}/{name}"

    def read(self, name: str) -> bytes:
        return self.container.download_blob(name).readall()


@pytest.fixture
def storage(azurite: Azurite) -> Iterator[Storage]:
    settings = Settings.from_environment(
        {
            "DATABASE_URL": "postgresql://nowhere",
            "ServiceBusConnection": str(SETTINGS.service_bus_connection),
            "BLOB_CONNECTION_STRING": azurite.connection_string,
        }
    )
    name = f"jobs-{uuid.uuid4().hex}"
    with (
        closing(connections.blob_accounts(settings)) as accounts,
        ContainerClient.from_connection_string(azurite.connection_string, name) as container,
    ):
        container.create_container()
        yield Storage(container, accounts)


@pytest.mark.parametrize("of", ["isolated.free", "isolated.limited", "isolated.plain"])
def test_an_isolated_task_reads_and_writes_blobs_as_one_on_a_thread_does(
    build_app: BuildApp, mailbox: Mailbox, azurite: Azurite, storage: Storage, of: str
) -> None:
    app = build_app([IsolatedJob], BLOB_CONNECTION_STRING=azurite.connection_string)
    by_name = storage.put("a b.txt", b"some text")
    by_url = f"{azurite.blob_url}/{storage.name}/a%20b.txt"
    tasks: list[dict[str, Any]] = [
        {"of": of, "do": "source", "source": by_name, "target": f"blob://{storage.name}/copy.ndjson"},
        {"of": of, "do": "source", "source": by_url},
        {"of": of, "do": "source", "source": f"blob://{storage.name}/missing"},
    ]
    job_id = app.submitter.submit("isolated", {"tasks": tasks}).job_id
    app.stages.handle(mailbox.take_job_message())
    mailbox.take_tasks(app, len(tasks)).run(app)
    with app.database.transaction() as work:
        rows = work.tasks.page(job_id, None, "", 100, TaskPayload)
    assert [row.result for row in rows] == ["some text", "some text", None]
    assert storage.read("copy.ndjson") == b'"some text"\n'
    (error,) = [row.error for row in rows if row.error]
    assert error["type"] == "SourceError"
    assert "there is no such blob" in error["message"]
    assert rows[2].status == TaskStatus.FAILED


@pytest.fixture
def line_totals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The job type that docs/blobs.md shows, imported from a file of its own."""
    block = re.search(r"```python\n(# controllers/line_totals\.py\n.*?)```", _PAGE, re.DOTALL)
    assert block
    path = tmp_path / "line_totals.py"
    path.write_text(block[1])
    spec = importlib.util.spec_from_file_location("line_totals", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "line_totals", module)
    spec.loader.exec_module(module)
    return module


@pytest.mark.owns_tables
def test_a_blob_becomes_a_table(
    storage: Storage, tmp_path: Path, postgres_database: PostgresDatabase, database_url: str
) -> None:
    it = Ingestion(tmp_path, postgres_database, database_url)
    it.execute("CREATE SCHEMA mine")
    try:
        job = it.job("", chunk_bytes=1_000)
        given = job.job.parameters.model_copy(update={"source": storage.put("in/a-b.csv", ROWS)})
        services = Services(tmp_path, frozenset(), postgres_database, storage.accounts)
        job.job = replace(job.job, parameters=given, services=services)
        IngestCsv().check_submission(given, services)
        result = job.run()
        assert (result["rows_loaded"], result["source"]) == (500, f"blob://{storage.name}/in/a-b.csv")
        assert result["chunks"] > 5
        assert it.rows()[:2] == [(0, "name 0"), (1, "name 1")]
    finally:
        it.execute("DROP SCHEMA mine CASCADE")


def test_the_settings_of_an_app_name_its_account(storage: Storage, azurite: Azurite, build_app: BuildApp) -> None:
    app = build_app([IngestCsv], BLOB_CONNECTION_STRING=azurite.connection_string)
    assert app.submitter.submit("ingest_csv", {"source": storage.put("a.csv", ROWS)}).created
    with pytest.raises(InvalidInputError, match="there is no such blob"):
        app.submitter.submit("ingest_csv", {"source": f"blob://{storage.name}/none.csv"})
    with pytest.raises(InvalidInputError, match="set BLOB_ACCOUNT_URL"):
        build_app([IngestCsv]).submitter.submit("ingest_csv", {"source": f"blob://{storage.name}/b.csv"})


def test_a_blob_that_changes_between_the_plan_and_a_task_fails_the_job(storage: Storage) -> None:
    source = storage.put("a.csv", ROWS)
    with stand(IngestCsv, fakes={IngestedRows: FakeIngestedRows}, blobs=storage.accounts) as it:
        job_id = it.submit("ingest_csv", source=source, chunk_bytes=1_000)
        it.deliver_job_messages()
        it.deliver_task_messages()  # the layout
        while len(it.tasks(job_id)) < 2:
            assert it.deliver_job_messages()
        storage.put("a.csv", ROWS.replace(b"name 7", b"NAME 7"))
        it.pump_through_time()
        job = it.job(job_id)
        assert job.status == JobStatus.FAILED
        assert "changed after the job began to read it" in json.dumps(job.error)


def test_a_blob_that_is_not_there_is_refused_by_name(storage: Storage) -> None:
    with stand(IngestCsv, fakes={IngestedRows: FakeIngestedRows}, blobs=storage.accounts) as it:
        with pytest.raises(InvalidInputError, match="there is no such blob") as caught:
            it.submit("ingest_csv", source=f"blob://{storage.name}/none.csv")
        assert [each.field for each in caught.value.errors] == ["source"]


def test_the_job_type_of_the_page_makes_tasks_of_blobs_and_writes_its_results(
    storage: Storage, line_totals: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blob_storage, "_PAGE_ENTRIES", 20)
    for number in range(50):
        storage.put(f"in/{number:03d}.txt", b"line\n" * number)
    source = line_totals.__dict__["LineTotals"]
    results = f"blob://{storage.name}/"
    monkeypatch.setattr(
        source, "aggregate_stage_results", _in_container(source.aggregate_stage_results, line_totals, results)
    )
    with stand(source, blobs=storage.accounts) as it:
        job_id = it.submit("line_totals", prefix=f"blob://{storage.name}/in/")
        it.pump()
        job = it.job(job_id)
        assert job.status == JobStatus.COMPLETED, job.error
        assert job.result[0]["lines"] == 50
    written = storage.read(f"line_totals/{job_id}.ndjson").decode().splitlines()
    assert [json.loads(each)["lines"] for each in written] == list(range(50))


def _in_container(method: Any, module: ModuleType, root: str) -> Any:
    """The method, whose results go to the container of the test instead of `results`."""

    def write(services: lockstep.Services, target: str, values: Any) -> Any:
        return lockstep.write_ndjson(services, target.replace("blob://results/", root), values)

    class Redirected:
        write_ndjson = staticmethod(write)

        def __getattr__(self, name: str) -> Any:
            return getattr(lockstep, name)

    module.__dict__["lockstep"] = Redirected()
    return method


def test_a_signature_in_a_url_is_refused_and_kept_nowhere(
    storage: Storage, azurite: Azurite, caplog: pytest.LogCaptureFixture
) -> None:
    storage.put("a.csv", ROWS)
    secret = "pssst-signature"
    url = f"{azurite.blob_url.replace('http:', 'https:')}/{storage.name}/a.csv?sv=2024-11-04&sp=r&sig={secret}"
    with (
        caplog.at_level(logging.DEBUG),
        stand(IngestCsv, fakes={IngestedRows: FakeIngestedRows}, blobs=storage.accounts) as it,
    ):
        for parameters in ({"source": url}, {"source": f"blob://{storage.name}/a.csv?sig={secret}"}):
            with pytest.raises(InvalidInputError) as caught:
                it.submit("ingest_csv", **parameters)
            assert [each.field for each in caught.value.errors] == ["source"]
            assert secret not in f"{caught.value} {caught.value.errors}"
        assert it.database._store.committed.get("jobs", {}) == {}
    assert secret not in caplog.text
