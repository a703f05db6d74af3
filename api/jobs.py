"""HTTP routes of jobs: submit, watch, list, tell, cancel, retry and resume."""

from collections.abc import Callable
from http import HTTPStatus
from urllib.parse import urlencode

import azure.functions as func

from api import answers, conditional, page_places, requests, views
from api.known_parameters import takes
from api.problems import answers_problems
from api.retry_parts import retry_part
from api.start_conditions import start_conditions
from api.tasks_of_batch import is_of_batch, tasks_of_batch
from bootstrap import app, telemetry
from core.statuses import JOB_ENDS, JobStatus, TaskStatus

blueprint = func.Blueprint()

_POLL_SECONDS = "2"


@blueprint.function_name("submit_job")
@blueprint.route(route="jobs/{job_type}", methods=["POST"])
@answers_problems
@takes("start_at", "after", "urgent", "poll")
def submit_job(req: func.HttpRequest) -> func.HttpResponse:
    """Accepts a job: answers 202 once its row is durable. If the broker is unavailable, its message is sent later.

    `?start_at=` and `?after=` say when it may start. `?poll=202` makes `Location` answer 202 until the job has ended.
    """
    with telemetry().request("POST /api/jobs/{job_type}", req.headers):
        return _submitted(req)


def _submitted(req: func.HttpRequest) -> func.HttpResponse:
    location = _location(req)
    parameters = requests.json_object(req, app().settings.max_request_bytes)
    job_type = str(req.route_params.get("job_type", ""))
    key = req.headers.get("Idempotency-Key")
    submission = app().submitter.submit(
        *(job_type, parameters, key, requests.caller(req)),
        conditions=start_conditions(req),
        urgent=requests.urgent(req),
    )
    status_url = _status_url(req, submission.job_id)
    body = answers.Submission(submission.job_id, submission.status, submission.created, status_url)
    return views.json_response(body, 202, location(status_url))


@blueprint.function_name("get_job")
@blueprint.route(route="jobs/{job_id}", methods=["GET"])
@answers_problems
@takes("include", "after", "poll")
def get_job(req: func.HttpRequest) -> func.HttpResponse:
    """Shows a job: status, counts per stage, progress, rate, ETA, result, error or warning.

    With `?include=stage_results&after=`, the results of its stages too; with `?include=progress_notes`, what its
    running tasks say. With `?poll=202`, the answer is 202 until the job has ended.
    """
    results_after, polls_by_202 = requests.stage_results_after(req), requests.polls_by_202(req)
    with_notes = requests.PROGRESS_NOTES in requests.included(req, requests.JOB_PARTS)
    job = views.job(app().status.job(requests.job_id(req), results_after, with_notes=with_notes))
    if job["status"] in JOB_ENDS or not polls_by_202:
        return conditional.json_response(req, job)
    headers = _location(req, "include", "after")(_status_url(req, job["job_id"]))
    return conditional.json_response(req, job, HTTPStatus.ACCEPTED, headers)


@blueprint.function_name("cancel_job")
@blueprint.route(route="jobs/{job_id}/cancel", methods=["POST"])
@answers_problems
@takes("poll")
def cancel_job(req: func.HttpRequest) -> func.HttpResponse:
    """Cancels a job: no further task starts, and running handlers are told."""
    return _accepted(req, app().canceller.cancel)


@blueprint.function_name("retry_job")
@blueprint.route(route="jobs/{job_id}/retry", methods=["POST"])
@answers_problems
@takes("poll")
def retry_job(req: func.HttpRequest) -> func.HttpResponse:
    """Runs the failed tasks of a job again, or those that the body names, if it failed or completed with errors."""

    def retry(job_id: str) -> JobStatus:
        return app().reopener.retry(job_id, retry_part(req, app().settings.max_request_bytes))

    return _accepted(req, retry)


@blueprint.function_name("resume_job")
@blueprint.route(route="jobs/{job_id}/resume", methods=["POST"])
@answers_problems
@takes("poll")
def resume_job(req: func.HttpRequest) -> func.HttpResponse:
    """Continues a cancelled job."""
    return _accepted(req, app().reopener.resume)


def _accepted(req: func.HttpRequest, action: Callable[[str], JobStatus]) -> func.HttpResponse:
    job_id, location = requests.job_id(req), _location(req)
    status = action(job_id)
    status_url = _status_url(req, job_id)
    return views.json_response(answers.Change(job_id, status, status_url), 202, location(status_url))


def _location(req: func.HttpRequest, *kept: str) -> Callable[[str], dict[str, str]]:
    """Reads `poll` before a request changes something; returns the headers that lead to the status of a job.

    Args:
        req: the request.
        kept: the parameters of its query that the next poll has too.

    Raises:
        InvalidInputError: another status than 202 is asked for.
    """
    query = {"poll": "202"} if requests.polls_by_202(req) else {}
    query |= {name: req.params[name] for name in kept if req.params.get(name)}

    def headers(status_url: str) -> dict[str, str]:
        return {"Location": f"{status_url}?{urlencode(query)}" if query else status_url, "Retry-After": _POLL_SECONDS}

    return headers


def _status_url(req: func.HttpRequest, job_id: str) -> str:
    return f"{req.url.split('/jobs/')[0]}/jobs/{job_id}"


@blueprint.function_name("list_batches")
@blueprint.route(route="jobs/{job_id}/batches", methods=["GET"])
@answers_problems
@takes("after", "limit")
def list_batches(req: func.HttpRequest) -> func.HttpResponse:
    """Lists a job's aligned batches, page by page: `?after={next}&limit=`."""
    limit = requests.limit(req)
    batches = app().status.batches(requests.job_id(req), page_places.after_batch(req), limit)
    cursor = f"{batches[-1].stage}-{batches[-1].batch_index}" if batches.has_more else None
    return views.json_response(answers.Batches([views.batch(each) for each in batches], cursor))


@blueprint.function_name("list_tasks")
@blueprint.route(route="jobs/{job_id}/tasks", methods=["GET"])
@answers_problems
@takes("status", "error", "batch", "include", "after", "limit")
def list_tasks(req: func.HttpRequest) -> func.HttpResponse:
    """Lists a job's tasks, page by page: `?status=&error=&batch=&include=&after={next}&limit=`."""
    limit, include = requests.limit(req), requests.task_payload(req)
    status, after = requests.task_status(req), page_places.after_task(req)
    if req.params.get("batch") and not req.params.get("error"):
        return views.json_response(tasks_of_batch(req, status, after, limit, include))
    group = requests.error_group(req)
    if group is not None and status not in {None, TaskStatus.FAILED}:
        app().failure_reader.check(requests.job_id(req))
        return views.json_response(answers.Tasks([], None))  # no such task has an error of its own
    if group is not None:
        failed = app().failure_reader.tasks(requests.job_id(req), group, after, limit, include)
        shown = [views.task(each, include) for each in failed.tasks if is_of_batch(req, each)]
        return views.json_response(answers.Tasks(shown, failed.next))
    tasks = app().status.tasks(requests.job_id(req), status, after, limit, include)
    cursor = tasks[-1].task_id if tasks.has_more else None
    return views.json_response(answers.Tasks([views.task(each, include) for each in tasks], cursor))


@blueprint.function_name("list_job_events")
@blueprint.route(route="jobs/{job_id}/events", methods=["GET"])
@answers_problems
@takes("since", "after", "limit")
def list_job_events(req: func.HttpRequest) -> func.HttpResponse:
    """Lists a job's events, the oldest first, page by page: `?since=&after={next}&limit=`."""
    limit, since = requests.limit(req), page_places.events_since(req)
    events = app().status.events(requests.job_id(req), page_places.after_event(req), limit, since)
    cursor = events[-1].event_id if events.has_more else None
    return views.json_response(answers.JobEvents([views.event(each) for each in events], cursor, events.since))
