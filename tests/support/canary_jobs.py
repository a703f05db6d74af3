"""A job type that is given secrets and tells them wherever it can, in all the ways in which errors quote values."""

import json
import logging
from collections.abc import Iterator
from typing import Any

from pydantic import Field, SecretStr

from controllers import authoring as lockstep
from core.errors import PermanentTaskError

CANARY = "tWeEtTwEeT"
"""What every secret holds."""

TOKEN = f"token/{CANARY}+1 'é\"&"
"""The value of a secret parameter; errors quote and escape it in different ways."""

URL = f"https://user:{CANARY}-password@store.example/{{}}/a.csv?sv=1&sig={CANARY}-signature#{CANARY}-fragment"

CONNECTION = f"Endpoint=sb://store.example/;SharedAccessKeyName=all;SharedAccessKey={CANARY}-key="

PLACES = ("task", "isolated", "batch", "tasks", "stage", "job", "end", "nothing")
"""Where the job type fails."""

logger = logging.getLogger("job.code")


class CanaryParameters(lockstep.JobParameters):
    token: SecretStr
    source: str
    place: str
    more: dict[str, list[SecretStr]] = Field(default_factory=dict)


class TokenError(Exception):
    """Holds more than its text."""

    def __init__(self, token: str) -> None:
        super().__init__({"token": token, "inner": [token.encode(), json.dumps(token)]})
        self.add_note(f"tried {token} at {URL}")


def _look_up(token: str, source: str) -> None:
    raise KeyError(token, source, CONNECTION) from TokenError(token)


def fail(token: str, source: str, place: str) -> None:
    """Raises an error with a cause and a note, which quote everything."""
    logger.error("%s fails with %s, %s", place, source, CONNECTION)
    try:
        _look_up(token, source)
    except KeyError as exc:
        raise PermanentTaskError(f"{place}: {source} refuses {token!r}, as {CONNECTION}: {exc}") from exc


def _work(context: lockstep.TaskContext, parameters: lockstep.TaskParameters) -> lockstep.JsonValue:
    token, source = parameters["token"], parameters["source"]
    context.progress(0.5, f"sends {token} to {source} with {CONNECTION}")
    context.checkpoint({"token": token, source: source})
    if parameters["fails"]:
        fail(token, source, "task")
    return {"token": token, "read": source, token: [CONNECTION]}


def _work_on_many(items: lockstep.TaskItems) -> Iterator[Any]:
    for item in items:
        try:
            fail(item.parameters["token"], item.parameters["source"], "batch")
        except PermanentTaskError as exc:
            yield exc


TASK_TYPES = {
    "task": lockstep.task_type("canary.task", max_attempts=1)(_work),
    "isolated": lockstep.task_type("canary.isolated", max_attempts=1, isolated=True)(_work),
    "batch": lockstep.batch_handler("canary.batch", max_attempts=1)(_work_on_many),
}


class Canary(lockstep.JobController[CanaryParameters]):
    job_type = "canary"
    stages = (lockstep.StageSpec("only"),)
    task_types = tuple(TASK_TYPES.values())

    def _fail_in(self, place: str, job: lockstep.JobContext[CanaryParameters]) -> None:
        given = job.parameters
        if given.place == place:
            fail(given.token.get_secret_value(), given.source, place)

    def check_submission(self, parameters: CanaryParameters, services: lockstep.Services) -> None:
        if parameters.place == "check":
            fail(parameters.token.get_secret_value(), parameters.source, "check")
        if parameters.place == "refused":
            token = parameters.token.get_secret_value()
            raise lockstep.InvalidParameterError("source", f"{parameters.source} is none, says {token}")

    def create_stage_tasks(
        self, job: lockstep.JobContext[CanaryParameters], stage: lockstep.StageContext
    ) -> lockstep.Tasks:
        self._fail_in("tasks", job)
        given = job.parameters
        kind = TASK_TYPES.get(given.place, TASK_TYPES["task"])
        shared = {"token": given.token.get_secret_value(), "source": given.source, "fails": given.place in TASK_TYPES}
        yield kind.task(0, shared)

    def aggregate_stage_results(
        self,
        job: lockstep.JobContext[CanaryParameters],
        stage: lockstep.StageContext,
        results: lockstep.TaskResults,
    ) -> lockstep.JsonValue:
        self._fail_in("stage", job)
        return [each.result for each in results]

    def aggregate_job_results(
        self, job: lockstep.JobContext[CanaryParameters], stage_results: list[lockstep.JsonValue]
    ) -> lockstep.JsonValue:
        self._fail_in("job", job)
        return stage_results

    def job_ended(self, job: lockstep.JobContext[CanaryParameters], outcome: lockstep.JobOutcome) -> None:
        self._fail_in("end", job)
