"""The operations of the OpenAPI document that do not depend on the job types."""

from api import page_places, requests
from api.batch_operations import TASKS_OF_BATCH
from api.described import (
    ETAG,
    FAILURES,
    LIMIT,
    LOCATION,
    NOT_MODIFIED,
    RETRY_AFTER,
    TASK_ID,
    Json,
    include,
    json_answer,
    problem_answer,
    query,
    response,
)
from api.retry_parts import RETRY_BODY
from core.job_waits import MAX_AFTER
from core.pages import TaskPayload
from core.statuses import TaskStatus
from engine.jobs.submitter import MAX_KEY_LENGTH

POLL = query(
    "poll",
    "with 202, `Location` answers 202 until the job has ended, for clients that ask again as long as they get it",
    type="string",
    enum=["202"],
)


def _change(verb: str, summary: str, conflict: str) -> Json:
    return {
        "operationId": f"{verb}_job",
        "summary": summary,
        "parameters": [POLL],
        "responses": {
            "202": {
                **json_answer("Change", "The request is accepted; the rest happens in the background."),
                "headers": {"Location": LOCATION, "Retry-After": RETRY_AFTER},
            },
            "400": response("BadQuery"),
            "404": response("NoSuchJob"),
            "409": problem_answer(conflict),
            **FAILURES,
        },
    }


IDEMPOTENCY_KEY: Json = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "identifies the job among those of its type, and of the caller if App Service authentication names "
    "one; without it, the job type and the parameters identify the job",
    "schema": {"type": "string", "minLength": 1, "maxLength": MAX_KEY_LENGTH},
}

START_AT = query(
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

URGENT = query(
    "urgent",
    "whether the short tasks of the job overtake those of other jobs; a job that was submitted before stays as it is",
    type="boolean",
    default=False,
)

GET_JOB: Json = {
    "operationId": "get_job",
    "summary": "Show a job: status, counts per stage, progress, rate, ETA, result, error or warning.",
    "description": "Secret parameters are shown as ***, and URLs without user info, query and fragment. With "
    "`include=stage_results`, the stages after `after` have their results, in order and as far as they fit into 1 MiB, "
    "but at least one. With `include=progress_notes`, it has what its running tasks said last.",
    "parameters": [
        include(requests.JOB_PARTS),
        query("after", "the number of the last stage whose result is known", type="integer", minimum=0, maximum=99),
        query(
            "poll",
            "202 answers 202 until the job has ended, for clients that ask again as long as they get it; `Location` "
            "keeps `include` and `after`",
            type="string",
            enum=["202"],
        ),
        {
            "name": "If-None-Match",
            "in": "header",
            "description": "the ETag of an earlier answer; rate and ETA, which time alone changes, do not count "
            "unless one becomes null",
            "schema": {"type": "string"},
        },
    ],
    "responses": {
        "200": {**json_answer("Job", "The job."), "headers": {"ETag": ETAG}},
        "202": {
            **json_answer("Job", "The job, which has not ended, with `poll=202`."),
            "headers": {"ETag": ETAG, "Location": LOCATION, "Retry-After": RETRY_AFTER},
        },
        "304": NOT_MODIFIED,
        "400": response("BadQuery"),
        "404": response("NoSuchJob"),
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
    "Run the failed tasks of a job again, or some of them.",
    "The job did not fail, some of its tasks have not ended yet, none of its tasks can run again, what is chosen is of "
    "a stage whose results a later one has used, or another job has its exclusive key now.",
)
RETRY_JOB["requestBody"] = RETRY_BODY
RETRY_JOB["description"] = (
    "Failed tasks that are not chosen stay failed, and count at the end of their stage. The tasks that were cancelled "
    "when the stage failed run in any case. In a stage of many failures, a group is looked up after the answer: if no "
    "task has an error of it, the job ends as it had ended."
)
RETRY_JOB["responses"] |= {
    "400": problem_answer(
        "The body or the query is not valid, or the job has no such batch, task or error, or it did not fail."
    ),
    "413": problem_answer("The body is larger than MAX_REQUEST_BYTES."),
}

RESUME_JOB = _change(
    "resume",
    "Continue a cancelled job.",
    "The job was not cancelled, some of its tasks have not ended yet, or another job has its exclusive key now.",
)

LIST_BATCHES: Json = {
    "operationId": "list_batches",
    "summary": "List a job's aligned batches, page by page.",
    "parameters": [
        LIMIT,
        query("after", "`next` of the previous page", type="string", pattern=f"^{page_places.BATCH_CURSOR}$"),
    ],
    "responses": {
        "200": json_answer("Batches", "A page."),
        "400": response("BadQuery"),
        "404": response("NoSuchJob"),
        **FAILURES,
    },
}

LIST_TASKS: Json = {
    "operationId": "list_tasks",
    "summary": "List a job's tasks with progress and errors, page by page.",
    "description": "With `include`, they have parameters and results too. Secret parameters are shown as ***, and URLs "
    "without user info, query and fragment.",
    "parameters": [
        LIMIT,
        include(TaskPayload),
        query("after", "`next` of the previous page", type="string", pattern=TASK_ID),
        query("status", "only tasks with this status", type="string", enum=list(TaskStatus)),
        query(
            "error",
            "only failed tasks of this group of errors: its `error` in the list of failures. A page looks at some "
            "batches: it may have fewer tasks than `limit`, or none, though `next` is not null",
            type="string",
            pattern=f"^{requests.ERROR_GROUP}$",
        ),
        TASKS_OF_BATCH,
    ],
    "responses": {
        "200": json_answer("Tasks", "A page."),
        "400": response("BadQuery"),
        "404": response("NoSuchJob"),
        **FAILURES,
    },
}

LIST_JOB_EVENTS: Json = {
    "operationId": "list_job_events",
    "summary": "List what happened to a job, the oldest event first, page by page.",
    "description": "Some events for each stage, none for a task. To follow a job, ask again with the `since` of the "
    "answer before: an event may become visible after one with a higher `event_id`.",
    "parameters": [
        LIMIT,
        query("since", "`since` of an earlier answer", type="integer", minimum=0, maximum=page_places.MAX_ROW_ID),
        query("after", "`next` of the previous page", type="integer", minimum=0, maximum=page_places.MAX_ROW_ID),
    ],
    "responses": {
        "200": json_answer("JobEvents", "A page."),
        "400": response("BadQuery"),
        "404": response("NoSuchJob"),
        **FAILURES,
    },
}

LIST_QUEUES: Json = {
    "operationId": "list_queues",
    "summary": "List the queues of the app, with the numbers of their messages and how long tasks have waited.",
    "description": "Answers within 3 s while the broker is silent.",
    "responses": {"200": json_answer("Queues", "The queues."), **FAILURES},
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
