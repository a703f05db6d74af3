"""The whole stack exports what it does, with one setting."""

from pathlib import Path

import pytest

from local.postgres import EmbeddedPostgres
from tests.e2e.conftest import running_steadily
from tests.support.collector import Collector, collecting

pytestmark = pytest.mark.timeout(900)


@pytest.fixture
def told(postgres: EmbeddedPostgres, database_url: str, steady_config: Path, tmp_path: Path) -> Collector:
    """What a job of two stages has told, once the host has ended."""
    with collecting() as collector:
        environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}
        with running_steadily(database_url, steady_config, tmp_path / "functions.log", **environment) as app:
            job_id = app.client.submit("hello_world", {"n": 150})
            app.client.wait(job_id, 240)
        assert collector.span("job hello_world").trace_id == job_id
    return collector


def test_a_job_is_one_connected_picture_from_its_submission_to_its_handlers(told: Collector) -> None:
    submit, root = told.span("POST /api/jobs/{job_type}"), told.span("job hello_world")
    assert submit.place in root.links
    dispatches = told.named("dispatch sb-jobs")
    assert {(each.trace_id, each.parent_id) for each in dispatches} == {root.place}
    assert any(submit.place in each.links for each in dispatches)
    invocations = told.named("process sb-tasks")
    assert {link for each in invocations for link in each.links} == {each.place for each in dispatches}
    handlers = [*told.named("run hello_world.greet"), *told.named("run hello_world.reply")]
    assert len({each.attributes["lockstep.task.id"] for each in handlers}) == 300
    assert {each.parent_id for each in handlers} <= {each.span_id for each in invocations}
    assert told.metric("lockstep.tasks", lockstep__task__outcome="completed") == 300
    assert any(line.trace_id == root.trace_id and "is completed" in line.text for line in told.lines)
