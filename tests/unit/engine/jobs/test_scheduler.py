"""A tick has one job: however many hosts run, wherever one dies, however many ticks were missed."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from typing_extensions import override

from controllers.hello_world import HelloWorld
from controllers.schedule import Schedule
from controllers.services import Services
from core import ids
from core.errors import DatabaseUnavailableError, InvalidParameterError, UnreachableError
from core.statuses import JobStatus
from engine.jobs.scheduler import Scheduler
from repositories.ports import Database
from tests.support.drive import Stand, second_process, stand
from tests.support.sample_jobs import SampleParameters, counted, sample_job

NIGHTLY = Schedule("0 3 * * *", "hello_world", {"n": 1})
THREE = datetime(2030, 1, 1, 3, tzinfo=UTC)
DAY = timedelta(days=1)
REFUSALS: list[Exception] = []


class Choosy(sample_job(counted(1))):  # type: ignore[misc] # a class that a function makes
    @override
    def check_submission(self, parameters: SampleParameters, services: Services) -> None:
        if REFUSALS:
            raise REFUSALS[0]


CHOOSY = Schedule("0 3 * * *", "sample", {"label": "x"})


@pytest.fixture(autouse=True)
def refusals() -> Iterator[None]:
    REFUSALS.clear()
    yield
    REFUSALS.clear()


def move_to(it: Stand, moment: datetime) -> None:
    it.clock.advance((moment - it.clock.now()).total_seconds())


def run_at(it: Stand, moment: datetime) -> int:
    move_to(it, moment)
    return it.app.scheduler.run()


def job_of(it: Stand, tick: datetime, name: str = "hello_world") -> str | None:
    """The id of the job of a tick, if there is one."""
    job_id = ids.job_id_for_tick(name, tick)
    with it.database.transaction() as work:
        job = work.jobs.get(job_id)
    return None if job is None else job.job_id


def jobs(it: Stand) -> int:
    with it.database.tables() as tables:
        return len(tables.jobs.rows())


def last_error(it: Stand) -> str | None:
    (shown,) = it.app.schedules.all()
    return shown.last_error


def test_a_schedule_that_is_new_starts_now() -> None:
    with stand(HelloWorld, schedules=[NIGHTLY]) as it:
        assert run_at(it, THREE + timedelta(hours=1)) == 0
        assert jobs(it) == 0
        assert run_at(it, THREE + DAY) == 1
        assert job_of(it, THREE + DAY)


def test_a_tick_has_one_job_that_runs() -> None:
    with stand(HelloWorld, schedules=[NIGHTLY]) as it:
        it.app.scheduler.run()
        assert run_at(it, THREE - timedelta(seconds=1)) == 0
        assert run_at(it, THREE + timedelta(seconds=5)) == 1
        assert run_at(it, THREE + timedelta(seconds=65)) == 0
        it.pump()
        job_id = job_of(it, THREE)
        assert job_id is not None
        assert it.job(job_id).status == JobStatus.COMPLETED
        assert (it.job(job_id).parameters["n"], jobs(it)) == (1, 1)


def test_ticks_that_were_missed_have_one_job_that_of_the_newest() -> None:
    with stand(HelloWorld, schedules=[NIGHTLY]) as it:
        it.app.scheduler.run()
        assert run_at(it, THREE + 10 * DAY + timedelta(hours=2)) == 1
        assert it.app.scheduler.run() == 0
        assert jobs(it) == 1
        assert job_of(it, THREE + 10 * DAY)


def test_two_hosts_that_run_at_once_submit_one_job(monkeypatch: pytest.MonkeyPatch) -> None:
    with stand(HelloWorld, schedules=[NIGHTLY]) as it, second_process(it, HelloWorld, schedules=[NIGHTLY]) as other:
        it.app.scheduler.run()
        move_to(it, THREE)
        submit = it.app.submitter.submit

        def submit_after_the_other(*args: Any, **kwargs: Any) -> Any:
            assert other.app.scheduler.run() == 1
            return submit(*args, **kwargs)

        monkeypatch.setattr(it.app.submitter, "submit", submit_after_the_other)
        it.app.scheduler.run()
        assert jobs(it) == 1


def test_a_host_that_dies_before_it_notes_the_tick_leaves_one_job(monkeypatch: pytest.MonkeyPatch) -> None:
    class DiedError(BaseException):
        pass

    with stand(HelloWorld, schedules=[NIGHTLY]) as it, second_process(it, HelloWorld, schedules=[NIGHTLY]) as other:
        it.app.scheduler.run()
        submit = it.app.submitter.submit

        def submit_and_die(*args: Any, **kwargs: Any) -> None:
            submit(*args, **kwargs)
            raise DiedError

        monkeypatch.setattr(it.app.submitter, "submit", submit_and_die)
        with pytest.raises(DiedError):
            run_at(it, THREE)
        assert other.app.schedules.all()[0].last_job_id is None
        run_at(other, THREE + timedelta(minutes=1))
        assert jobs(it) == 1
        assert other.app.schedules.all()[0].last_job_id == job_of(it, THREE)


def test_a_host_that_stands_still_does_not_move_the_last_tick_back(monkeypatch: pytest.MonkeyPatch) -> None:
    with stand(HelloWorld, schedules=[NIGHTLY]) as it, second_process(it, HelloWorld, schedules=[NIGHTLY]) as other:
        it.app.scheduler.run()
        submit = it.app.submitter.submit

        def submit_a_day_late(*args: Any, **kwargs: Any) -> Any:
            assert run_at(other, THREE + DAY) == 1
            return submit(*args, **kwargs)

        monkeypatch.setattr(it.app.submitter, "submit", submit_a_day_late)
        run_at(it, THREE)
        assert it.app.schedules.all()[0].last_tick == THREE + DAY


@pytest.mark.parametrize(
    "later",
    [Schedule("0 3 * * *", "hello_world", {"n": 9}), Schedule("0 3 * * *", "sample", name="hello_world")],
    ids=["other_parameters", "another_job_type"],
)
def test_the_job_of_a_tick_stays_as_it_is_when_a_deployment_changes_the_schedule(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, later: Schedule
) -> None:
    caplog.set_level("INFO")
    sample = sample_job(counted(1))
    with stand(HelloWorld, schedules=[NIGHTLY]) as it, second_process(it, HelloWorld, sample, schedules=[later]) as new:
        it.app.scheduler.run()
        move_to(it, THREE)
        it.app.submitter.submit("hello_world", {"n": 1}, job_id=ids.job_id_for_tick("hello_world", THREE))
        assert new.app.scheduler.run() == 1
        assert jobs(it) == 1
        job_id = job_of(it, THREE)
        assert job_id is not None
        assert it.job(job_id).parameters["n"] == 1
        assert new.app.schedules.all()[0].last_job_id == job_id
        assert f"the job {job_id} of 2030-01-01T03:00:00+00:00 exists, and stays as it is" in caplog.text


def test_a_client_cannot_take_the_id_of_a_tick() -> None:
    with stand(HelloWorld) as it:
        for key, caller in ((THREE.isoformat(), "hello_world"), (f"hello_world{THREE.isoformat()}", "schedule")):
            it.app.submitter.submit("hello_world", {"n": 1}, key, caller)
        assert job_of(it, THREE) is None


@pytest.mark.parametrize(
    ("refusal", "told"),
    [
        (InvalidParameterError("source", "the file is gone"), "source: the file is gone"),
        (UnreachableError("https://user:pw@host/x?sig=1 does not answer"), "https://host/x does not answer"),
        (ZeroDivisionError("a secret"), "the code of a job type raised ZeroDivisionError"),
    ],
    ids=["invalid", "unreachable", "error"],
)
def test_a_refused_job_is_tried_every_minute_and_shown(refusal: Exception, told: str) -> None:
    with stand(Choosy, schedules=[CHOOSY]) as it:
        it.app.scheduler.run()
        REFUSALS.append(refusal)
        assert run_at(it, THREE) == 0
        assert told in (last_error(it) or "")
        assert "pw" not in (last_error(it) or "")
        assert "a secret" not in (last_error(it) or "")
        assert run_at(it, THREE + timedelta(minutes=1)) == 0
        REFUSALS.clear()
        assert run_at(it, THREE + timedelta(minutes=2)) == 1
        assert job_of(it, THREE, "sample")
        assert last_error(it) is None


def test_a_refused_job_is_tried_until_the_next_tick() -> None:
    with stand(Choosy, schedules=[CHOOSY]) as it:
        it.app.scheduler.run()
        REFUSALS.append(InvalidParameterError("source", "the file is gone"))
        run_at(it, THREE)
        REFUSALS.clear()
        assert run_at(it, THREE + DAY) == 1
        assert job_of(it, THREE, "sample") is None
        assert job_of(it, THREE + DAY, "sample")


def test_parameters_may_depend_on_the_tick_in_the_time_zone_of_the_schedule() -> None:
    def of_day(tick: datetime) -> Mapping[str, Any]:
        return {"n": 1, "name": tick.isoformat()}

    schedule = Schedule("30 0 * * *", "hello_world", of_day, timezone="Europe/Berlin")
    with stand(HelloWorld, schedules=[schedule]) as it:
        it.app.scheduler.run()
        tick = datetime(2030, 1, 1, 23, 30, tzinfo=UTC)
        assert run_at(it, tick) == 1
        job_id = job_of(it, tick)
        assert job_id is not None
        assert it.job(job_id).parameters["name"] == "2030-01-02T00:30:00+01:00"


def test_the_jobs_of_a_schedule_may_be_urgent() -> None:
    with stand(HelloWorld, schedules=[Schedule("0 3 * * *", "hello_world", {"n": 1}, urgent=True)]) as it:
        it.app.scheduler.run()
        run_at(it, THREE)
        job_id = job_of(it, THREE)
        assert job_id is not None
        assert it.job(job_id).urgent


def test_a_function_that_raises_is_shown_without_what_it_says(caplog: pytest.LogCaptureFixture) -> None:
    def of_day(tick: datetime) -> Mapping[str, Any]:
        if tick.year == 2030:
            raise LookupError("a secret")
        return {"n": 1}

    with stand(HelloWorld, schedules=[Schedule("0 3 * * *", "hello_world", of_day)]) as it:
        it.app.scheduler.run()
        assert run_at(it, THREE) == 0
        assert last_error(it) == "LookupError in the code of the job type or of the schedule; the log has the details"
        assert "schedule hello_world: the job of 2030-01-01T03:00:00+00:00 is refused" in caplog.text


def test_parameters_that_do_not_fit_are_shown_field_by_field_without_the_secrets_of_urls() -> None:
    def of_day(tick: datetime) -> Mapping[str, Any]:
        return {"n": 1} if tick.year < 2030 else {"n": 0, "https://user:pw@host/x?sig=1": 1}

    with stand(HelloWorld, schedules=[Schedule("0 3 * * *", "hello_world", of_day)]) as it:
        it.app.scheduler.run()
        assert run_at(it, THREE) == 0
        assert last_error(it) == (
            "the parameters of hello_world are not valid; n: Input should be greater than or equal to 1; "
            "https://host/x: Extra inputs are not permitted"
        )


def test_a_schedule_that_fails_does_not_stop_the_others() -> None:
    with stand(HelloWorld, Choosy, schedules=[CHOOSY, NIGHTLY]) as it:
        it.app.scheduler.run()
        REFUSALS.append(DatabaseUnavailableError("the server is unavailable"))
        with pytest.raises(DatabaseUnavailableError):
            run_at(it, THREE)
        assert job_of(it, THREE)
        REFUSALS.clear()
        assert it.app.scheduler.run() == 1


def test_a_schedule_that_is_refused_does_not_use_up_the_time_of_the_others() -> None:
    with stand(HelloWorld, Choosy, schedules=[CHOOSY, NIGHTLY]) as it:
        it.app.scheduler.run()
        REFUSALS.append(InvalidParameterError("source", "the file is gone"))
        run_at(it, THREE)
        REFUSALS.clear()
        move_to(it, THREE + DAY)
        times = iter([0.0, 0.0, 241.0])
        assert Scheduler(it.database, it.app.registry, it.app.submitter, lambda: next(times)).run() == 1
        assert job_of(it, THREE + DAY)
        assert job_of(it, THREE + DAY, "sample") is None
        assert it.app.scheduler.run() == 1


def test_a_broker_that_is_unavailable_does_not_matter() -> None:
    with stand(HelloWorld, schedules=[NIGHTLY]) as it:
        it.app.scheduler.run()
        it.queue.go_away(60)
        assert run_at(it, THREE) == 1
        it.clock.advance(61)
        it.app.sweeper.sweep()
        it.pump()
        job_id = job_of(it, THREE)
        assert job_id is not None
        assert it.job(job_id).status == JobStatus.COMPLETED


def test_a_schedule_that_is_removed_does_no_harm_and_goes_on_when_it_is_registered_again() -> None:
    with stand(HelloWorld, schedules=[NIGHTLY]) as it, second_process(it, HelloWorld) as without:
        it.app.scheduler.run()
        assert run_at(it, THREE) == 1
        assert run_at(without, THREE + DAY) == 0
        assert without.app.schedules.all() == []
        assert run_at(it, THREE + 2 * DAY) == 1
        assert jobs(it) == 2


def test_a_changed_expression_goes_on_from_the_last_tick() -> None:
    hourly = Schedule("0 * * * *", "hello_world", {"n": 1})
    with stand(HelloWorld, schedules=[NIGHTLY]) as it, second_process(it, HelloWorld, schedules=[hourly]) as later:
        it.app.scheduler.run()
        assert run_at(it, THREE) == 1
        assert run_at(later, THREE + timedelta(minutes=30)) == 0
        assert run_at(later, THREE + timedelta(minutes=60)) == 1


def test_without_schedules_no_query_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    with stand(HelloWorld) as it:

        def refuse(self: Database, *args: object) -> None:
            raise AssertionError("a transaction")

        monkeypatch.setattr(type(it.database), "transaction", refuse)
        assert (it.app.scheduler.run(), it.app.schedules.all()) == (0, [])


def test_the_last_and_the_next_tick_are_shown() -> None:
    with stand(HelloWorld, schedules=[NIGHTLY]) as it:
        (before,) = it.app.schedules.all()
        assert (before.last_tick, before.last_job_id, before.next_tick) == (None, None, THREE)
        it.app.scheduler.run()
        run_at(it, THREE)
        (after,) = it.app.schedules.all()
        assert (after.last_tick, after.next_tick) == (THREE, THREE + DAY)
        assert after.last_job_id == job_of(it, THREE)
