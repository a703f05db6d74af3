"""What the operations of the OpenAPI document have in common: parameters, answers and problems."""

from collections.abc import Iterable
from typing import Any

from api import requests
from core.statuses import DeadLetterState, JobStatus

Json = dict[str, Any]

SCHEMAS = "#/components/schemas/"
"""The prefix of a reference to a named schema."""

TASK_ID = "^[0-9a-f]{32}-s(?!00)[0-9]{2}-t[0-9]{7}$"
"""What a task id looks like."""


def json_answer(schema: str, description: str) -> Json:
    """Describes a response whose body has a named schema."""
    return {"description": description, "content": {"application/json": {"schema": {"$ref": SCHEMAS + schema}}}}


def problem_answer(description: str) -> Json:
    """Describes a response whose body is a problem document."""
    return {
        "description": description,
        "content": {"application/problem+json": {"schema": {"$ref": SCHEMAS + "Problem"}}},
    }


def query(name: str, description: str, **schema: Any) -> Json:
    """Describes a parameter of the query."""
    return {"name": name, "in": "query", "description": description, "schema": schema}


def include(known: Iterable[str]) -> Json:
    """Describes the parameter that names what an answer has besides."""
    name = "|".join(known)
    return query(
        "include",
        "what the answer has besides, separated by commas; it may be large, so it is left out by default",
        type="string",
        pattern=f"^(({name})(,({name}))*)?$",
    )


def response(name: str) -> Json:
    """Refers to one of `RESPONSES`."""
    return {"$ref": f"#/components/responses/{name}"}


LOCATION: Json = {"description": "the URL of the job's status", "schema": {"type": "string"}}

RETRY_AFTER: Json = {
    "description": "seconds to wait before the next request",
    "schema": {"type": "integer", "minimum": 1},
}

ETAG: Json = {"description": "the tag of this answer, for If-None-Match", "schema": {"type": "string"}}

IF_NONE_MATCH: Json = {
    "name": "If-None-Match",
    "in": "header",
    "description": "the ETag of an earlier answer",
    "schema": {"type": "string"},
}

NOT_MODIFIED: Json = {
    "description": "Nothing has changed since the answer with this ETag.",
    "headers": {"ETag": ETAG},
}

RESPONSES: Json = {
    "Unauthorized": {"description": "The key is missing or wrong."},
    "NoSuchDeadLetter": problem_answer("There is no such dead letter."),
    "NoSuchJob": problem_answer("There is no such job."),
    "BadQuery": problem_answer("A parameter is not valid: `errors` names it."),
    "InternalError": problem_answer("An error of the app; the logs have the details."),
    "Unavailable": {
        **problem_answer("The database, the broker or what a job type checks is unavailable."),
        "headers": {"Retry-After": RETRY_AFTER},
    },
}

FAILURES: Json = {
    "401": response("Unauthorized"),
    "500": response("InternalError"),
    "503": response("Unavailable"),
}

PROBLEM: Json = {
    "type": "object",
    "title": "Problem",
    "description": "A problem document (RFC 9457); which further members it has depends on the problem.",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "format": "uri", "description": "see docs/problems.md"},
        "title": {"type": "string"},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {"type": "string"},
        "errors": {"type": "array", "items": {"$ref": SCHEMAS + "FieldError"}},
        "known_job_types": {"type": "array", "items": {"type": "string"}},
        "job_id": {"type": "string"},
        "job_status": {"type": "string", "enum": list(JobStatus)},
        "limit_bytes": {"type": "integer"},
        "dead_letter_id": {"type": "integer"},
        "dead_letter_state": {"type": "string", "enum": list(DeadLetterState)},
    },
}

JOB_ID: Json = {
    "name": "job_id",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "pattern": f"^{requests.JOB_ID}$"},
}

LIMIT = query(
    "limit",
    "the most rows per page; large rows make a page shorter",
    type="integer",
    minimum=1,
    maximum=requests.MAX_LIMIT,
    default=requests.DEFAULT_LIMIT,
)
