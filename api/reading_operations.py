"""The operations of the OpenAPI document that read job types, lists of jobs, tasks, failures and results."""

from api.described import (
    ETAG,
    FAILURES,
    IF_NONE_MATCH,
    LIMIT,
    NOT_MODIFIED,
    TASK_ID,
    Json,
    json_answer,
    problem_answer,
    query,
    response,
)
from api.job_filters import JOB_CURSOR, MAX_TEXT_LENGTH
from api.result_formats import CSV, NDJSON
from core.ids import MAX_STAGE_TASKS, MAX_STAGES
from core.statuses import JobStatus, StageStatus

_STATUS = "|".join(JobStatus)

LIST_JOB_TYPES: Json = {
    "operationId": "list_job_types",
    "summary": "List the job types: parameters as JSON Schema, stages, task types with policy and limits.",
    "responses": {"200": json_answer("JobTypes", "The job types, by name."), **FAILURES},
}

JOB_FILTER: list[Json] = [
    query("type", "only jobs of this type", type="string", maxLength=MAX_TEXT_LENGTH),
    query(
        "status",
        "only jobs in one of these statuses, separated by commas",
        type="string",
        pattern=f"^(({_STATUS})(,({_STATUS}))*)?$",
    ),
    query("created_from", "only jobs that were created at this time or later", type="string", format="date-time"),
    query("created_before", "only jobs that were created before this time", type="string", format="date-time"),
]

LIST_JOBS: Json = {
    "operationId": "list_jobs",
    "summary": "List jobs, the newest first, page by page.",
    "description": "With `text`, a page looks at the next 1,000 jobs, or at fewer if their parameters are larger than "
    "2 MiB: it may have fewer jobs than `limit`, or none, though `next` is not null.",
    "parameters": [
        LIMIT,
        *JOB_FILTER,
        query(
            "text",
            "only jobs with this text in their parameters, as JSON and as they are shown: no secret is found; the case "
            "of letters does not matter",
            type="string",
            maxLength=MAX_TEXT_LENGTH,
        ),
        query("after", "`next` of the previous page", type="string", pattern=f"^{JOB_CURSOR}$"),
        IF_NONE_MATCH,
    ],
    "responses": {
        "200": {**json_answer("ListedJobs", "A page."), "headers": {"ETag": ETAG}},
        "304": NOT_MODIFIED,
        "400": response("BadQuery"),
        **FAILURES,
    },
}

TASK_ID_IN_PATH: Json = {
    "name": "task_id",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "pattern": TASK_ID},
}

GET_TASK: Json = {
    "operationId": "get_task",
    "summary": "Show a task: parameters, result, checkpoint, the errors of its attempts, its worker, its times.",
    "description": "Secrets are shown as in the list of tasks.",
    "responses": {
        "200": json_answer("TaskDetails", "The task."),
        "404": problem_answer("There is no such job, or it has no such task."),
        **FAILURES,
    },
}

LIST_FAILURES: Json = {
    "operationId": "list_failures",
    "summary": "Group a job's failed tasks by the type and the message of their errors.",
    "description": "Numbers, ids, paths, URLs and quoted texts of a message do not count. A page reads the failed "
    "tasks of the next batches that have any, about 1,000 tasks or 50 batches; its `next` leads to those after them.",
    "parameters": [query("after", "`next` of the previous page", type="string", pattern=TASK_ID)],
    "responses": {
        "200": json_answer("Failures", "A page."),
        "400": response("BadQuery"),
        "404": response("NoSuchJob"),
        **FAILURES,
    },
}

_LINES: Json = {"schema": {"type": "string"}}

LIST_RESULTS: Json = {
    "operationId": "list_results",
    "summary": "Return the results of a stage's ended tasks as lines, page by page.",
    "description": "One line a task, in the order of the tasks: `task_id`, `task_index`, `task_type`, `status`, "
    "`result`, `error`. NDJSON, or CSV if `Accept` names `text/csv`: `result` and `error` are JSON there, and the "
    "first page has a line of names, so that the pages can be joined. A page has at most 1 MiB of results, or one that "
    "is larger. While the stage runs, tasks before the last line may still end: the pages are complete if "
    "`Stage-Status` of the first one was `finished`. The tasks of a stage that failed or was cancelled may end after "
    "it: its pages are complete if all of its tasks had ended before the first one. "
    "Secrets are shown as in the list of tasks.",
    "parameters": [
        LIMIT,
        query(
            "stage",
            "the number of the stage; by default the current one",
            type="integer",
            minimum=1,
            maximum=MAX_STAGES,
        ),
        query(
            "after",
            "the `task_index` of the last line that is known: `Next-After` of the previous page of the same stage",
            type="integer",
            minimum=0,
            maximum=MAX_STAGE_TASKS - 1,
        ),
    ],
    "responses": {
        "200": {
            "description": "A page; empty if no task has ended.",
            "headers": {
                "Link": {"description": 'the URL of the next page, with rel="next"; absent on the last one', **_LINES},
                "Next-After": {"description": "`after` of the next page; absent on the last one", **_LINES},
                "Stage": {"description": "absent if the stage has not begun", "schema": {"type": "integer"}},
                "Stage-Status": {
                    "description": "absent if the stage has not begun",
                    "schema": {"enum": list(StageStatus)},
                },
            },
            "content": {NDJSON: _LINES, CSV: _LINES},
        },
        "400": response("BadQuery"),
        "404": response("NoSuchJob"),
        **FAILURES,
    },
}
