"""The operations of the OpenAPI document about bulk actions."""

from api.described import FAILURES, LIMIT, RETRY_AFTER, Json, json_answer, problem_answer, query, response
from api.reading_operations import JOB_FILTER
from core.bulk_actions import APPLIES_TO, BulkKind

ACTION_ID: Json = {
    "name": "action_id",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
}


def _bulk(kind: BulkKind, summary: str) -> Json:
    return {
        "operationId": f"{kind}_jobs",
        "summary": summary,
        "description": "At least one of the filters is needed; another parameter, an empty one or a body is refused. "
        "Only jobs with these statuses are meant: "
        f"{', '.join(sorted(APPLIES_TO[kind]))}. It is done one job after the other, after the answer; `Location` "
        "tells how far it has come.",
        "parameters": [
            *JOB_FILTER,
            query("dry_run", "whether the jobs are only counted", type="boolean", default=False),
        ],
        "responses": {
            "200": json_answer("JobCount", "With `dry_run`: how many jobs there are."),
            "202": {
                **json_answer("ActionProgress", "The request is stored; small ones are finished already."),
                "headers": {
                    "Location": {"description": "the URL of its progress", "schema": {"type": "string"}},
                    "Retry-After": RETRY_AFTER,
                },
            },
            "400": response("BadQuery"),
            **FAILURES,
        },
    }


CANCEL_JOBS = _bulk(BulkKind.CANCEL, "Cancel many jobs.")
RETRY_JOBS = _bulk(BulkKind.RETRY, "Run the failed tasks of many jobs again.")
DELETE_JOBS = _bulk(BulkKind.DELETE, "Delete many jobs that have ended, with their tasks.")

LIST_ACTIONS: Json = {
    "operationId": "list_actions",
    "summary": "List the requests about many jobs of the last month at least, the newest first.",
    "parameters": [
        query("after", "the `next` of the previous page", type="string", pattern="^[0-9a-f]{32}$"),
        LIMIT,
    ],
    "responses": {
        "200": json_answer("ListedActions", "A page."),
        "400": response("BadQuery"),
        **FAILURES,
    },
}

GET_ACTION: Json = {
    "operationId": "get_action",
    "summary": "Show how far a request about many jobs has come, and with which jobs it could not be done.",
    "responses": {
        "200": json_answer("ActionProgress", "The progress."),
        "404": problem_answer("There is no such request, or it ended more than 30 days ago."),
        **FAILURES,
    },
}
