"""The operations of the OpenAPI document that read job types, lists of jobs, tasks, failures and results."""

from api.described import FAILURES, Json, json_answer

LIST_JOB_TYPES: Json = {
    "operationId": "list_job_types",
    "summary": "List the job types: parameters as JSON Schema, stages, task types with policy and limits.",
    "responses": {"200": json_answer("JobTypes", "The job types, by name."), **FAILURES},
}
