"""The parts of the OpenAPI document that do not depend on the job types."""

from collections.abc import Iterable
from typing import Any

from api import requests
from core.job_waits import MAX_AFTER
from core.pages import TaskPayload
from core.statuses import JobStatus, TaskStatus
from engine.jobs.submitter import MAX_KEY_LENGTH

Json = dict[str, Any]

SCHEMAS = "#/components/schemas/"
"""The prefix of a reference to a named schema."""

_TASK_ID = "^[0-9a-f]{32}-s(?!00)[0-9]{2}-t[0-9]{7}$"


def json_answer(schema: str, description: str) -> Json:
    """Describes a response whose body has a named schema."""
    return {"description": description, "content": {"application/json": {"schema": {"$ref": SCHEMAS + schema}}}}


def problem_answer(description: str) -> Json:
    """Describes a response whose body is a problem document."""
    return {
        "description": description,
        "content": {"application/problem+json": {"schema": {"$ref": SCHEMAS + "Problem"}}},
    }


def _query(name: str, description: str, **schema: Any) -> Json:
    return {"name": name, "in": "query", "description": description, "schema": schema}


def _include(known: Iterable[str]) -> Json:
    name = "|".join(known)
    return _query(
        "include",
        "what the answer has besides, separated by commas; it may be large, so it is left out by default",
        type="string",
        pattern=f"^(({name})(,({name}))*)?$",
    )


def _response(name: str) -> Json:
    return {"$ref": f"#/components/responses/{name}"}


def _change(verb: str, summary: str, conflict: str) -> Json:
    return {
        "operationId": f"{verb}_job",
        "summary": summary,
        "responses": {
            "202": {
                **json_answer("Change", "The request is accepted; the rest happens in the background."),
                "headers": {"Location": LOCATION, "Retry-After": RETRY_AFTER},
            },
            "404": _response("NoSuchJob"),
            "409": problem_answer(conflict),
            **FAILURES,
        },
    }


LOCATION: Json = {"description": "the URL of the job's status", "schema": {"type": "string"}}

RETRY_AFTER: Json = {
    "description": "seconds to wait before the next request",
    "schema": {"type": "integer", "minimum": 1},
}

RESPONSES: Json = {
    "Unauthorized": {"description": "The key is missing or wrong."},
    "NoSuchJob": problem_answer("There is no such job."),
    "BadQuery": problem_answer("A parameter is not valid: `errors` names it."),
    "InternalError": problem_answer("An error of the app; the logs have the details."),
    "Unavailable": {
        **problem_answer("The database, the broker or what a job type checks is unavailable."),
        "headers": {"Retry-After": RETRY_AFTER},
    },
}

FAILURES: Json = {
    "401": _response("Unauthorized"),
    "500": _response("InternalError"),
    "503": _response("Unavailable"),
}

PROBLEM: Json = {
    "type": "object",
    "title": "Problem",
    "description": "A problem document (RFC 9457); which further members it has depends on the problem.",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {"type": "string"},
        "errors": {"type": "array", "items": {"$ref": SCHEMAS + "FieldError"}},
        "known_job_types": {"type": "array", "items": {"type": "string"}},
        "job_id": {"type": "string"},
        "job_status": {"type": "string", "enum": list(JobStatus)},
        "limit_bytes": {"type": "integer"},
    },
}

JOB_ID: Json = {
    "name": "job_id",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "pattern": f"^{requests.JOB_ID}$"},
}

IDEMPOTENCY_KEY: Json = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "identifies the job among those of its type, and of the caller if App Service authentication names "
    "one; without it, the job type and the parameters identify the job",
    "schema": {"type": "string", "minLength": 1, "maxLength": MAX_KEY_LENGTH},
}

START_AT = _query(
    "start_at",
    "the job does not start before this time, whose zone is given; it starts at once if the time has passed. No part "
    "of the job's identity: the first submission decides",
    type="string",
    format="date-time",
)

AFTER: Json = {
    "name": "after",
    "in": "query",
    "description": "the job starts when these jobs have completed; it is cancelled if one of them fails or is "
    "cancelled. No part of the job's identity",
    "style": "form",
    "explode": False,
    "schema": {
        "type": "array",
        "items": {"type": "string", "pattern": f"^{requests.JOB_ID}$"},
        "minItems": 1,
        "maxItems": MAX_AFTER,
    },
}

URGENT = _query(
    "urgent",
    "whether the short tasks of the job overtake those of other jobs; a job that was submitted before stays as it is",
    type="boolean",
    default=False,
)

_LIMIT = _query(
    "limit",
    "the most rows per page; large rows make a page shorter",
    type="integer",
    minimum=1,
    maximum=requests.MAX_LIMIT,
    default=requests.DEFAULT_LIMIT,
)

GET_JOB: Json = {
    "operationId": "get_job",
    "summary": "Show a job: status, counts per stage, progress, rate, ETA, result, error or warning.",
    "description": "Secret parameters are shown as ***, and URLs without user info, query and fragment. With "
    "`include=stage_results`, the stages after `after` have their results, in order and as far as they fit into 1 MiB, "
    "but at least one.",
    "parameters": [
        _include([requests.STAGE_RESULTS]),
        _query("after", "the number of the last stage whose result is known", type="integer", minimum=0, maximum=99),
    ],
    "responses": {
        "200": json_answer("Job", "The job."),
        "400": _response("BadQuery"),
        "404": _response("NoSuchJob"),
        **FAILURES,
    },
}

CANCEL_JOB = _change(
    "cancel",
    "Cancel a job: no further task starts. The jobs that were to start after it are cancelled, too.",
    "The job has ended in another way.",
)

RETRY_JOB = _change(
    "retry",
    "Run the failed tasks of a job again.",
    "The job did not fail, some of its tasks have not ended yet, none of its tasks can run again, or another job has "
    "its exclusive key now.",
)

RESUME_JOB = _change(
    "resume",
    "Continue a cancelled job.",
    "The job was not cancelled, some of its tasks have not ended yet, or another job has its exclusive key now.",
)

LIST_BATCHES: Json = {
    "operationId": "list_batches",
    "summary": "List a job's aligned batches, page by page.",
    "parameters": [
        _LIMIT,
        _query("after", "`next` of the previous page", type="string", pattern=f"^{requests.BATCH_CURSOR}$"),
    ],
    "responses": {
        "200": json_answer("Batches", "A page."),
        "400": _response("BadQuery"),
        "404": _response("NoSuchJob"),
        **FAILURES,
    },
}

LIST_TASKS: Json = {
    "operationId": "list_tasks",
    "summary": "List a job's tasks with progress and errors, page by page.",
    "description": "With `include`, they have parameters and results too. Secret parameters are shown as ***, and URLs "
    "without user info, query and fragment.",
    "parameters": [
        _LIMIT,
        _include(TaskPayload),
        _query("after", "`next` of the previous page", type="string", pattern=_TASK_ID),
        _query("status", "only tasks with this status", type="string", enum=list(TaskStatus)),
    ],
    "responses": {
        "200": json_answer("Tasks", "A page."),
        "400": _response("BadQuery"),
        "404": _response("NoSuchJob"),
        **FAILURES,
    },
}

LIST_JOB_EVENTS: Json = {
    "operationId": "list_job_events",
    "summary": "List what happened to a job, the oldest event first, page by page.",
    "description": "Some events for each stage, none for a task. To follow a job, ask again with the `since` of the "
    "answer before: an event may become visible after one with a higher `event_id`.",
    "parameters": [
        _LIMIT,
        _query("since", "`since` of an earlier answer", type="integer", minimum=0, maximum=requests.MAX_ROW_ID),
        _query("after", "`next` of the previous page", type="integer", minimum=0, maximum=requests.MAX_ROW_ID),
    ],
    "responses": {
        "200": json_answer("JobEvents", "A page."),
        "400": _response("BadQuery"),
        "404": _response("NoSuchJob"),
        **FAILURES,
    },
}

LIST_DEAD_LETTERS: Json = {
    "operationId": "list_dead_letters",
    "summary": "List dead letters, newest first, page by page.",
    "parameters": [
        _LIMIT,
        _include([requests.BODY]),
        _query("before", "`next` of the previous page", type="integer", minimum=0, maximum=requests.MAX_ROW_ID),
    ],
    "responses": {"200": json_answer("DeadLetters", "A page."), "400": _response("BadQuery"), **FAILURES},
}

LIST_SCHEDULES: Json = {
    "operationId": "list_schedules",
    "summary": "List the schedules of the app, with the last and the next tick of each.",
    "responses": {"200": json_answer("Schedules", "The schedules."), **FAILURES},
}

HEALTH: Json = {
    "operationId": "health",
    "summary": "Check the database, the migrations and the broker, and show the outages that are waited for.",
    "security": [],
    "responses": {
        "200": json_answer("Health", "All are usable, and no outage is waited for."),
        "503": json_answer("Health", "One is not usable, or an outage is waited for."),
    },
}

GET_OPENAPI: Json = {
    "operationId": "get_openapi",
    "summary": "Return this document.",
    "responses": {
        "200": {"description": "The document.", "content": {"application/json": {"schema": {"type": "object"}}}},
        **FAILURES,
    },
}
