"""A submission whose source has a secret in its URL is refused, and the secret is in no row, no log and no answer."""

import json
import logging
from collections.abc import Iterator

import pytest

from api import jobs
from controllers.ingest_csv import IngestCsv
from controllers.ingest_csv.ingested_rows import IngestedRows
from tests.fakes.ingested_rows import FakeIngestedRows
from tests.support.drive import Stand, stand
from tests.unit.api.support import post, problem

SECRET = "pssst%2Fsignature%3D"


@pytest.fixture
def it(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stand]:
    with stand(IngestCsv, fakes={IngestedRows: FakeIngestedRows}) as it:
        monkeypatch.setattr(jobs, "app", lambda: it.app)
        yield it


@pytest.mark.parametrize("after", [{}, {"start_at": "2999-01-01T00:00:00Z"}], ids=["at once", "later"])
@pytest.mark.parametrize(
    "source",
    [
        f"https://ours.blob.core.windows.net/things/a.csv?sv=2024-11-04&sp=r&sig={SECRET}",
        f"blob://things/a.csv?sig={SECRET}",
        f"https://host.example/a.csv?X-Amz-Signature={SECRET}",
    ],
)
def test_a_signed_source_is_refused_and_kept_nowhere(
    it: Stand, caplog: pytest.LogCaptureFixture, source: str, after: dict[str, str]
) -> None:
    caplog.set_level(logging.DEBUG)
    submit = jobs.submit_job._function.get_user_function()
    response = submit(post("ingest_csv", {"source": source}, None, **after))
    answer = problem(response)
    assert response.status_code == 400
    assert [each["field"] for each in answer["errors"]] == ["source"]
    assert "query" in answer["errors"][0]["message"]
    assert "pssst" not in json.dumps(answer) + str(dict(response.headers)) + caplog.text
    assert not any(it.database._store.committed.values())
    assert it.queue.receive("sb-jobs") == []
