"""HTTP routes that show all batches at once: the map of a stage, and the tasks that ended over time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import azure.functions as func

from api import conditional, requests
from api.known_parameters import takes
from api.problems import answers_problems
from bootstrap import app
from core.batch_overviews import EndedTasks

blueprint = func.Blueprint()


@dataclass(frozen=True)
class BatchMap:
    """The batches of a stage in order, a letter each; stage 0 before the first stage of a job.

    `p`: its messages may not have been sent. `q`: no task has ended. `b`: some tasks have ended. `e`: the same, and
    some have failed. `c`: all have completed. `f`: all have ended, and some have failed. `x`: cancelled.
    """

    stage: int
    states: str


@dataclass(frozen=True)
class Throughput:
    """The tasks of ended batches in buckets of time; the first bucket starts at `first_at`, null if no batch has ended.

    `completed`, `failed` and `cancelled` count the tasks of each bucket.
    """

    first_at: datetime | None
    bucket_seconds: int
    completed: Sequence[int]
    failed: Sequence[int]
    cancelled: Sequence[int]


@blueprint.function_name("get_batch_map")
@blueprint.route(route="jobs/{job_id}/batch-map", methods=["GET"])
@answers_problems
@takes("stage")
def get_batch_map(req: func.HttpRequest) -> func.HttpResponse:
    """Shows the batches of a stage, a letter each: `?stage=`."""
    found = app().batch_reader.map(requests.job_id(req), requests.stage(req))
    return conditional.json_response(req, BatchMap(found.stage, found.states))


@blueprint.function_name("get_throughput")
@blueprint.route(route="jobs/{job_id}/throughput", methods=["GET"])
@answers_problems
def get_throughput(req: func.HttpRequest) -> func.HttpResponse:
    """Counts the tasks of a job that ended over time."""
    found = app().batch_reader.throughput(requests.job_id(req))
    first_at = found.span.first if found.span else None

    def counts(of: Callable[[EndedTasks], int]) -> list[int]:
        dense = [0] * (found.buckets[-1].bucket + 1 if found.buckets else 0)
        for each in found.buckets:
            dense[each.bucket] = of(each)
        return dense

    return conditional.json_response(
        req,
        Throughput(
            first_at,
            found.bucket_seconds,
            counts(lambda each: each.completed),
            counts(lambda each: each.failed),
            counts(lambda each: each.cancelled),
        ),
    )
