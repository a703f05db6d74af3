"""Builds the OpenAPI 3.1 document from the registered job types and the types of the answers."""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import TypeAdapter

from api import (
    answers,
    batch_operations,
    batch_overviews,
    bulk_actions,
    bulk_operations,
    dead_letter_answers,
    dead_letter_operations,
    described,
    failure_answers,
    job_listing_answers,
    job_type_answers,
    operations,
    page_operations,
    reading_operations,
    service_answers,
)
from api.described import Json
from controllers.base import JobController
from controllers.registry import Registry
from core.errors import FieldError

VERSION = "0.1.0"

_ANSWERED = (
    answers.Submission,
    answers.Change,
    answers.Job,
    answers.Batches,
    answers.TaskDetails,
    answers.Tasks,
    answers.JobEvents,
    dead_letter_answers.DeadLetter,
    dead_letter_answers.DeadLetters,
    service_answers.Queues,
    service_answers.Schedules,
    service_answers.Health,
    job_type_answers.JobTypes,
    job_listing_answers.ListedJobs,
    failure_answers.Failures,
    batch_overviews.BatchMap,
    batch_overviews.Throughput,
    bulk_actions.JobCount,
    bulk_actions.ActionProgress,
    bulk_actions.ListedActions,
    FieldError,
)


def document(registry: Registry) -> Json:
    """Builds the document; its paths are relative to `/api`.

    Each job type has its own path, because the schema of a body cannot depend on a path parameter.
    """
    controllers = [registry.controller(job_type) for job_type in registry.job_types]
    bodies, schemas = _schemas(controllers)
    submissions = {
        f"/jobs/{controller.job_type}": {"post": _submit(controller, bodies[controller.job_type], schemas)}
        for controller in controllers
    }
    return {
        "openapi": "3.1.1",
        "info": {
            "title": "Lockstep",
            "version": VERSION,
            "description": "Runs jobs of many small tasks. Errors are problem documents (RFC 9457); docs/problems.md "
            "lists their types. An answer repeats the `x-request-id` of its request.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/api"}],
        "security": [{"key_header": []}, {"key_query": []}],
        "paths": {
            **submissions,
            "/jobs": {"get": reading_operations.LIST_JOBS},
            "/jobs/{job_id}": {"parameters": [described.JOB_ID], "get": operations.GET_JOB},
            "/jobs/{job_id}/cancel": {"parameters": [described.JOB_ID], "post": operations.CANCEL_JOB},
            "/jobs/{job_id}/retry": {"parameters": [described.JOB_ID], "post": operations.RETRY_JOB},
            "/jobs/{job_id}/resume": {"parameters": [described.JOB_ID], "post": operations.RESUME_JOB},
            "/jobs/{job_id}/batches": {"parameters": [described.JOB_ID], "get": operations.LIST_BATCHES},
            "/jobs/{job_id}/batch-map": {"parameters": [described.JOB_ID], "get": batch_operations.GET_BATCH_MAP},
            "/jobs/{job_id}/throughput": {"parameters": [described.JOB_ID], "get": batch_operations.GET_THROUGHPUT},
            "/jobs/{job_id}/tasks": {"parameters": [described.JOB_ID], "get": operations.LIST_TASKS},
            "/jobs/{job_id}/tasks/{task_id}": {
                "parameters": [described.JOB_ID, reading_operations.TASK_ID_IN_PATH],
                "get": reading_operations.GET_TASK,
            },
            "/jobs/{job_id}/failures": {"parameters": [described.JOB_ID], "get": reading_operations.LIST_FAILURES},
            "/jobs/{job_id}/results": {"parameters": [described.JOB_ID], "get": reading_operations.LIST_RESULTS},
            "/jobs/{job_id}/events": {"parameters": [described.JOB_ID], "get": operations.LIST_JOB_EVENTS},
            "/job-types": {"get": reading_operations.LIST_JOB_TYPES},
            "/dead-letters": {"get": dead_letter_operations.LIST_DEAD_LETTERS},
            **_dead_letter_paths(),
            "/queues": {"get": operations.LIST_QUEUES},
            "/jobs/cancel": {"post": bulk_operations.CANCEL_JOBS},
            "/jobs/retry": {"post": bulk_operations.RETRY_JOBS},
            "/jobs/delete": {"post": bulk_operations.DELETE_JOBS},
            "/actions": {"get": bulk_operations.LIST_ACTIONS},
            "/actions/{action_id}": {"parameters": [bulk_operations.ACTION_ID], "get": bulk_operations.GET_ACTION},
            "/schedules": {"get": operations.LIST_SCHEDULES},
            "/health": {"get": operations.HEALTH},
            "/monitor": {"get": page_operations.GET_MONITOR},
            "/docs": {"get": page_operations.GET_DOCS},
            "/openapi.json": {"get": operations.GET_OPENAPI},
        },
        "components": {
            "schemas": {**schemas, "Problem": described.PROBLEM},
            "responses": described.RESPONSES,
            # How Azure Functions takes its access keys.
            "securitySchemes": {
                "key_header": {"type": "apiKey", "in": "header", "name": "x-functions-key"},
                "key_query": {"type": "apiKey", "in": "query", "name": "code"},
            },
        },
    }


def _dead_letter_paths() -> Json:
    path, parameters = "/dead-letters/{dead_letter_id}", [dead_letter_operations.DEAD_LETTER_ID]
    return {
        path: {"parameters": parameters, "get": dead_letter_operations.GET_DEAD_LETTER},
        f"{path}/resend": {"parameters": parameters, "post": dead_letter_operations.RESEND_DEAD_LETTER},
        f"{path}/discard": {"parameters": parameters, "post": dead_letter_operations.DISCARD_DEAD_LETTER},
    }


def _schemas(controllers: Iterable[JobController[Any]]) -> tuple[Mapping[str, Json], Json]:
    """Returns the schema of each job type's body, and all named schemas."""
    inputs: list[tuple[str, Any, TypeAdapter[Any]]] = [
        (controller.job_type, "validation", TypeAdapter(controller.Parameters)) for controller in controllers
    ]
    inputs += [(f"answer {each.__name__}", "serialization", TypeAdapter(each)) for each in _ANSWERED]
    found, definitions = TypeAdapter.json_schemas(inputs, ref_template=f"{described.SCHEMAS}{{model}}")
    return {name: dict(schema) for (name, _), schema in found.items()}, definitions["$defs"]


def _submit(controller: JobController[Any], body: Json, schemas: Json) -> Json:
    stages = ", then ".join(stage.name for stage in controller.stages)
    needed = bool(schemas[body["$ref"].removeprefix(described.SCHEMAS)].get("required"))
    return {
        "operationId": f"submit_{controller.job_type}",
        "summary": f"Submit a {controller.job_type} job.",
        "description": f"Its stages: {stages}. Submitting the same job again returns the same job.",
        "parameters": [
            operations.IDEMPOTENCY_KEY,
            operations.START_AT,
            operations.AFTER,
            operations.URGENT,
            operations.POLL,
        ],
        "requestBody": {"required": needed, "content": {"application/json": {"schema": body}}},
        "responses": {
            "202": {
                **described.json_answer("Submission", "The job is accepted."),
                "headers": {
                    "Location": described.LOCATION,
                    "Retry-After": described.RETRY_AFTER,
                },
                "links": {
                    name: {"operationId": name, "parameters": {"job_id": "$response.body#/job_id"}}
                    for name in ("get_job", "cancel_job", "list_batches", "list_tasks", "list_job_events")
                },
            },
            "400": described.problem_answer(
                "The parameters are not valid, or the job type finds that they do not fit what is there: `errors` "
                "names the fields; or a string contains a NUL character; or a parameter of the query is not valid; or "
                "a job of `after` does not exist."
            ),
            "404": described.problem_answer("This instance does not know the job type: a deployment is in progress."),
            "409": described.problem_answer(
                "The Idempotency-Key belongs to a job of this type with other parameters, the job is being deleted, "
                "or another job, which `job_id` names, has its exclusive key."
            ),
            "413": described.problem_answer("The body is larger than MAX_REQUEST_BYTES."),
            **described.FAILURES,
        },
    }
