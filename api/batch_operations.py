"""The operations of the OpenAPI document that show batches at once."""

from api import requests
from api.described import ETAG, FAILURES, IF_NONE_MATCH, NOT_MODIFIED, Json, json_answer, query, response
from core.ids import MAX_STAGES

BATCH_ID = f"{requests.JOB_ID}-s[1-9][0-9]?-b[0-9]{{1,7}}"

TASKS_OF_BATCH = query(
    "batch",
    "only tasks of this batch. With a status, a page may have fewer tasks than `limit`, or none, though `next` is not "
    "null",
    type="string",
    pattern=f"^{BATCH_ID}$",
)

GET_BATCH_MAP: Json = {
    "operationId": "get_batch_map",
    "summary": "Show all batches of a stage at once, a letter each.",
    "description": "10 KB for the 10,000 batches of 1,000,000 tasks. The counts and the times of a batch are in the "
    "list of batches.",
    "parameters": [
        query("stage", "the stage; that of the job by default", type="integer", minimum=1, maximum=MAX_STAGES),
        IF_NONE_MATCH,
    ],
    "responses": {
        "200": {**json_answer("BatchMap", "The batches."), "headers": {"ETag": ETAG}},
        "304": NOT_MODIFIED,
        "400": response("BadQuery"),
        "404": response("NoSuchJob"),
        **FAILURES,
    },
}

GET_THROUGHPUT: Json = {
    "operationId": "get_throughput",
    "summary": "Count the tasks of a job that ended over time, in up to 120 buckets.",
    "description": "Tasks count when the last task of their batch has ended.",
    "parameters": [IF_NONE_MATCH],
    "responses": {
        "200": {**json_answer("Throughput", "The counts."), "headers": {"ETag": ETAG}},
        "304": NOT_MODIFIED,
        "400": response("BadQuery"),
        "404": response("NoSuchJob"),
        **FAILURES,
    },
}
