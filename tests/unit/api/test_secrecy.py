"""What the API shows holds no secret: no URL's query or user info, no parameter marked as secret, no traceback."""

import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import azure.functions as func
import pytest
from pydantic import Field, SecretStr

from api import dead_letters, jobs
from controllers import authoring as lockstep
from controllers.ingest_csv import IngestCsv
from core.errors import DatabaseUnavailableError, PermanentTaskError
from core.messages import ReceivedMessage
from core.statuses import JobStatus
from engine.process.job_secrets import JobSecrets
from engine.process.keeping import UNREADABLE, keep
from tests.support.drive import Stand, second_process, stand
from tests.support.sample_jobs import counted, sample_job
from tests.unit.api.support import body, get, post

HttpFunction = Callable[[func.HttpRequest], func.HttpResponse]

submit: HttpFunction = jobs.submit_job._function.get_user_function()
get_job: HttpFunction = jobs.get_job._function.get_user_function()
list_batches: HttpFunction = jobs.list_batches._function.get_user_function()
list_tasks: HttpFunction = jobs.list_tasks._function.get_user_function()
list_dead_letters: HttpFunction = dead_letters.list_dead_letters._function.get_user_function()

SIGNATURE = "pssst-signature"
TOKEN = "pssst-token"
URL = f"https://user:{SIGNATURE}@store.example/a.csv?sv=1&sig={SIGNATURE}"
SHOWN_URL = "https://store.example/a.csv"


class SyncParameters(lockstep.JobParameters):
    source: str
    token: SecretStr
    more: dict[str, list[SecretStr | None]] = Field(default_factory=dict)
    fails: bool = False


def work(context: lockstep.TaskContext, parameters: lockstep.TaskParameters) -> lockstep.JsonValue:
    # The handler gets the values themselves.
    assert (parameters["source"], parameters["token"]) == (URL, TOKEN)
    context.progress(0.5, f"sends {TOKEN} to {URL}")
    if parameters["fails"]:
        raise PermanentTaskError(f"{parameters['source']} refuses {parameters['token']!r}, number {context.task_index}")
    return {"read": parameters["source"], "with": parameters["token"]}


class Sync(lockstep.JobController[SyncParameters]):
    job_type = "sync"
    stages = (lockstep.StageSpec("only"),)
    task_types = (lockstep.task_type("sync.work")(work),)

    def create_stage_tasks(
        self, job: lockstep.JobContext[SyncParameters], stage: lockstep.StageContext
    ) -> Iterator[lockstep.TaskDefinition]:
        given = job.parameters
        assert given.token.get_secret_value() == TOKEN
        shared = {"source": given.source, "token": given.token.get_secret_value(), "fails": given.fails}
        for index in range(3):
            yield self.task_types[0].task(index, shared)

    def aggregate_stage_results(
        self,
        job: lockstep.JobContext[SyncParameters],
        stage: lockstep.StageContext,
        results: lockstep.TaskResults,
    ) -> lockstep.JsonValue:
        return [each.result for each in results]


@pytest.fixture
def it(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stand]:
    with stand(Sync) as it:
        use(it, monkeypatch)
        yield it


def use(it: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (jobs, dead_letters):
        monkeypatch.setattr(module, "app", lambda: it.app)


def run(it: Stand, **parameters: Any) -> str:
    response = submit(post("sync", {"source": URL, "token": TOKEN, **parameters}))
    assert response.status_code == 202, response.get_body()
    job_id: str = body(response)["job_id"]
    it.pump_through_time()
    return job_id


def shown(job_id: str) -> str:
    """Everything that the API shows of a job."""
    job, batches = get_job(get(job_id, include="stage_results")), list_batches(get(job_id, "/batches"))
    answers = (job, list_tasks(get(job_id, "/tasks", include="parameters,result")), batches)
    return "\n".join(answer.get_body().decode() for answer in answers)


def test_a_job_and_its_tasks_are_shown_without_secrets(it: Stand) -> None:
    job_id = run(it, more={"a": [TOKEN, None, "other-secret"]})
    assert it.job(job_id).status == JobStatus.COMPLETED
    answer = body(get_job(get(job_id)))
    assert (answer["error"], answer["warning"]) == (None, None)
    assert answer["parameters"] == {
        "use_service_bus": True,
        "source": SHOWN_URL,
        "token": "***",
        "more": {"a": ["***", None, "***"]},
        "fails": False,
    }
    assert answer["result"] == [[{"read": SHOWN_URL, "with": "***"}] * 3]
    task = body(list_tasks(get(job_id, "/tasks", include="parameters,result")))["tasks"][0]
    assert task["parameters"] == {"source": SHOWN_URL, "token": "***", "fails": False}
    assert task["progress_note"] == f"sends *** to {SHOWN_URL}"
    assert "pssst" not in shown(job_id)
    assert "pssst" not in str([each.progress_note for each in it.tasks(job_id)])


def test_a_failed_job_quotes_no_secret_and_shows_no_traceback(it: Stand, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    job_id = run(it, fails=True)
    job = body(get_job(get(job_id)))
    assert job["status"] == "failed"
    assert f"{SHOWN_URL} refuses '***', number 0" in job["error"]["message"]
    task = body(list_tasks(get(job_id, "/tasks", status="failed")))["tasks"][0]
    assert task["error"] == {"type": "PermanentTaskError", "message": f"{SHOWN_URL} refuses '***', number 0"}
    assert [each["message"] for each in task["errors"]] == [f"{SHOWN_URL} refuses '***', number 0"]
    assert "pssst" not in shown(job_id)
    assert "pssst" not in json.dumps([it.job(job_id).error, *(task.error for task in it.tasks(job_id))])
    assert "pssst" not in str([task.errors for task in it.tasks(job_id)])


def test_the_traceback_of_a_failed_task_is_logged_with_its_id_and_without_secrets(
    it: Stand, caplog: pytest.LogCaptureFixture
) -> None:
    job_id = run(it, fails=True)
    record = next(each for each in caplog.messages if f"{job_id}-s01-t0000001" in each)
    assert "in work" in record
    assert f"PermanentTaskError: {SHOWN_URL} refuses '***', number 1" in record
    assert "pssst" not in caplog.text


def test_a_traceback_that_an_earlier_version_stored_is_not_shown(it: Stand) -> None:
    job_id = run(it)
    with it.database.transaction() as unit:
        record = json.dumps({"type": "E", "message": URL, "traceback": "in work", "stage": 1})
        unit.jobs.reopen(job_id, {JobStatus.COMPLETED})
        assert unit.jobs.finish(job_id, JobStatus.FAILED, None, record)
    assert body(get_job(get(job_id)))["error"] == {"type": "E", "message": SHOWN_URL, "stage": 1}


def test_an_error_of_a_controller_holds_no_secret(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(Sync):
        def aggregate_stage_results(self, job: Any, stage: Any, results: Any) -> Any:
            raise ValueError(f"{job.parameters.source}: {job.parameters.token.get_secret_value()}")

    with stand(Broken) as it:
        use(it, monkeypatch)
        job_id = run(it)
        assert body(get_job(get(job_id)))["error"] == {
            "type": "ValueError",
            "message": f"{SHOWN_URL}: ***",
            "stage": 1,
        }
        assert "pssst" not in json.dumps(it.job(job_id).error)
        assert "in aggregate_stage_results" in caplog.text
        assert "pssst" not in caplog.text


def test_of_a_job_whose_type_is_unknown_no_parameter_is_shown(it: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = run(it)
    with second_process(it, sample_job(counted(1))) as other:
        use(other, monkeypatch)
        answer = body(get_job(get(job_id)))
        assert answer["parameters"] == dict.fromkeys(["use_service_bus", "source", "token", "more", "fails"], "***")
        task = body(list_tasks(get(job_id, "/tasks", include="parameters,result")))["tasks"][0]
        assert task["parameters"] == dict.fromkeys(["source", "token", "fails"], "***")


def test_the_same_secret_gives_the_same_job_and_another_one_another(it: Stand) -> None:
    first = run(it)
    assert body(submit(post("sync", {"source": URL, "token": TOKEN})))["job_id"] == first
    assert body(submit(post("sync", {"source": URL, "token": "another"})))["job_id"] != first


def test_a_batch_and_a_dead_letter_are_shown_without_secrets(it: Stand) -> None:
    raw = ReceivedMessage(f'{{"u": "{URL}"}}'.encode(), f"id {URL}")
    keep(it.database, "sb-jobs", raw, UNREADABLE, f"{URL} is no message")
    keep(it.database, "sb-jobs", ReceivedMessage(b"\xff " + URL.encode() + b" \xfe"), UNREADABLE, "")
    binary, text = body(list_dead_letters(get("", include="body")))["dead_letters"]
    assert (text["body"], text["description"]) == (f'{{"u": "{SHOWN_URL}"}}', f"{SHOWN_URL} is no message")
    assert text["message_id"] == f"id {SHOWN_URL}"
    assert binary["body_base64"] == "/yBodHRwczovL3N0b3JlLmV4YW1wbGUvYS5jc3Yg/g=="


def test_a_problem_document_repeats_no_secret(it: Stand) -> None:
    answer = body(submit(post("sync", {"source": URL, "token": TOKEN, URL: 1})))
    assert answer["status"] == 400
    assert "pssst" not in json.dumps(answer)


def test_the_source_of_a_csv_job_from_before_signatures_were_refused_is_shown_without_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with stand(IngestCsv) as it:
        use(it, monkeypatch)
        job_id, parameters = "ab" * 16, {"source": f"{SHOWN_URL}?sv=1&sig={SIGNATURE}"}
        with it.database.transaction() as work:
            work.jobs.create(job_id, "ingest_csv", json.dumps(parameters), 3)
        assert body(get_job(get(job_id)))["parameters"]["source"] == SHOWN_URL


def test_the_message_of_an_error_is_not_kept_when_the_secrets_of_its_job_cannot_be_read(
    it: Stand, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def unavailable(_: JobSecrets, __: object) -> None:
        raise DatabaseUnavailableError("no connection")

    monkeypatch.setattr(JobSecrets, "of_task", unavailable)
    job_id = run(it, fails=True)
    assert {task.error["message"] for task in it.tasks(job_id) if task.error} == {
        "<not shown: the secret parameters of its job are not known here>"
    }
    assert {task.progress_note for task in it.tasks(job_id)} == {None}
    assert "pssst" not in caplog.text


def test_parameters_that_no_longer_fit_their_model_are_not_shown(it: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    class Stricter(SyncParameters):
        needed: int

    class Changed(Sync):
        Parameters = Stricter

    job_id = run(it)
    with second_process(it, Changed) as other:
        use(other, monkeypatch)
        assert body(get_job(get(job_id)))["parameters"]["token"] == "***"
        tasks = body(list_tasks(get(job_id, "/tasks", include="parameters,result")))["tasks"]
        assert "pssst" not in json.dumps(tasks[0]["parameters"])


def test_a_job_that_completed_with_errors_has_a_result_and_a_warning_without_secrets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Tolerant(Sync):
        stages = (lockstep.StageSpec("only", max_failed_fraction=1.0),)

    with stand(Tolerant) as it:
        use(it, monkeypatch)
        job_id = run(it, fails=True)
        answer = body(get_job(get(job_id)))
        assert (answer["status"], answer["error"]) == ("completed_with_errors", None)
        assert answer["result"] == [[None, None, None]]
        assert (answer["warning"]["type"], answer["warning"]["stage"]) == ("TasksFailedError", 1)
        assert "3 of 3 tasks of stage 1 (only) failed, no more than it tolerates" in answer["warning"]["message"]
        assert f"{SHOWN_URL} refuses '***', number 0 (first in {job_id}-s01-t0000000)" in answer["warning"]["message"]
